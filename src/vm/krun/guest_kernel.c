/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/krun/guest_kernel.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "os/fs.h"

#define DIRECTORY     "krun"
#define FILE_MAX      4096
#define MISSING_MAX   200
#define SUPERBLOCK    1024
#define EROFS_MAGIC   0xe0f5e1e2u
#define EXT4_MAGIC_AT 56 /* in the superblock */
#define EXT4_MAGIC    0xef53u

CLEANUP_DEFINE(json, json_t, json_decref);

char *krun_kernel_recall(const char *home, const char *build)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/" DIRECTORY "/%s.json", home, build);
	_cleanup_(cleanup_json) json_t *root = NULL;
	_cleanup_buffer_ struct buffer text = {0};
	const char *missing;

	if (!path || fs_read_file(AT_FDCWD, path, FILE_MAX, &text, NULL) < 0)
		return NULL;
	root = json_loadb((const char *)text.data, text.size, 0, NULL);
	missing = json_string_value(json_object_get(root, "missing"));
	return missing && strlen(missing) < MISSING_MAX ? text_copy(missing, NULL) : NULL;
}

void krun_kernel_remember(const char *home, const char *build, const char *missing)
{
	_cleanup_free_ char *directory = text_format(NULL, "%s/" DIRECTORY, home);
	_cleanup_free_ char *name = text_format(NULL, "%s.json", build), *text = NULL;
	_cleanup_(cleanup_json) json_t *root = json_pack("{s:s}", "missing", missing);
	_cleanup_fd_ int dir = directory ? fs_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, NULL) : -1;

	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	if (dir >= 0 && name && text)
		fs_write_atomic(dir, name, text, strlen(text), 0600, NULL);
}

static bool is_missing(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
		if (strcspn(p, ",") == n && !memcmp(p, name, n))
			return true;
	return false;
}

const char *krun_kernel_root_type(const char *home, const char *build)
{
	_cleanup_free_ char *missing = krun_kernel_recall(home, build);

	return missing && is_missing(missing, "erofs") && !is_missing(missing, "ext4") ? "ext4" : "erofs";
}

/* NULL: neither of those that we make. */
static const char *file_system_of(int image_fd)
{
	uint8_t block[64];

	if (pread(image_fd, block, sizeof block, SUPERBLOCK) != sizeof block)
		return NULL;
	if ((block[0] | (uint32_t)block[1] << 8 | (uint32_t)block[2] << 16 | (uint32_t)block[3] << 24) ==
		EROFS_MAGIC)
		return "erofs";
	return (block[EXT4_MAGIC_AT] | (unsigned)block[EXT4_MAGIC_AT + 1] << 8) == EXT4_MAGIC ? "ext4" : NULL;
}

int krun_kernel_suits(const char *missing, int image_fd, bool disk, struct error *err)
{
	const char *image = file_system_of(image_fd);

	if (image && is_missing(missing, image))
		return error_set(err, ERROR_UNAVAILABLE,
			"libkrun's kernel (libkrunfw) cannot mount %s, which this image's disk is made of: "
			"use --engine qemu",
			image);
	if (is_missing(missing, "overlay") || (disk && is_missing(missing, "ext4")))
		return error_set(err, ERROR_UNAVAILABLE,
			"libkrun's kernel (libkrunfw) has no %s, which every sandbox needs: use --engine "
			"qemu",
			is_missing(missing, "overlay") ? "overlay" : "ext4");
	return 0;
}
