/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that a confined program cannot make, whatever it is, as one table; and answers to its
 * opens, by which it gets single files of the host opened for it without a path to them.
 *
 * The filter denies (EPERM, or ENOSYS where libraries then fall back): new sockets, other processes'
 * memory, signals to others, mounts, namespaces, keys, tracing, BPF, io_uring, what loads code into the
 * kernel. It is for programs that get all their sockets as descriptors.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

#define SECCOMP_FILTER_MAX 512

struct seccomp_filter {
	struct sock_filter code[SECCOMP_FILTER_MAX];
	unsigned short size;
	bool overflow;
};

/* The filter for the process `self` (its pid in its own namespace). notify: opens for reading and writing
 * wait for seccomp_answer() in the parent, and fail once nobody answers. */
void seccomp_filter_build(struct seccomp_filter *f, pid_t self, bool notify);

/* The same for a process that serves files (landlock tells which): it may watch directories and, with
 * `write`, set names, owners, modes, times and attributes. */
void seccomp_filter_build_files(struct seccomp_filter *f, pid_t self, bool write);

/* The same for a process that writes files which others write as well: it may lock them. It starts no
 * program. */
void seccomp_filter_build_locks(struct seccomp_filter *f, pid_t self);

/* A system call that a program may make. */
struct seccomp_call {
	int number;
	int argument;           /* that has to have one of the values; with 0 values: any may */
	unsigned char count;    /* of values */
	const unsigned *values; /* of the argument's lower half */
};

/* The filter of a program whose calls are known: all but these do not exist (ENOSYS, on which libraries fall
 * back to older ones). */
void seccomp_filter_build_calls(struct seccomp_filter *f, const struct seccomp_call *calls, size_t count);

/* Installs it in the calling thread, which has no_new_privs. *listener (where notify was set) gets the
 * descriptor of the notifications. Async-signal-safe; -1 with errno. */
int seccomp_filter_enter(const struct seccomp_filter *f, int *listener);

/* open(path, O_RDWR) of the confined program is answered by a copy of fd, however that was opened. */
struct seccomp_grant {
	const char *path;
	int fd;
	bool taken; /* set by seccomp_answer(): it was asked for, and given */
};

/* Takes one notification from the listener and answers it: the grant's descriptor, or EACCES. */
int seccomp_answer(int listener, struct seccomp_grant *grants, size_t count, struct error *err);
