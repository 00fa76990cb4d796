/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: always an argument vector, never a shell line; only the descriptors that are named. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

struct process_fd {
	int parent; /* the descriptor here */
	int child;  /* its number there */
};

struct process_spec {
	const char *path;        /* of the program; looked up in PATH where it has no slash */
	const char *const *argv; /* NULL-terminated */
	const char *const *env;  /* NULL-terminated; NULL: this process's */
	const struct process_fd
		*fds;    /* 0, 1 and 2 are /dev/null where not named; everything else is closed */
	size_t fd_count; /* at most 16; child numbers below 64 */
	bool new_session;
};

/* Starts a child. *pidfd (may be NULL) is readable once it has ended. An exec that fails is an error here. */
int process_spawn(const struct process_spec *spec, pid_t *pid, int *pidfd, struct error *err);

/* Waits for the child. *status: 0-255, 128+N where signal N ended it. */
int process_wait(pid_t pid, int *status, struct error *err);

struct process_run_options {
	const void *input; /* for its standard input, which ends behind it; NULL: /dev/null */
	size_t input_size;
	struct buffer *out; /* gets its standard output, within the limit without moving where room for limit
			       + 1 bytes is reserved; NULL: it is dropped */
	size_t limit;       /* bytes of that; more is an error, LIMIT */
	uint64_t timeout;   /* nanoseconds, from now; then it is killed: TIMEOUT */
	int *status;        /* gets what it ended with; NULL: other than 0 is an error, SYSTEM, that names the
			       command */
};

/* Runs a command to its end. Standard error is ours. */
int process_run(const char *const *argv, const struct process_run_options *o, struct error *err);

/* A program of that name is in PATH, where execvp(3) would find it. */
bool process_is_installed(const char *name);
