/* SPDX-License-Identifier: Apache-2.0 */
/* A native file system over a directory in /tmp, with something beside the directory that must not be
 * reached. */
#pragma once

#include <stdio.h>
#include <unistd.h>

#include "vfs/native/native_parts.h"

struct place {
	char path[32];
	int outside, inside; /* the second is in the first, as "in" */
	struct vfs *fs;
};

void place_serve(struct place *p, struct native_options options);
void place_open(struct place *p, struct native_options options);
void place_close(struct place *p);
void put_file(int at, const char *name, const char *text);
const char *xattr_of(const struct place *p, const char *name, const char *xattr);
const char *override_of(const struct place *p, const char *name);
uint32_t host_mode(const struct place *p, const char *name);
struct vfs_attributes place_set(
	struct vfs *fs, uint64_t ino, unsigned what, uint32_t mode, uint32_t uid, uint32_t gid);
uint64_t place_make(struct vfs *fs, const char *name, uint32_t mode, uint32_t uid);
/* Long enough for what was seen to be beneath to be looked at again. */
void let_confirmations_expire(void);

/* In a child that may mount: runs `body` with a file system of the type mounted on "mounted". */
void with_mount(struct place *p, const char *type, void (*body)(struct place *p));

/* Checks for `body`. */
#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

#define EXPECT_INT(actual, expected) \
	do { \
		long long a_ = (long long)(actual), e_ = (long long)(expected); \
		if (a_ != e_) { \
			printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #actual, a_, e_); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)
