/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the NFS server's core, with its server and file system: calls as bytes, replies as bytes.
 * Whatever is not as the protocol has it fails the test. */
#pragma once

#include "codec/nfs3.h"
#include "codec/rpc.h"
#include "vfs/nfs3/server.h"

#define EXPORT "/3f9a41"

struct peer {
	struct vfs *fs;
	struct nfs3_server *server;
	struct nfs3_options options;
	struct rpc_credential who;
	struct nfs3_handle root;
	struct buffer reply;   /* of the last call */
	struct nfs3_tail tail; /* of its reply, where `tails` */
	bool tails;
	uint32_t xid;
	uint64_t number;
	struct rpc_reply header;
};

static const struct nfs3_options fixed = {.start = 1}, users = {.start = 1, .ids = NFS3_IDS_CLIENT};

/* Anew, where it runs. */
void start_server(struct peer *p);
/* Who makes the calls from now on. */
void be(struct peer *p, uint32_t uid, uint32_t gid);
/* The arguments of a call, already written, and its results, to be read. */
struct xdr call_raw(struct peer *p, uint32_t program, uint32_t version, uint32_t procedure,
	const struct buffer *arguments);
struct nfs3_results call(struct peer *p, uint32_t procedure, struct nfs3_arguments *a);
/* The status. */
uint32_t mount_path(struct peer *p, const char *path, struct nfs3_handle *handle);
/* Root, and the export is mounted; over a file system in memory. */
void peer_open(struct peer *p, const struct nfs3_options *options);
/* Over another file system, which becomes the peer's. */
void peer_open_over(struct peer *p, struct vfs *fs, const struct nfs3_options *options);
void peer_close(struct peer *p);
#define _cleanup_peer_ __attribute__((cleanup(peer_close)))
struct xdr_bytes text(const char *t);
struct nfs3_results at(struct peer *p, uint32_t procedure, struct nfs3_handle object);
struct nfs3_results named(struct peer *p, uint32_t procedure, struct nfs3_handle directory, const char *name);
struct nfs3_results try_create(
	struct peer *p, struct nfs3_handle directory, const char *name, enum nfs3_create how, uint32_t mode);
struct nfs3_handle create_file(struct peer *p, struct nfs3_handle directory, const char *name, uint32_t mode);
struct nfs3_handle make_directory(
	struct peer *p, struct nfs3_handle directory, const char *name, uint32_t mode);
struct nfs3_results try_write(
	struct peer *p, struct nfs3_handle file, uint64_t offset, const char *bytes, enum nfs3_stable stable);
struct nfs3_results try_read(struct peer *p, struct nfs3_handle file, uint64_t offset, uint32_t count);
struct nfs3_results try_set(struct peer *p, struct nfs3_handle object, struct nfs3_set set);
struct nfs3_attributes attributes_of(struct peer *p, struct nfs3_handle object);
bool same_handle(struct nfs3_handle a, struct nfs3_handle b);
