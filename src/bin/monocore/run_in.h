/* SPDX-License-Identifier: Apache-2.0 */
/* One command in a sandbox that runs, or that is started for it: what `run`, `start` and `shell` do. */
#pragma once

#include "bin/monocore/command.h"
#include "bin/monocore/streams.h"

struct run_in {
	const char *name;       /* of a component of the project, or of a sandbox */
	const char *script;     /* NULL: start */
	const char *line;       /* what the shell runs in place of a script; NULL: none */
	bool shell;             /* the shell itself, in place of a script */
	char *const *arguments; /* behind it */
	struct streams_wish streams;
	char *const *env, *const *env_files;
	const char *user, *workdir; /* NULL: the sandbox's */
	bool grant;                 /* what reaches out of the project */
};

/* Returns the exit status. */
int run_in_sandbox(struct cli *cli, const struct run_in *wish);
