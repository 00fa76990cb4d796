/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `tmp`, and the sandbox that they and the words behind them ask for. */
#pragma once

#include "bin/monocore/command.h"

struct tmp_options {
	bool detach, remove, interactive, tty, no_tty, read_only, no_template, unconfined, plain_http,
		mount_cwd;
	const char *name, *workdir, *user, *hostname, *entrypoint, *exec, *stop_signal, *platform, *engine,
		*pull, *volume_driver, *rootfs, *reach, *ip, *subnet, *restart, *health_command;
	bool no_healthcheck;
	uint64_t cpus, memory, disk, pids, bandwidth, health_interval, health_timeout, health_start_period,
		health_retries;
	char **env, **env_files, **labels, **ulimits, **volumes, **ports, **groups, **aliases, **allow,
		**deny;
};

extern const struct option_spec tmp_option_rows[];

struct tmp_sandbox {
	struct monocore_sandbox_options options;
	/* what `options` points at */
	char *image, **env, **labels, **volumes, *directory;
	const char *entrypoint[2], *health_command[4];
	struct monocore_rlimit *rlimits;
	char **rlimit_names;
};

/* words: IMAGE[~SCRIPT], then perhaps "--", then the command. `sandbox` points into `given` and words
 * afterwards. */
int tmp_sandbox_fill(struct tmp_sandbox *sandbox, const struct tmp_options *given, int count, char **words,
	struct error *err);
void tmp_sandbox_release(struct tmp_sandbox *sandbox);

/* Parts an image's name from a script: "oci:./app~test" is "oci:./app" and "test". A '~' with a '/' behind
 * it is part of a path. *script points into text, or is NULL. *image is the caller's. */
int tmp_split_script(const char *text, char **image, const char **script, struct error *err);

/* "nofile=1024:2048", "core=0", "memlock=-1" (no limit). *name is the caller's. */
int tmp_parse_ulimit(const char *text, struct monocore_rlimit *limit, char **name, struct error *err);
