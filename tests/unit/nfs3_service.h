/* SPDX-License-Identifier: Apache-2.0 */
/* An NFS server on loopback over a file system in memory, in a thread, for tests. */
#pragma once

#include <pthread.h>

#include "os/socket_owner.h"
#include "vfs/nfs3/tcp.h"

#define SERVICE_EXPORT "/4d1f"

struct service {
	struct vfs *fs;
	struct nfs3_server *server;
	struct nfs3_tcp *tcp;
	pthread_t thread;
	uint16_t port;
	struct socket_owner_policy policy; /* connections of this user are taken */
};

/* The export's name is SERVICE_EXPORT whatever the options say. options->allowed is set where it is NULL. */
void service_open(struct service *s, const struct nfs3_options *options, const struct nfs3_tcp_options *tcp);
void service_close(struct service *s);
#define _cleanup_service_ __attribute__((cleanup(service_close)))
