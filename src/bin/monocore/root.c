/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/root.h"

#include "bin/monocore/component.h"
#include "bin/monocore/later.h"
#include "bin/monocore/verbs.h"

static const struct option_spec shared[] = {
	{"directory", 'C', OPTION_STRING, "DIR", offsetof(struct global_options, directory),
		"work in DIR, as if started there"},
	{"config", 'c', OPTION_STRING, "FILE", offsetof(struct global_options, config),
		"the project's file; default: the nearest monocore.yaml upwards"},
	{"quiet", 'q', OPTION_FLAG, NULL, offsetof(struct global_options, quiet),
		"print names alone, and no progress"},
	{"verbose", 0, OPTION_FLAG, NULL, offsetof(struct global_options, verbose),
		"say on standard error what is being done"},
	{"help", 'h', OPTION_FLAG, NULL, offsetof(struct global_options, help), "show this help"},
	{NULL},
};

static const struct command *const children[] = {
	&init_command,
	&add_command,
	&remove_command,
	&list_command,
	&tree_command,
	&up_command,
	&down_command,
	&apply_command,
	&status_command,
	&tmp_command,
	&run_command,
	&start_command,
	&shell_command,
	&exec_command,
	&ps_command,
	&log_command,
	&stats_command,
	&events_command,
	&clean_command,
	&cp_command,
	&inspect_command,
	&wait_command,
	&stop_command,
	&kill_command,
	&pause_command,
	&resume_command,
	&restart_command,
	&rm_command,
	&snapshot_command,
	&snapshots_command,
	&restore_command,
	&fork_command,
	&commit_command,
	&install_command,
	&uninstall_command,
	&build_command,
	&pull_command,
	&push_command,
	&images_command,
	&rmi_command,
	&tag_command,
	&history_command,
	&save_command,
	&load_command,
	&image_command,
	&search_command,
	&login_command,
	&logout_command,
	&port_command,
	&net_command,
	&volume_command,
	&fs_command,
	&self_command,
	&version_command,
	&help_command,
#define X(identifier, verb, text) &later_##identifier,
	LATER_COMMANDS(X)
#undef X
		NULL,
};

static const struct environment_variable environment[] = {
	{"MONOCORE_HOME", "The directory of all state; default: ~/.monocore."},
	{"MONOCORE_DISK_RESERVE",
		"A size, such as 512M: a sandbox is started only where as much of the disk of MONOCORE_HOME "
		"is free. Default: 5 % of the disk, at least 1G."},
	{"MONOCORE_IMAGE_LIMITS",
		"What an image may cost, such as layer_bytes=64G,ratio=5000. layer_bytes: of one "
		"uncompressed "
		"layer (32G); root_bytes: of the root file system (64G); entries: files and directories "
		"(4000000); layers (512); ratio: uncompressed bytes for each compressed one, once past 64 "
		"MiB "
		"(1100)."},
	{"MONOCORE_START_TIMEOUT",
		"A duration, such as 20s or 1m: how long a guest may take for each step of its start, which "
		"are to boot (tried three times), to take over its disks, and to start its command. Default: "
		"what the engine finds long enough for a slow host, 30 seconds or more."},
	{"MONOCORE_STALL_TIMEOUT", "A duration, such as 10s: how long a connection to a registry may stand "
				   "still before another is tried. Default: 30 seconds."},
	{"MONOCORE_NETWORK_POOL", "Where groups get their networks from, and how large these are: RANGE, or "
				  "RANGE:BITS. Default: "
				  "10.0.0.0/8:24."},
	{"MONOCORE_LIBEXEC", "The directory of the programs that monocore starts; default: where it is "
			     "installed."},
	{"MONOCORE_UID_BASE",
		"Of root's sandboxes: the first of the user ids that their virtual machines run as, one for "
		"each; default: 1879048192."},
	{"MONOCORE_DEBUG", "Set: the supervisors of sandboxes say on standard error what they do."},
	{"DOCKER_CONFIG",
		"The directory of docker's config.json, which holds credentials for registries; default: "
		"~/.docker."},
	{"NO_COLOR", "Set: no colours."},
	{NULL},
};

static const struct command root = {
	.name = "monocore",
	.arguments = "COMMAND [ARGUMENT...]",
	.summary = "run OCI images in microVM sandboxes",
	.help = "Each sandbox is a small virtual machine with its own kernel, memory and disk, started in a "
		"fraction of a second by an ordinary user.\n\n"
		"State lives in $MONOCORE_HOME, by default ~/.monocore. Colours are used on a terminal only "
		"and "
		"never with NO_COLOR. The exit status is 0, 1 for a failure, 2 for wrong usage, 125 where a "
		"sandbox could not be started, 126 where its command cannot be executed, 127 where there is "
		"no "
		"such command, and otherwise the command's own (128+N where signal N ended it).",
	.examples = "monocore tmp oci:./image -- python3 -c 'print(\"hello\")'\n"
		    "monocore tmp -d --name web oci:./image\n"
		    "monocore exec web sh\n"
		    "monocore log -f web\n"
		    "monocore rm -f web",
	.options = root_rows,
	.children = children,
	.size = sizeof(struct root_options),
};

static const char *const groups[] = {
	[GROUP_SANDBOXES] = "Sandboxes",
	[GROUP_IMAGES] = "Images",
	[GROUP_HOST] = "This program",
	[GROUP_LATER] = NULL,
};

const struct program monocore_program = {
	.root = &root,
	.shared = shared,
	.environment = environment,
	.groups = groups,
	.complete_names = "self complete-names",
	.complete = "self completion",
	.version = monocore_version,
	.resolve = component_words,
};
