/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small files of a repository from a stranger: refs, whose sum is made right, and lines of format and of
 * the keys. The first byte of the input says which: 0: refs, 1: format, others: a slot of keys/.
 */
#include <assert.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monofs/checked.h"
#include "monofs/format.h"
#include "monofs/keys.h"
#include "monofs/references_format.h"

#define SLOT "keys/0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_references(const uint8_t *data, size_t size)
{
	struct references r = {0};
	struct buffer body = {0};
	uint8_t sum[SHA256_SIZE];
	struct error err;

	assert(sha256_of(data, size, sum, &err) == 0);
	buffer_append(&body, data, size);
	buffer_append(&body, sum, sizeof sum);
	if (references_decode(body.data, body.size, &r, &err) < 0) {
		assert(err.code == ERROR_CORRUPT && *err.text && r.count == 0);
	} else {
		for (size_t i = 0; i < r.count; i++) {
			assert(i == 0 || strcmp(r.list[i - 1].name, r.list[i].name) < 0);
			assert(references_find(&r, r.list[i].name) == &r.list[i]);
		}
	}
	references_free(&r);
	buffer_free(&body);
}

static char place[] = "/tmp/mc-fuzz-XXXXXX";
static int directory = -1;

static void remove_place(void)
{
	unlinkat(directory, "format", 0);
	unlinkat(directory, SLOT, 0);
	unlinkat(directory, "keys", AT_REMOVEDIR);
	rmdir(place);
}

static void write_checked(const char *name, const uint8_t *data, size_t size)
{
	char hex[SHA256_HEX_SIZE];
	uint8_t sum[SHA256_SIZE];
	int fd;

	if (directory < 0) {
		assert(sodium_init() >= 0 && mkdtemp(place));
		directory = open(place, O_RDONLY | O_DIRECTORY);
		assert(directory >= 0 && mkdirat(directory, "keys", 0700) == 0);
		atexit(remove_place);
	}
	assert(sha256_of(data, size, sum, NULL) == 0);
	/* A file that is cut and written anew goes to the disk when it is closed. */
	unlinkat(directory, name, 0);
	fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	assert(dprintf(fd, "check %s\n", sha256_hex(sum, hex)) > 0);
	close(fd);
}

static void try_format(const uint8_t *data, size_t size)
{
	struct format f;
	struct error err;

	write_checked("format", data, size);
	if (format_read(directory, &f, &err) < 0)
		assert((err.code == ERROR_CORRUPT || err.code == ERROR_UNAVAILABLE) && *err.text);
}

static void try_slot(const uint8_t *data, size_t size)
{
	static const struct keys keys;
	struct repository_slot *slots;
	struct error err;
	size_t count;

	write_checked(SLOT, data, size);
	if (keys_list(directory, &keys, &slots, &count, &err) < 0) {
		assert((err.code == ERROR_CORRUPT || err.code == ERROR_UNAVAILABLE) && *err.text);
		return;
	}
	assert(count == 1 && strcmp(slots[0].name, SLOT + strlen("keys/")) == 0);
	free(slots);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 0)
		try_references(data + 1, size - 1);
	else if (data[0] == 1)
		try_format(data + 1, size - 1);
	else
		try_slot(data + 1, size - 1);
	return 0;
}
