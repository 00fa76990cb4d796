/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mfsd/nfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "codec/secret.h"
#include "codec/sha256.h"
#include "os/fs.h"
#include "os/socket_owner.h"
#include "vfs/nfs3/server.h"
#include "vfs/nfs3/tcp.h"

#define KEY "nfs-key"

struct mfsd_nfs {
	struct socket_owner_policy owners;
	struct nfs3_server *server;
	struct nfs3_tcp *tcp;
	uint16_t port;
	char export[34]; /* "/" and 32 digits */
};

static int random_bytes(void *to, size_t n, struct error *err)
{
	return getrandom(to, n, 0) == (ssize_t)n ? 0 : error_errno(err, errno, "get random bytes");
}

/* The same from one mount to the next. */
static int get_key(int repository, uint8_t key[NFS3_KEY_SIZE], struct error *err)
{
	_cleanup_secret_buffer_ struct buffer b = {0};
	int r = fs_read_file(repository, KEY, NFS3_KEY_SIZE, &b, err);

	if (r == -ERROR_NOT_FOUND) {
		r = random_bytes(key, NFS3_KEY_SIZE, err);
		return r < 0 ? r : fs_write_atomic(repository, KEY, key, NFS3_KEY_SIZE, 0600, err);
	}
	if (r == 0 && b.size != NFS3_KEY_SIZE)
		r = error_set(err, ERROR_CORRUPT, "the key of NFS' handles (" KEY ") has %zu bytes", b.size);
	if (r == 0)
		memcpy(key, b.data, NFS3_KEY_SIZE);
	return r;
}

static int set_options(struct mfsd_nfs *n, int repository, struct nfs3_options *o, struct error *err)
{
	uint8_t sum[SHA256_SIZE], name[16];
	int r = get_key(repository, o->key, err);

	if (r == 0)
		r = sha256_of(o->key, sizeof o->key, sum, err);
	if (r == 0)
		r = random_bytes(name, sizeof name, err);
	if (r == 0)
		r = random_bytes(&o->start, sizeof o->start, err);
	if (r < 0)
		return r;
	n->export[0] = '/';
	for (size_t i = 0; i < sizeof name; i++)
		snprintf(n->export + 1 + 2 * i, 3, "%02x", name[i]);
	memcpy(&o->fsid, sum, sizeof o->fsid);
	o->export = n->export;
	o->export_stays = true;
	o->ids = NFS3_IDS_FIXED;
	o->uid = geteuid();
	o->gid = getegid();
	return 0;
}

/* Loopback is open to every user of this machine: whose a connection is decides. */
static int open_sockets(struct mfsd_nfs *n, int *listening, struct error *err)
{
	int r = nfs3_listen(NULL, 0, listening, &n->port, err);

	if (r == 0)
		r = socket_owner_examine(err);
	if (r == 0)
		r = socket_owner_open(&n->owners.diag, err);
	n->owners.uid = geteuid();
	n->owners.kernel = true; /* "mount" is root's; name and handles are what it lacks */
	return r;
}

int mfsd_nfs_open(int repository, struct vfs *fs, struct mfsd_nfs **out, struct error *err)
{
	_cleanup_(cleanup_mfsd_nfs) struct mfsd_nfs *n = calloc(1, sizeof *n);
	const struct nfs3_tcp_options tcp = {
		.allowed = socket_owner_allows, .context = n ? &n->owners : NULL};
	struct nfs3_options o = {0};
	int listening = -1, r;

	if (!n)
		return error_no_memory(err, "serve NFS");
	n->owners.diag = -1;
	r = open_sockets(n, &listening, err);
	if (r == 0)
		r = set_options(n, repository, &o, err);
	if (r == 0)
		r = nfs3_server_new(fs, &o, &n->server, err);
	explicit_bzero(o.key, sizeof o.key);
	if (r == 0)
		r = nfs3_tcp_new(n->server, listening, &tcp, &n->tcp, err);
	else if (listening >= 0)
		close(listening);
	if (r == 0)
		*out = TAKE_PTR(n);
	return r;
}

uint16_t mfsd_nfs_port(const struct mfsd_nfs *n)
{
	return n->port;
}

const char *mfsd_nfs_export(const struct mfsd_nfs *n)
{
	return n->export;
}

int mfsd_nfs_run(struct mfsd_nfs *n, struct error *err)
{
	return nfs3_tcp_run(n->tcp, err);
}

void mfsd_nfs_stop(struct mfsd_nfs *n)
{
	nfs3_tcp_stop(n->tcp);
}

void mfsd_nfs_free(struct mfsd_nfs *n)
{
	if (!n)
		return;
	nfs3_tcp_free(n->tcp);
	nfs3_server_free(n->server);
	if (n->owners.diag >= 0)
		close(n->owners.diag);
	free(n);
}
