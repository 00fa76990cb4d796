/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/references.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/sha256.h"
#include "monofs/references_format.h"
#include "os/fs.h"

void references_free(struct references *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->list[i].name);
		free(r->list[i].path);
	}
	free(r->list);
	*r = (struct references){0};
}

static size_t position_of(const struct references *r, const char *name, bool *there)
{
	size_t low = 0, high = r->count;

	*there = false;
	while (low < high && !*there) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(r->list[middle].name, name);

		*there = order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return high;
}

const struct reference *references_find(const struct references *r, const char *name)
{
	bool there;
	size_t at = position_of(r, name, &there);

	return there ? &r->list[at] : NULL;
}

const char *references_nearest(const struct references *r, const char *typed)
{
	_cleanup_free_ const char **names = calloc(r->count + 1, sizeof *names);

	for (size_t i = 0; names && i < r->count; i++) {
		const char *name = r->list[i].name;

		names[i] = text_starts(name, REFERENCE_TAG) ? name + strlen(REFERENCE_TAG) : name;
	}
	return names ? text_nearest(typed, names) : NULL;
}

/* ---- the file --------------------------------------------------------------------------------------- */

static int encode(const struct references *r, struct buffer *out, struct error *err)
{
	uint8_t sum[SHA256_SIZE];
	int result;

	buffer_u64(out, r->version);
	buffer_u32(out, (uint32_t)r->count);
	for (size_t i = 0; i < r->count; i++) {
		buffer_string(out, r->list[i].name);
		buffer_append(out, r->list[i].commit.bytes, OBJECT_ID_SIZE);
		buffer_string(out, r->list[i].path);
	}
	result = sha256_of(out->data, out->size, sum, err);
	buffer_append(out, sum, sizeof sum);
	return out->failed ? error_no_memory(err, "write the references") : result;
}

/* A string of at most `most` bytes without a NUL; *out stays NULL where there is none. */
static int read_text(struct cursor *c, size_t most, char **out, struct error *err)
{
	size_t n;
	const uint8_t *bytes = cursor_bytes(c, &n);

	if (!bytes || n > most || memchr(bytes, 0, n))
		return error_set(err, ERROR_CORRUPT, "refs has a name that cannot be");
	*out = text_copy_bytes(bytes, n, err);
	return *out ? 0 : -ERROR_NO_MEMORY;
}

static int read_one(struct cursor *c, struct references *r, struct error *err)
{
	struct reference *at = &r->list[r->count++];
	int result = read_text(c, REFERENCE_NAME_MAX, &at->name, err);
	const uint8_t *id = cursor_take(c, OBJECT_ID_SIZE);

	if (result == 0)
		result = read_text(c, ENTRY_PATH_MAX, &at->path, err);
	if (result < 0)
		return result;
	if (!id || !*at->name || (r->count > 1 && strcmp(at[-1].name, at->name) >= 0))
		return error_set(
			err, ERROR_CORRUPT, "refs has a reference, number %zu, that cannot be", r->count);
	memcpy(at->commit.bytes, id, OBJECT_ID_SIZE);
	return 0;
}

int references_decode(const void *bytes, size_t n, struct references *out, struct error *err)
{
	_cleanup_references_ struct references r = {0};
	struct cursor c = cursor_of(bytes, n > SHA256_SIZE ? n - SHA256_SIZE : 0);
	uint8_t sum[SHA256_SIZE];
	uint32_t count;
	int result = sha256_of(bytes, c.left, sum, err);

	if (result < 0)
		return result;
	if (n < SHA256_SIZE || memcmp((const uint8_t *)bytes + n - SHA256_SIZE, sum, sizeof sum) != 0)
		return error_set(err, ERROR_CORRUPT, "refs is damaged: its check is another");
	r.version = cursor_u64(&c);
	count = cursor_u32(&c);
	if (c.failed || count > REFERENCES_MAX || count > c.left)
		return error_set(err, ERROR_CORRUPT, "refs has %u references, which cannot be", count);
	r.list = calloc(count + (size_t)1, sizeof *r.list);
	if (!r.list)
		return error_no_memory(err, "read the references");
	for (uint32_t i = 0; result == 0 && i < count; i++)
		result = read_one(&c, &r, err);
	if (result < 0)
		return result;
	if (!cursor_done(&c))
		return error_set(err, ERROR_CORRUPT, "refs goes on behind its end");
	*out = r;
	r = (struct references){0};
	return 0;
}

static int open_sealed(
	const struct buffer *file, const struct crypt *crypt, struct references *out, struct error *err)
{
	_cleanup_free_ uint8_t *body = NULL;
	const uint8_t *salt = file->data + 8;
	size_t n;
	int r;

	if (file->size < REFERENCES_HEADER || memcmp(file->data, REFERENCES_MAGIC, 8) != 0)
		return error_set(err, ERROR_CORRUPT, "refs is damaged: it does not begin as such a file");
	body = malloc(file->size);
	if (!body)
		return error_no_memory(err, "read the references");
	r = crypt_open(crypt, CRYPT_REFERENCES, salt, 0, file->data, REFERENCES_HEADER,
		file->data + REFERENCES_HEADER, file->size - REFERENCES_HEADER, body, &n, err);
	if (r < 0)
		return error_prefix(err, "read refs");
	return references_decode(body, n, out, err);
}

int references_read(int directory, const struct crypt *crypt, struct references *out, struct error *err)
{
	_cleanup_buffer_ struct buffer file = {0};
	int r = fs_read_regular(directory, "refs", REFERENCES_FILE_MAX, &file, err);

	*out = (struct references){0};
	if (r == -ERROR_NOT_FOUND)
		return 0;
	return r < 0 ? r : open_sealed(&file, crypt, out, err);
}

