/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a process of the sandbox: what happens between fork and exec, and how it failed. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "codec/message.h"
#include "codec/passwd.h"

struct spawn {
	char *const *argv; /* argv[0] is looked up in env's PATH */
	char *const *env;
	const struct passwd_user *user;
	const struct message_rlimit *rlimits;
	uint32_t rlimit_count;
	const char *workdir; /* made where it is missing */
	int stdio[3];        /* become 0, 1 and 2 */
	bool tty;            /* stdio is a terminal that becomes the controlling one */
	int cgroup;          /* born in it */
};

/* *pid runs; *status tells by spawn_result() whether it has become the command. Errors: LIMIT where the
 * sandbox has all the processes that it may have. */
int spawn(const struct spawn *s, pid_t *pid, int *status, struct error *err);

/* 1: the command runs; 0: not yet known; negative: it does not, NO_COMMAND or CANNOT_EXECUTE in most cases.
 * `workdir` is what struct spawn had, for the error's text.
 */
int spawn_result(int status, const char *command, const char *workdir, struct error *err);
