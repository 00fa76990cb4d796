/* SPDX-License-Identifier: Apache-2.0 */
/* What `install` says in the words of `tmp`, and what is installed. */
#pragma once

#include "bin/monocore/command.h"

/* Of a command that is installed: filled by the options. */
struct install_wishes {
	bool mount_cwd;
	uint64_t cpus, memory; /* 0: the default */
	char **env, **volumes, **ports, **allow, **deny;
	const char *workdir, *user, *entrypoint, *reach;
};

/* The words behind `tmp` that run `image` so, up to where the command's own arguments follow. `json` is what
 * monocore_image_inspect() says of the image: NOT_FOUND where it has no such script, INVALID where it says
 * nothing to run. Relative paths become absolute. *words is the caller's. */
int install_words(const struct install_wishes *wishes, const char *image, const char *script,
	const char *json, char ***words, struct error *err);

/* Prints the commands in ~/.local/bin that are ours. Returns the exit status. */
int install_list(struct cli *cli, bool json);