static int write_file(int directory, const struct crypt *crypt, const struct references *r, struct error *err)
{
	_cleanup_buffer_ struct buffer body = {0}, file = {0};
	uint8_t header[REFERENCES_HEADER] = REFERENCES_MAGIC;
	int result = encode(r, &body, err);

	if (result < 0)
		return result;
	crypt_salt(crypt, header + 8);
	if (!buffer_append(&file, header, sizeof header))
		return error_no_memory(err, "write the references");
	result = crypt_seal(crypt, CRYPT_REFERENCES, header + 8, 0, header, sizeof header, body.data,
		body.size, &file, err);
	if (result == 0 && file.size > REFERENCES_FILE_MAX)
		result = error_set(err, ERROR_LIMIT, "write refs: it would have %zu bytes", file.size);
	return result < 0 ? result : fs_write_atomic(directory, "refs", file.data, file.size, 0600, err);
}

/* ---- changes ---------------------------------------------------------------------------------------- */

static int check_expected(
	const struct reference *there, const char *name, const struct object_id *expected, struct error *err)
{
	char hex[OBJECT_HEX_SIZE];

	if (!expected || (there ? object_id_equal(&there->commit, expected) : object_id_is_none(expected)))
		return 0;
	if (!there)
		return error_set(err, ERROR_BUSY, "'%s' is not there any more", name);
	return error_set(err, ERROR_BUSY, "'%s' leads to %.12s by now: somebody else moved it", name,
		object_id_hex(&there->commit, hex));
}

static void remove_at(struct references *r, size_t at)
{
	free(r->list[at].name);
	free(r->list[at].path);
	r->count--;
	memmove(&r->list[at], &r->list[at + 1], (r->count - at) * sizeof *r->list);
}

static int insert_at(struct references *r, size_t at, const char *name, struct error *err)
{
	struct reference *list = reallocarray(r->list, r->count + 1, sizeof *list);
	char *copy = list ? text_copy(name, err) : NULL;

	if (list)
		r->list = list;
	if (!copy)
		return error_no_memory(err, "set a reference");
	memmove(&list[at + 1], &list[at], (r->count - at) * sizeof *list);
	list[at] = (struct reference){.name = copy};
	r->count++;
	return 0;
}

static int change(struct references *r, const char *name, const struct object_id *commit, const char *path,
	const struct object_id *expected, struct error *err)
{
	bool there;
	size_t at = position_of(r, name, &there);
	int result = check_expected(there ? &r->list[at] : NULL, name, expected, err);
	char *copy;

	if (result < 0)
		return result;
	if (!commit && !there)
		return error_set(err, ERROR_NOT_FOUND, "there is no '%s'", name);
	if (!commit) {
		remove_at(r, at);
		return 0;
	}
	if (!there && r->count == REFERENCES_MAX)
		return error_set(
			err, ERROR_LIMIT, "set '%s': there are %u names already", name, REFERENCES_MAX);
	if (!there)
		result = insert_at(r, at, name, err);
	copy = result == 0 ? text_copy(path ? path : "", err) : NULL;
	if (!copy)
		return -ERROR_NO_MEMORY;
	free(r->list[at].path);
	r->list[at].path = copy;
	r->list[at].commit = *commit;
	return 0;
}

int references_set(int directory, const struct crypt *crypt, const char *name, const struct object_id *commit,
	const char *path, const struct object_id *expected, struct error *err)
{
	_cleanup_references_ struct references r = {0};
	_cleanup_fd_ int fd = -1;
	int result;

	if (!*name || strlen(name) > REFERENCE_NAME_MAX || (path && strlen(path) > ENTRY_PATH_MAX))
		return error_set(err, ERROR_INVALID, "'%s' cannot be a name of a revision", name);
	result = fs_lock(directory, "locks/refs", FS_LOCK_EXCLUSIVE, true, &fd, err);
	if (result == 0)
		result = references_read(directory, crypt, &r, err);
	if (result == 0)
		result = change(&r, name, commit, path, expected, err);
	if (result < 0)
		return result;
	r.version++;
	return write_file(directory, crypt, &r, err);
}

/* ---- names of tags ---------------------------------------------------------------------------------- */

static bool reads_as_id(const char *name)
{
	size_t n = strlen(name);

	return n >= 6 && n < OBJECT_HEX_SIZE && strspn(name, "0123456789abcdefABCDEF") == n;
}

int reference_name_check(const char *name, struct error *err)
{
	const char *why = NULL;
	size_t n = strlen(name);

	if (n == 0)
		why = "it is empty";
	else if (n + strlen(REFERENCE_TAG) > REFERENCE_NAME_MAX)
		why = "it is too long";
	else if (strcmp(name, REFERENCE_MAIN) == 0)
		why = "that is the newest revision's";
	else if (name[0] == '/' || name[n - 1] == '/')
		why = "it begins or ends with '/'";
	else if (name[0] == '-')
		why = "it begins with '-', as options do";
	else if (strpbrk(name, "~^:@{"))
		why = "it has one of ~ ^ : @ {, which have a meaning in names of revisions";
	else if (reads_as_id(name))
		why = "it reads as the id of a revision";
	for (size_t i = 0; !why && i < n; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 127)
			why = "it has a control character";
	return why ? error_set(err, ERROR_INVALID, "'%s' cannot be a tag: %s", name, why) : 0;
}
