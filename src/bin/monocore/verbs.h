/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs; each is defined in the file of its name. */
#pragma once

#include "bin/monocore/command.h"

extern const struct command tmp_command;
extern const struct command status_command;
extern const struct command up_command;
extern const struct command down_command;
extern const struct command apply_command;
extern const struct command exec_command;
extern const struct command run_command;
extern const struct command start_command;
extern const struct command shell_command;
extern const struct command install_command;
extern const struct command uninstall_command;
extern const struct command ps_command;
extern const struct command log_command;
extern const struct command stats_command;
extern const struct command events_command;
extern const struct command clean_command;
extern const struct command stop_command;
extern const struct command kill_command;
extern const struct command wait_command;
extern const struct command pause_command;
extern const struct command resume_command;
extern const struct command restart_command;
extern const struct command rm_command;
extern const struct command snapshot_command;
extern const struct command snapshots_command;
extern const struct command restore_command;
extern const struct command fork_command;
extern const struct command cp_command;
extern const struct command build_command;
extern const struct command commit_command;
extern const struct command pull_command;
extern const struct command push_command;
extern const struct command images_command;
extern const struct command rmi_command;
extern const struct command tag_command;
extern const struct command history_command;
extern const struct command save_command;
extern const struct command load_command;
extern const struct command image_command;
extern const struct command search_command;
extern const struct command login_command;
extern const struct command logout_command;
extern const struct command inspect_command;
extern const struct command help_command;
extern const struct command version_command;
extern const struct command fs_command;
extern const struct command volume_command;
extern const struct command net_command;
extern const struct command port_command;
extern const struct command self_command;
extern const struct command init_command;
extern const struct command add_command;
extern const struct command remove_command;
extern const struct command list_command;
extern const struct command tree_command;
