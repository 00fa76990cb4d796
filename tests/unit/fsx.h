/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on one file, each compared with a buffer in memory: what a file system loses, moves,
 * shows twice or forgets to clear is found, with the operations that led to it. The idea is fsx's, of NeXT
 * and Apple.
 *
 * What is tried is a table of calls: of a file system behind vfs/vfs.h (fsx_vfs.h), of the kernel on a path
 * (fsx_path.h), or of a client library. fsx.c and fsx_path.c need nothing but a C library: they run in
 * guests, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FSX_FILE_MOST (256u << 10)

enum fsx_allocate { FSX_EXTEND, FSX_RESERVE, FSX_PUNCH, FSX_ZERO, FSX_ZERO_KEEP, FSX_ALLOCATE_COUNT };

/* Counts or 0, or a negative errno. A call that is NULL is not tried. Reads and writes carry up to 40 KiB,
 * but that read() is asked for FSX_FILE_MOST now and then. */
struct fsx_target {
	void *context;
	int64_t (*size)(void *context);
	int64_t (*read)(void *context, void *bytes, size_t size, uint64_t offset);
	int64_t (*write)(void *context, const void *bytes, size_t size, uint64_t offset);
	int (*truncate)(void *context, uint64_t size);
	int64_t (*append)(void *context, const void *bytes, size_t size);
	int (*allocate)(void *context, enum fsx_allocate how, uint64_t offset, uint64_t size);
	int64_t (*seek)(void *context, uint64_t offset, bool hole);
	/* By a mapping of the file; what is asked for is in it. */
	int (*map_read)(void *context, void *bytes, size_t size, uint64_t offset);
	int (*map_write)(void *context, const void *bytes, size_t size, uint64_t offset);
	int (*sync)(void *context);
	int (*reopen)(void *context);
	/* Another file with these bytes takes its name; what was open is let go. */
	int (*replace)(void *context, const void *bytes, size_t size);
};

struct fsx_options {
	uint32_t seed;
	unsigned operations;
	unsigned whole;    /* all of the file is compared every so many operations; 0: 100 */
	const void *start; /* what the file has at the beginning, at most FSX_FILE_MOST */
	size_t start_size;
};

/* How many make a trial: 20,000; or 2,000, where MC_FEWER is in the environment: what the plain programs try
 * whole is tried for memory (under sanitizers) and for the user (as root) once more. */
unsigned fsx_operations(void);

struct fsx_report {
	unsigned done; /* operations */
	char text[4096];
};

/* True where all is as it must be. Else the report says what differs, the seed, the operation's number, and
 * the last operations. */
bool fsx_run(const struct fsx_target *target, const struct fsx_options *options, struct fsx_report *report);
