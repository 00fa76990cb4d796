/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/checked.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "codec/sha256.h"
#include "os/fs.h"

#define CHECK      "check "
#define CHECK_SIZE (strlen(CHECK) + SHA256_HEX_SIZE) /* with its newline */

static int check_of(const void *bytes, size_t n, char hex[SHA256_HEX_SIZE], struct error *err)
{
	uint8_t sum[SHA256_SIZE];
	int r = sha256_of(bytes, n, sum, err);

	sha256_hex(sum, hex);
	return r;
}

/* fs_write_atomic() takes names alone. */
static int replace(int directory, const char *path, const struct buffer *all, struct error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? text_copy_bytes(path, (size_t)(slash - path), err) : NULL;
	_cleanup_fd_ int fd = -1;

	if (!slash)
		return fs_write_atomic(directory, path, all->data, all->size, 0600, err);
	if (!parent)
		return -ERROR_NO_MEMORY;
	fd = fs_open(directory, parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	return fd < 0 ? fd : fs_write_atomic(fd, slash + 1, all->data, all->size, 0600, err);
}

int checked_write(int directory, const char *name, const struct buffer *lines, struct error *err)
{
	_cleanup_buffer_ struct buffer all = {0};
	char hex[SHA256_HEX_SIZE];
	int r = lines->failed ? error_no_memory(err, name) : check_of(lines->data, lines->size, hex, err);

	if (r < 0)
		return r;
	buffer_append(&all, lines->data, lines->size);
	if (!buffer_format(&all, CHECK "%s\n", hex))
		return error_no_memory(err, name);
	return replace(directory, name, &all, err);
}

int checked_read(int directory, const char *name, struct buffer *lines, struct error *err)
{
	char hex[SHA256_HEX_SIZE];
	size_t begin = lines->size, n;
	int r = fs_read_regular(directory, name, CHECKED_MAX, lines, err);

	if (r == -ERROR_LIMIT)
		return error_set(err, ERROR_CORRUPT, "%s is too long", name);
	if (r < 0)
		return r;
	n = lines->size - begin;
	if (n < CHECK_SIZE || memcmp(lines->data + lines->size - CHECK_SIZE, CHECK, strlen(CHECK)) != 0)
		return error_set(err, ERROR_CORRUPT, "%s does not end with its check: it is damaged", name);
	r = check_of(lines->data + begin, n - CHECK_SIZE, hex, err);
	if (r == 0 && (memcmp(lines->data + lines->size - SHA256_HEX_SIZE, hex, SHA256_HEX_SIZE - 1) != 0 ||
			      lines->data[lines->size - 1] != '\n'))
		r = error_set(err, ERROR_CORRUPT, "%s is damaged: its check is another", name);
	if (r < 0)
		return r;
	lines->size -= CHECK_SIZE;
	lines->data[lines->size] = 0;
	return 0;
}

const char *checked_line(const struct buffer *lines, const char *word, size_t *n)
{
	const char *at = (const char *)lines->data, *end = at + lines->size;
	size_t length = strlen(word);

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		if ((size_t)(stop - at) > length && memcmp(at, word, length) == 0 && at[length] == ' ') {
			*n = (size_t)(stop - at) - length - 1;
			return at + length + 1;
		}
		at = stop + 1;
	}
	return NULL;
}

static int missing(const char *word, struct error *err)
{
	return error_set(err, ERROR_CORRUPT, "the line '%s' is missing or wrong", word);
}

int checked_text(const struct buffer *lines, const char *word, char *out, size_t room, struct error *err)
{
	size_t n;
	const char *text = checked_line(lines, word, &n);

	if (!text || n >= room || memchr(text, 0, n))
		return missing(word, err);
	memcpy(out, text, n);
	out[n] = 0;
	return 0;
}

int checked_bytes(const struct buffer *lines, const char *word, void *out, size_t size, struct error *err)
{
	size_t n, got;
	const char *text = checked_line(lines, word, &n);

	if (!text || n != 2 * size || sodium_hex2bin(out, size, text, n, NULL, &got, NULL) < 0 || got != size)
		return missing(word, err);
	return 0;
}

int checked_number(
	const struct buffer *lines, const char *word, uint64_t max, uint64_t *out, struct error *err)
{
	char text[32];
	int r = checked_text(lines, word, text, sizeof text, err);

	if (r == 0 && text_parse_u64(text, max, word, out, NULL) < 0)
		r = missing(word, err);
	return r;
}
