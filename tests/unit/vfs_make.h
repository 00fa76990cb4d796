/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in a file system behind vfs/vfs.h, for tests: calls that must succeed, and what is there. */
#pragma once

#include <errno.h>

#include "test.h"
#include "vfs/vfs.h"

/* A call that must not fail. */
#define CHECK_CALL(call) \
	do { \
		long long r_ = (long long)(call); \
		if (r_ < 0) \
			test_fail(__FILE__, __LINE__, "%s: %s", #call, strerror((int)-r_)); \
	} while (0)

/* A call that must fail with this errno. */
#define CHECK_ERRNO(call, number) \
	do { \
		long long r_ = (long long)(call); \
		if (r_ != -(long long)(number)) \
			test_fail(__FILE__, __LINE__, "%s returned %lld (%s), expected -%s", #call, r_, \
				r_ < 0 ? strerror((int)-r_) : "success", #number); \
	} while (0)

struct vfs_caller vfs_me(void); /* who runs the test, without a umask */

/* Made with mode 0644 or 0755 by vfs_me(); each is looked up once. */
uint64_t vfs_make_file(struct vfs *fs, uint64_t parent, const char *name);
uint64_t vfs_make_directory(struct vfs *fs, uint64_t parent, const char *name);
/* With n bytes of text as its data. */
uint64_t vfs_make_text(struct vfs *fs, uint64_t parent, const char *name, const char *text);

struct vfs_attributes vfs_attributes_of(struct vfs *fs, uint64_t ino);
struct vfs_attributes vfs_find(struct vfs *fs, uint64_t parent, const char *name); /* not looked up */
int vfs_look(struct vfs *fs, uint64_t parent, const char *name); /* as vfs_lookup(), not looked up */

vfs_handle vfs_opened(struct vfs *fs, uint64_t ino, unsigned flags);
void vfs_put(struct vfs *fs, uint64_t ino, uint64_t offset, const char *text);
/* The bytes there are the text. */
void vfs_check_bytes(struct vfs *fs, uint64_t ino, uint64_t offset, const void *bytes, size_t size);
void vfs_check_text(struct vfs *fs, uint64_t ino, const char *text); /* the whole file */

/* So long that even a coarse clock of a kernel goes on. */
void vfs_let_time_pass(void);
int vfs_compare_times(struct vfs_time a, struct vfs_time b);

/* A listing that is kept. */
struct vfs_listing {
	struct vfs_listed {
		char name[VFS_NAME_MAX + 1];
		uint64_t ino, cookie;
		uint32_t type;
		bool attributes;
		struct vfs_attributes values;
	} * entries;
	size_t count, room; /* room 0: without end */
	size_t allocated;
};
#define _cleanup_listing_ __attribute__((cleanup(vfs_listing_free)))
void vfs_listing_free(struct vfs_listing *listing);
/* Entries behind `cookie`, until `room` are there: appended. Returns how many came. */
size_t vfs_list(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	size_t room, struct vfs_listing *listing);
/* How often the name comes; *entry, where not NULL, gets the last. */
size_t vfs_listed(const struct vfs_listing *listing, const char *name, const struct vfs_listed **entry);
