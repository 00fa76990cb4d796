/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the server over TCP share: connections, calls that wait for a thread, and the threads. */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "codec/rpc.h"
#include "vfs/nfs3/tcp.h"

/* A reply that could not be sent at once. */
struct nfs3_unsent {
	struct nfs3_unsent *next;
	struct buffer bytes;
	size_t sent;
	unsigned calls; /* that it answers */
};

struct nfs3_connection {
	int fd;
	uint64_t peer;
	struct rpc_reader in; /* of the thread that reads */
	struct nfs3_connection *next;

	pthread_mutex_t lock; /* of what follows */
	struct nfs3_unsent *first, **last;
	unsigned calls;   /* read, and their replies not sent */
	unsigned running; /* of these, with a thread or waiting for one */
	bool full;        /* reading stopped, since there were too many calls */
	bool dead;        /* to be closed when nothing runs any more */
};

struct nfs3_connection *nfs3_connection_new(int fd, uint64_t peer); /* takes fd where it succeeds */
void nfs3_connection_free(struct nfs3_connection *c);

/* Sends what it can; the lock is held. What remains is kept, and `bytes` is then taken. calls: that they
 * answer. */
void nfs3_connection_send(
	struct nfs3_connection *c, struct buffer *bytes, struct nfs3_tail *tail, unsigned calls);
void nfs3_connection_send_waiting(struct nfs3_connection *c); /* nothing new; the lock is held */

struct nfs3_job {
	struct nfs3_job *next;
	struct nfs3_connection *connection;
	struct buffer record;
	bool quick; /* nfs3_server_is_quick() */
};

struct nfs3_tcp {
	struct nfs3_server *server;
	struct nfs3_tcp_options options;
	int listening;
	int wake[2]; /* a pipe: ends the wait of the thread that reads */
	_Atomic bool stopped;
	struct nfs3_connection *connections; /* of the thread that reads */
	unsigned count;
	struct pollfd *polled; /* the pipe, the listening socket, the connections in their order */
	struct nfs3_job *read_first, **read_last; /* what was read in this turn */
	unsigned read_count;
	bool no_room, untidy;
	uint64_t tidied; /* clock_monotonic() */

	pthread_mutex_t lock; /* of the jobs */
	pthread_cond_t more;
	struct nfs3_job *first, **last;
	unsigned queued;
	bool closing;
	bool reading;  /* one thread reads, or waits for something to read */
	bool watching; /* one sleeps for a moment only */
	unsigned processors;
	unsigned quick_running; /* threads that make quick calls */
	uint64_t batches;       /* that were begun */
	uint64_t batches_seen;  /* when somebody last began to watch */
	pthread_t *threads;     /* beside that of nfs3_tcp_run() */
	unsigned thread_count;
};

/* ---- tcp.c: of the thread that reads ------------------------------------------------------------------ */

void nfs3_tcp_turn(struct nfs3_tcp *t);    /* waits for something to read, or to send, and does it */
void nfs3_tcp_publish(struct nfs3_tcp *t); /* what was read is there to be made; the lock is held */
void nfs3_tcp_wake(struct nfs3_tcp *t);    /* from any thread: ends its wait */

/* ---- workers.c ---------------------------------------------------------------------------------------- */

int nfs3_tcp_start_workers(struct nfs3_tcp *t, struct error *err); /* beside the calling thread */
void *nfs3_tcp_work(void *tcp);                                    /* until nfs3_tcp_stop() */
void nfs3_tcp_end_workers(struct nfs3_tcp *t);
