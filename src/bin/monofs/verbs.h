/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs; each is defined in the file of its name. */
#pragma once

#include "bin/cli/command.h"

/* trees */
extern const struct command init_command;
extern const struct command tmp_command;
extern const struct command clone_command;
extern const struct command mount_command;
extern const struct command detach_command;
extern const struct command import_command;
extern const struct command export_command;
extern const struct command restore_command;
/* revisions */
extern const struct command rev_command;
extern const struct command commit_command;
extern const struct command tag_command;
extern const struct command checkout_command;
extern const struct command diff_command;
extern const struct command ls_command;
extern const struct command cat_command;
/* repository */
extern const struct command stats_command;
extern const struct command check_command;
extern const struct command gc_command;
extern const struct command repack_command;
extern const struct command key_command;
extern const struct command key_list_command;
extern const struct command key_add_command;
extern const struct command key_remove_command;
extern const struct command key_rotate_command;
/* this program */
extern const struct command completion_command;
extern const struct command complete_names_command;
extern const struct command man_command;
extern const struct command version_command;
extern const struct command help_command;
extern const struct command sync_command;
