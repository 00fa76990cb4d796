/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of the NFS server, and the calls that wait for a thread. */
#pragma once

#include <pthread.h>

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

/* Sends what it can; the lock is held. What remains is kept, and `bytes`, where not NULL, is then taken.
 * calls: that they answer. */
void nfs3_connection_send(struct nfs3_connection *c, struct buffer *bytes, unsigned calls);

struct nfs3_job {
	struct nfs3_job *next;
	struct nfs3_connection *connection;
	struct buffer record;
	bool quick; /* nfs3_server_is_quick() */
};
