/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings an NFS server's calls and replies over TCP: a few threads, one of which reads all connections, make
 * the calls, which block as the file system does. One port has both programs, NFS and MOUNT.
 *
 * A connection is judged before a byte of it is read. Each has at most `calls` calls that were read and whose
 * replies were not yet sent; then nothing more is read of it, so that a client which is slow or asks for too
 * much stops itself and nobody else, and takes (calls + 1) * (1 MiB and a little) of memory at most.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vfs/nfs3/server.h"

struct nfs3_tcp;

struct nfs3_tcp_options {
	/* Whether a connection that was just accepted may stay; NULL: all may. From one thread at
	 * a time. */
	bool (*allowed)(void *context, int fd);
	void *context;
	unsigned threads;     /* that make calls; 0: 8 */
	unsigned connections; /* beyond these new ones are closed at once; 0: 32 */
	unsigned calls;       /* of each connection; 0: 16 */
};

/* A listening socket. address: numeric, IPv4 or IPv6; NULL: 127.0.0.1. port 0: any, which *bound tells.
 * Errors: INVALID, SYSTEM, DENIED. */
int nfs3_listen(const char *address, uint16_t port, int *fd, uint16_t *bound, struct error *err);

/* The server is borrowed, the listening socket is taken (on failure, too); -1: there is none, and
 * nfs3_tcp_run() ends with the last connection of nfs3_tcp_adopt(). */
int nfs3_tcp_new(struct nfs3_server *server, int listening, const struct nfs3_tcp_options *options,
	struct nfs3_tcp **out, struct error *err);

/* Before nfs3_tcp_run(): one more connection, a stream socket that is taken (on failure, too), and is not
 * judged. Errors: NO_MEMORY, SYSTEM. */
int nfs3_tcp_adopt(struct nfs3_tcp *t, int fd, struct error *err);

/* Serves until nfs3_tcp_stop(). Then calls that are under way are finished, and connections closed. */
int nfs3_tcp_run(struct nfs3_tcp *t, struct error *err);
void nfs3_tcp_stop(struct nfs3_tcp *t); /* from any thread, or a signal handler */

void nfs3_tcp_free(struct nfs3_tcp *t); /* not while it runs */
CLEANUP_DEFINE(nfs3_tcp, struct nfs3_tcp, nfs3_tcp_free);
