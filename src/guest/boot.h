/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's hand-over to HELLO: everything that is the same for all sandboxes, so that a template
 * holds it and its clones need not do it again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/network.h"
#include "guest/volumes.h"

/* Files that the agent puts into every sandbox: written at SETUP into a tmpfs of its own, bound over the
 * image's. */
enum boot_file { FILE_HOSTS, FILE_RESOLV_CONF, FILE_HOSTNAME, FILE_MACHINE_ID, FILE_BOOT_ID, FILE_COUNT };

#define BOOT_DIRECTORY "/run" /* of the root that the kernel gave us: a tmpfs of ours, hidden later */
#define BOOT_IMAGE     BOOT_DIRECTORY "/image"
#define BOOT_DISK      BOOT_DIRECTORY "/disk"
#define BOOT_MEMORY    BOOT_DIRECTORY "/memory"
#define BOOT_ROOT      BOOT_DIRECTORY "/root"

struct boot {
	int port;   /* the agent's port, non-blocking */
	int oom;    /* the agent's oom_score_adj, which its children inherit */
	int random; /* /dev/urandom */
	int cgroup; /* the sandbox's cgroup */
	int cgroup_pids_max, cgroup_memory_events, cgroup_kill;
	int files[FILE_COUNT];    /* open for writing, empty, with memory for a page of text */
	bool written[FILE_COUNT]; /* since: anybody may have written more */
	int trees[FILE_COUNT];    /* the same as detached mounts (open_tree) */
	char image[64], disk[64]; /* device nodes */
	int disk_mount;           /* the disk's file system, from SETUP on; -1: none */
	int memory_mount;         /* the one in memory, which holds the upper where there is no disk */
	int upper;                /* the overlay's upper directory, from SETUP on; -1: none */
	struct volumes volumes;   /* from SETUP on */
	uint32_t staged;          /* bit N: the mount N of SETUP is a staged volume */
	struct networks networks; /* from SETUP on */
	bool first;               /* SETUP has made the upper: nothing has run in the sandbox yet */
	char missing[200];
};

/* The directory for what is staged: on the disk where there is one, which outlives the machine. */
static inline int boot_storage(const struct boot *b)
{
	return b->disk_mount >= 0 ? b->disk_mount : b->memory_mount;
}

/* Whether what the agent starts from now on is spared where memory lacks: at first not. The agent itself
 * always is, as the first process (Linux, mm/oom_kill.c: oom_unkillable_task()). */
bool boot_spare(const struct boot *b, bool spare);

/* Boots; what fails is said in *err only where nothing can go on without it. */
int boot(struct boot *b, struct error *err);
