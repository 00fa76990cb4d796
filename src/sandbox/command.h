/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox runs: the image's config and the user's wishes, by the rules of `docker run`. Pure. */
#pragma once

#include "base/error.h"
#include "oci/image.h"

struct command_wishes {
	const char *const *command;    /* replaces Cmd; NULL: the image's */
	const char *const *entrypoint; /* replaces Entrypoint and drops Cmd; {"", NULL} or {NULL}: none */
	const char *shell_command;     /* `/bin/sh -c` in place of both */
	const char *script;            /* a name in the label dev.monocore.scripts; "start" always exists */
};

/* The argument vector; the caller frees the list. INVALID where nothing is left to run, NOT_FOUND with the
 * names there are for an unknown script. */
int command_resolve(const struct image_config *config, const struct command_wishes *wishes, char ***argv,
	struct error *err);

/* The image's environment with the user's ("KEY=value") over it, in the image's order. */
int command_environment(
	const struct image_config *config, const char *const *wishes, char ***env, struct error *err);

/* "SIGTERM", "TERM", "15" → 15. INVALID for what is no signal. "" → SIGTERM. */
int command_signal(const char *text, int *signal, struct error *err);

/* One line for people: arguments quoted where a shell would need it, cut at 200 bytes. NULL: no memory. */
char *command_line(char *const *argv, struct error *err);
