/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `volume` share. */
#pragma once

#include "bin/monocore/command.h"
#include "monocore_volume.h"

extern const struct command volume_ls_command, volume_inspect_command, volume_rm_command, volume_diff_command,
	volume_apply_command, volume_discard_command;

/* [SANDBOX] [PATH]...: NULL where none was named. */
void volume_words(char **words, const char **sandbox, const char *const **paths);
#define VOLUME_WORDS_HELP \
	"SANDBOX may be left out where only one has staged volumes (--volume DIR:PATH:stage). PATH is a " \
	"path as " \
	"the sandbox sees it, with all below it, or relative to its only staged volume; it begins with / " \
	"or ./ " \
	"where no SANDBOX stands before it. Without PATH everything is meant.\n\n"

/* Frees the list. Returns the exit status. */
int volume_print_changes(struct cli *cli, struct monocore_volume_change *list, size_t count, bool json);

/* A JSON array of those that are named; NULL: of all. Returns the exit status. */
int volumes_print_json(
	struct cli *cli, const struct monocore_volume_info *list, size_t count, char *const *names);
