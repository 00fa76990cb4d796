/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program that is not trusted, with nothing but what is named: descriptors, a few read-only paths,
 * limits. The layers, each of which the host may lack:
 *
 *   namespaces   user (for an ordinary user), mount, pid, net, ipc, uts; a root directory of its own
 *   landlock     the same paths once more, nothing else of any file system
 *   seccomp      no sockets, no signals to others, no view of other processes (os/seccomp.h)
 *   always       no_new_privs, no capability, RLIMITs, no core file, the end with the parent's
 *
 * A host that gives neither namespaces nor landlock starts nothing, unless `unconfined` says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "os/namespaces.h"
#include "os/process.h"

/* Bits of `confine_spec.without` (for tests) and of `confined.layers`. */
enum confine_layer {
	CONFINE_USER = 1,
	CONFINE_MOUNT = 2,
	CONFINE_PID = 4,
	CONFINE_NET = 8,
	CONFINE_IPC = 16,
	CONFINE_UTS = 32,
	CONFINE_LANDLOCK = 64,
	CONFINE_SECCOMP = 128,
	CONFINE_NAMESPACES = 63
};

struct confine_spec {
	const char *program;     /* absolute path; the program may read and execute itself */
	const char *const *argv; /* NULL-terminated */
	const char *const *env;  /* NULL-terminated */
	const struct process_fd
		*fds;    /* 0, 1 and 2 are /dev/null where not named; everything else is closed */
	size_t fd_count; /* at most 32; child numbers below 64 */
	const struct namespace_path *paths; /* read and execute; besides the program */
	size_t path_count;
	bool notify; /* opens for reading and writing wait for seccomp_answer() on confined.listener */
	uid_t uid;   /* started as root: its user and group; 0: the caller's */
	uint64_t memory_limit; /* RLIMIT_AS; 0: none */
	uint64_t file_limit;   /* RLIMIT_FSIZE */
	bool unconfined;
	unsigned without; /* layers that are left out */
};

struct confined {
	pid_t pid; /* in the caller's namespace */
	int pid_fd;
	int listener;    /* or -1 */
	unsigned layers; /* that are in force */
};

/* Starts the program. An exec that fails is an error here. The program ends when the calling *thread* does
 * (PR_SET_PDEATHSIG). UNAVAILABLE: the host can not confine it. */
int confine_spawn(const struct confine_spec *spec, struct confined *c, struct error *err);

/* What this host offers, found out by trying with a program that does nothing (/bin/true). */
int confine_examine(unsigned *layers, struct error *err);
