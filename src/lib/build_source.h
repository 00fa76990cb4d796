/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where files are copied from: a directory of the host, or the root of an image. Paths are relative; of a
 * directory no link leads out of it, and in an image links lead within its root.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "codec/tar.h"
#include "disk/erofs_reader.h"
#include "oci/store.h"
#include "project/dockerignore.h"

struct build_source {
	int directory;                     /* of the host, or -1; owned */
	const struct dockerignore *ignore; /* may be NULL; borrowed */
	int image_fd;                      /* or of an image's root; owned */
	struct erofs_reader reader;
};
void build_source_close(struct build_source *s);

struct build_facts {
	enum tar_type type;
	bool skip; /* what is not copied: a socket */
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_nanoseconds, device_major, device_minor;
};

int build_source_directory(struct build_source *s, int directory, const char *path,
	const struct dockerignore *ignore, struct error *err);

/* Of the image of the store with a digest, whose root is made where it is missing. */
int build_source_image(struct build_source *s, struct store *store, const char *digest, struct error *err);

/* follow: links at the path's end, too. NOT_FOUND. *real (may be NULL): the path without links, the caller's.
 */
int build_source_stat(const struct build_source *s, const char *path, bool follow, struct build_facts *f,
	char **real, struct error *err);
/* The target of a link; the caller's. */
int build_source_link(const struct build_source *s, const char *path, char **target, struct error *err);
/* Names in a directory, sorted; those that are left out are not among them. */
int build_source_list(const struct build_source *s, const char *path, char ***names, struct error *err);

typedef int build_taker(void *context, const void *data, size_t n, struct error *err);
/* All bytes of a file: as many as f->size says, or BUSY. */
int build_source_read(const struct build_source *s, const char *path, const struct build_facts *f,
	build_taker *take, void *context, struct error *err);
/* Attributes of a file of an image, for e->xattrs; freed by tar_entry_free's like: build_xattrs_free(). */
int build_source_xattrs(const struct build_source *s, const char *path, struct tar_xattr **list,
	size_t *count, struct error *err);
void build_xattrs_free(struct tar_xattr *list, size_t count);
