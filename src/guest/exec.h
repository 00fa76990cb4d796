/* SPDX-License-Identifier: Apache-2.0 */
/* EXEC made ready: user, environment, working directory, and the descriptors of both sides. */
#pragma once

#include <sys/types.h>

#include "codec/message.h"
#include "guest/agent.h"

/* Standard input, output and error: the agent's ends (non-blocking; -1: none) and the process's. */
struct exec_ends {
	int ours[3], theirs[3];
};
#define EXEC_ENDS_NONE \
	{ \
		{-1, -1, -1}, \
		{ \
			-1, -1, -1 \
		} \
	}
void exec_ends_close(struct exec_ends *e);

/* Spawns what EXEC asks for. The process's ends are closed, the agent's are left to the caller. */
int exec_spawn(struct agent *a, const struct message_exec *m, struct exec_ends *ends, pid_t *pid, int *status,
	struct error *err);
