/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs about images share, and those below `monocore image` that have no file of their own name. */
#pragma once

#include "bin/monocore/command.h"

#define SHORT_DIGEST_SIZE 13

/* "sha256:0123456789abcdef…" → "0123456789ab"; "-" for "". Returns out or a constant. */
const char *short_digest(const char *digest, char out[SHORT_DIGEST_SIZE]);

extern const struct command image_ls_command;
extern const struct command image_mount_command;
extern const struct command image_rm_command;
extern const struct command image_inspect_command;
extern const struct command image_check_command;
extern const struct command image_prune_command;
