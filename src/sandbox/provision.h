/* SPDX-License-Identifier: Apache-2.0 */
/* From options to a sandbox that can be started: its directory, its record, its disk. */
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "oci/image.h"
#include "sandbox/command.h"
#include "sandbox/directory.h"
#include "sandbox/home.h"
#include "sandbox/network.h"
#include "sandbox/record.h"

struct provision_options {
	const char *image, *platform;
	struct command_wishes wishes;
	const char *name, *workdir, *user, *hostname, *stop_signal,
		*engine,                 /* NULL: the image's or a default */
		*volume_driver, *rootfs; /* as in the record */
	const char *const *env, *const *labels;
	const char *restart;                                           /* NULL: no */
	const char *const *health_command;                             /* NULL: the image's; {NULL}: none */
	uint64_t health_interval, health_timeout, health_start_period; /* 0: the image's or a default */
	uint64_t health_retries;
	const char *const *volumes; /* as volume_parse() has them */
	const char *const *guarded; /* as in the record */
	struct network_wishes network;
	uint64_t cpus, memory, disk, pids; /* 0: a default */
	const struct message_rlimit *rlimits;
	uint32_t rlimit_count;
	bool tty, stdin_open, read_only, discard, no_template, unconfined;
	enum image_pull pull;
	bool plain_http;
	const struct progress *progress;
};

/* *name is the caller's. *d is locked by this process, so that nothing sweeps the sandbox away before a
 * supervisor takes the lock over. */
int provision(const struct home *home, const struct provision_options *options, struct directory *d,
	char **name, struct error *err);
