/* SPDX-License-Identifier: Apache-2.0 */
/* What volumes.c and the loop of its thread share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "codec/volume.h"
#include "sandbox/supervisor/volume_keeper.h"
#include "sandbox/supervisor/volume_mux.h"
#include "sandbox/supervisor/volumes.h"
#include "sandbox/volume_server.h"

enum server_state {
	SERVER_NONE,     /* to be asked for at `next` */
	SERVER_ASKED,    /* mcfs was asked */
	SERVER_GREETING, /* it is there; its greeting is not */
	SERVER_SERVING,
	SERVER_OVER
};

struct server {
	enum server_state state;
	int fd, pid_fd;
	uint64_t next, begun; /* clock_monotonic() */
	unsigned failures;    /* in a row */
	bool replaces;        /* there was one before, */
	uint64_t until; /* who gave out nothing that was made later (clock_realtime()); 0: who just ended */
	bool counted;   /* one was ready */
	struct volume_server_greeting greeting;
	size_t greeted; /* bytes of it that have come */
};

struct volumes {
	uint32_t count;
	char **targets;              /* mount points, for messages */
	uint32_t flags[VOLUMES_MAX]; /* volumes_flags() */
	bool nfs;
	struct keeper keeper;
	int wake;         /* eventfd: the loop is to look at what is below */
	_Atomic int port; /* -1: not connected */
	atomic_bool stop;
	int news[2]; /* a pipe of struct error */
	pthread_t thread;
	bool threaded;

	pthread_mutex_t mutex; /* of the following */
	pthread_cond_t changed;
	uint32_t ready; /* volumes whose first server has greeted */
	bool failed;
	struct error failure; /* of one that has not */

	ino_t roots[VOLUMES_MAX]; /* inodes of the directories */
	uint64_t saved; /* when the guest was, of which this one's is a copy (clock_realtime()); 0: it is none
			 */

	/* the loop's own, while it holds `turn`: it gives that away where it waits, and who holds still has
	 * it */
	pthread_mutex_t turn;
	bool still;
	struct volume_mux *mux;
	struct server servers[VOLUMES_MAX];
};

/* Asks mcfs for a server. */
void volume_loop_ask(struct volumes *v, uint32_t number);

/* Reads what the guest has written until now. */
void volume_loop_drain(struct volumes *v);

/* Runs until `stop`. */
void volume_loop(struct volumes *v);
