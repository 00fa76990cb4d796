/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libmonocore and `mcfs nfs` agree on. mcfs has what it serves on one descriptor, and on another one end
 * of a SOCK_SEQPACKET: one request comes, one answer goes, and then it serves until the other end is closed.
 * What is secret comes with the request, since arguments are for all to see. Both are of one build: structs
 * travel as they are.
 */
#pragma once

#include <stdint.h>

enum nfs_server_fd {
	NFS_SERVER_SOURCE = 3, /* a directory, or an image's EROFS file */
	NFS_SERVER_CONTROL = 4,
	NFS_SERVER_STATE = 5, /* the directory of docs/formats/nfs.md */
	NFS_SERVER_LOCK = 6   /* on it: held for as long as the process lives */
};

#define NFS_SERVER_KEY     "key"
#define NFS_SERVER_INDEX_0 "index.0"
#define NFS_SERVER_INDEX_1 "index.1"

enum nfs_server_flags {
	NFS_SERVER_READ_ONLY = 1,
	NFS_SERVER_IMAGE = 2, /* the source is an image */
	NFS_SERVER_STAYS = 4, /* the export may be mounted more than once */
	NFS_SERVER_ASYNC = 8  /* changes of names are not synced before they are answered */
};

struct nfs_server_request {
	uint32_t flags;
	uint16_t port;    /* 0: any that is free */
	char address[64]; /* numeric; "": 127.0.0.1 */
	char export[260]; /* the path that is mounted */
};

/* Code 0, or why it does not serve. */
struct nfs_server_answer {
	uint32_t code; /* enum error_code */
	uint16_t port;
	char text[506];
};
