/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: whole-file reads and writes, trees, locks. Every name is resolved against a directory descriptor
 * (AT_FDCWD is allowed), every descriptor is close-on-exec, EINTR is retried.
 */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

struct stat;

/* openat(2). Returns a descriptor. */
int fs_open(int dirfd, const char *path, int flags, mode_t mode, struct error *err);

/* openat2(2) (Linux 5.6) with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: no "..", absolute link or race
 * leads out of dirfd. Returns a descriptor. */
int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct error *err);

/* The path of what is open as fd, without links, for programs that take no descriptor. The caller frees it.
 * NOT_FOUND: it has none any more. */
int fs_path_of(int fd, char **path, struct error *err);

/* Whether the directory that is open as fd is the one of `above`, or lies in it, however deep: 1 or 0. */
int fs_lies_in(int fd, const struct stat *above, struct error *err);

/* Makes path and what is missing above it. A directory that is there already is fine. */
int fs_make_directories(int dirfd, const char *path, mode_t mode, struct error *err);

/* All of a file, at most `limit` bytes (else LIMIT), appended to out. */
int fs_read_file(int dirfd, const char *path, size_t limit, struct buffer *out, struct error *err);
/* The same where others may have put something else in its place: what is no regular file is CORRUPT, and
 * nobody waits for who writes to a FIFO. */
int fs_read_regular(int dirfd, const char *path, size_t limit, struct buffer *out, struct error *err);
int fs_read_fd(int fd, const char *name, size_t limit, struct buffer *out, struct error *err);

int fs_write_all(int fd, const void *data, size_t n, const char *name, struct error *err);

/* Replaces dirfd/name as a whole: written to a temporary name, synced, renamed, the directory synced.
 * Readers see the old bytes or the new ones, after a power cut too. The mode is set whatever the umask is.
 * name: no path, but a name in that directory. */
int fs_write_atomic(int dirfd, const char *name, const void *data, size_t n, mode_t mode, struct error *err);

/* A directory's names, "." and ".." left out: *list is the caller's (_cleanup_list_). fs_list_next() gives
 * NULL at the end, as for a list that is NULL; what it gave is good until it is called again. */
int fs_list_open(int dirfd, const char *path, DIR **list, struct error *err);
const char *fs_list_next(DIR *list);

static inline void cleanup_list(DIR **list)
{
	if (*list)
		closedir(*list);
}
#define _cleanup_list_ _cleanup_(cleanup_list)

/* Removes a file or a whole tree, however deep, without following links. What is not there is no error. */
int fs_remove_tree(int dirfd, const char *name, struct error *err);

enum fs_lock_mode { FS_LOCK_SHARED, FS_LOCK_EXCLUSIVE };

/* flock(2) on dirfd/name, made (0600) when missing. *fd is the caller's; closing it (or dying) lets go.
 * The lock is on the file that the name means now: one that was replaced or removed meanwhile is retried.
 * wait = false: BUSY where somebody else holds it. */
int fs_lock(int dirfd, const char *name, enum fs_lock_mode mode, bool wait, int *fd, struct error *err);

/* True where somebody holds a lock on dirfd/name that excludes a shared one. Makes nothing. */
bool fs_is_locked(int dirfd, const char *name);

/* Bytes of the file system behind fd: free for this user, and in all. */
int fs_space(int fd, uint64_t *free_bytes, uint64_t *total_bytes, struct error *err);
