/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server over TCP. All that it needs is open before it gives up everything else: what it serves, the key
 * and the index of its handles, the listening socket, and the netlink socket by which it learns whose a
 * connection is. Not before then does it read a byte of a client's.
 */
#include "bin/mcfs/nfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bin/mcfs/confine.h"
#include "codec/sha256.h"
#include "os/fs.h"
#include "os/landlock.h"
#include "os/socket_owner.h"
#include "sandbox/nfs_server.h"
#include "vfs/erofs/erofs.h"
#include "vfs/native/index_file.h"
#include "vfs/native/native.h"
#include "vfs/nfs3/server.h"
#include "vfs/nfs3/tcp.h"

#define INDEX_MOST  (1u << 21) /* objects whose handles outlive this process */
#define DESCRIPTORS 4096       /* for files that are known, and connections */

struct service {
	struct nfs_server_request q;
	struct native_index_file *index;
	struct vfs *fs;
	struct nfs3_server *server;
	struct nfs3_tcp *tcp;
	struct socket_owner_policy owners;
	uint16_t port;
};

static struct nfs3_tcp *running; /* for who ends it: a signal, or the end of the control socket */

/* ---- whose connections ------------------------------------------------------------------------------- */

/* Loopback is open to every user of this machine. Where connections of other machines are asked for, what
 * comes from there has the export's name, or handles, or gets nothing. */
static bool allowed(void *context, int fd)
{
	struct service *s = context;
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;
	const struct sockaddr_in *four = (const struct sockaddr_in *)&peer;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&peer;
	bool here;

	if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0)
		return false;
	here = peer.ss_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&six->sin6_addr)
					  : ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return !here || socket_owner_allows(&s->owners, fd);
}

/* ---- what is served ---------------------------------------------------------------------------------- */

static int open_index(struct service *s, struct error *err)
{
	static const char *const names[] = {NFS_SERVER_INDEX_0, NFS_SERVER_INDEX_1};
	int files[2];

	for (int i = 0; i < 2; i++) {
		files[i] = fs_open(NFS_SERVER_STATE, names[i], O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);
		if (files[i] < 0)
			return files[i];
	}
	return native_index_file_open(files, INDEX_MOST, &s->index, err);
}

static int open_source(struct service *s, struct error *err)
{
	struct native_options o = {.directory = NFS_SERVER_SOURCE,
		.owners = NATIVE_PLAIN,
		.read_only = s->q.flags & NFS_SERVER_READ_ONLY};

	if (s->q.flags & NFS_SERVER_IMAGE)
		return erofs_new(NFS_SERVER_SOURCE, &s->fs, err);
	o.index = native_index_file_calls(s->index);
	return native_new(&o, &s->fs, err);
}

static int set_options(struct service *s, struct nfs3_options *o, struct error *err)
{
	_cleanup_buffer_ struct buffer key = {0};
	uint8_t sum[SHA256_SIZE];
	int r = fs_read_file(NFS_SERVER_STATE, NFS_SERVER_KEY, NFS3_KEY_SIZE, &key, err);

	if (r == 0 && key.size != NFS3_KEY_SIZE)
		r = error_set(err, ERROR_CORRUPT, "the key of the handles has %zu bytes", key.size);
	if (r == 0)
		r = sha256_of(key.data, key.size, sum, err);
	if (r < 0)
		return r;
	*o = (struct nfs3_options){.export = s->q.export,
		.export_stays = s->q.flags & NFS_SERVER_STAYS,
		.lazy_names = s->q.flags & NFS_SERVER_ASYNC,
		.ids = NFS3_IDS_FIXED,
		.uid = geteuid(),
		.gid = getegid()};
	if (s->q.flags & NFS_SERVER_IMAGE)
		o->uid = o->gid = 0; /* whoever has the image may read all of it */
	else
		o->tidy = native_tidy;
	memcpy(o->key, key.data, sizeof o->key);
	memcpy(&o->fsid, sum, sizeof o->fsid);
	if (getrandom(&o->start, sizeof o->start, 0) != sizeof o->start)
		return error_errno(err, errno, "get random bytes");
	return 0;
}

static int open_sockets(struct service *s, int *listening, struct error *err)
{
	int r = nfs3_listen(s->q.address[0] ? s->q.address : NULL, s->q.port, listening, &s->port, err);

	if (r == 0)
		r = socket_owner_examine(err);
	if (r == 0)
		r = socket_owner_open(&s->owners.diag, err);
	s->owners.uid = geteuid();
	s->owners.kernel = true; /* "mount" is root's; name and handles are what it lacks */
	return r;
}

/* Of root alone: an ordinary user would need a user namespace, in which files of others have no owner any
 * more. What it gives cannot be read: of an image the file stays as it is open. */
static int isolate(const struct service *s, struct error *err)
{
	bool image = s->q.flags & NFS_SERVER_IMAGE;
	int copy = fcntl(NFS_SERVER_SOURCE, F_DUPFD_CLOEXEC, NFS_SERVER_LOCK + 1), r = 0;

	if (copy < 0)
		return error_errno(err, errno, "keep what is served");
	copy = mcfs_isolate(copy);
	if (!image && dup2(copy, NFS_SERVER_SOURCE) < 0)
		r = error_errno(err, errno, "keep what is served");
	close(copy);
	return r;
}

static int confine(struct service *s, struct error *err)
{
	unsigned rights = LANDLOCK_READ;
	int r;

	if (s->q.flags & NFS_SERVER_IMAGE)
		rights = 0;
	else if (!(s->q.flags & NFS_SERVER_READ_ONLY))
		rights |= LANDLOCK_WRITE;
	r = geteuid() == 0 ? isolate(s, err) : 0;
	if (r < 0)
		return r;
	return mcfs_confine(&(struct mcfs_tree){NFS_SERVER_SOURCE, rights}, 1, err);
}

static int prepare(struct service *s, struct error *err)
{
	const struct nfs3_tcp_options tcp = {.allowed = allowed, .context = s};
	struct nfs3_options o;
	int listening = -1, r = open_sockets(s, &listening, err);

	if (r == 0)
		r = set_options(s, &o, err);
	if (r == 0 && !(s->q.flags & NFS_SERVER_IMAGE))
		r = open_index(s, err);
	if (r == 0)
		r = confine(s, err);
	if (r == 0)
		r = open_source(s, err);
	if (r == 0)
		r = nfs3_server_new(s->fs, &o, &s->server, err);
	return r < 0 ? r : nfs3_tcp_new(s->server, listening, &tcp, &s->tcp, err);
}

/* Data of a call is a mebibyte at most, and to have that mapped anew each time costs as much as to copy it.
 */
static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void end(int signal)
{
	(void)signal;
	nfs3_tcp_stop(running);
}

static void *wait_for_end(void *context)
{
	char byte;

	while (recv(NFS_SERVER_CONTROL, &byte, 1, 0) < 0 && errno == EINTR)
		;
	nfs3_tcp_stop(running);
	return context;
}

static int answer(const struct service *s, int r, const struct error *err)
{
	struct nfs_server_answer a = {.code = r < 0 ? (uint32_t)err->code : 0, .port = s->port};

	if (r < 0)
		snprintf(a.text, sizeof a.text, "%.*s", (int)sizeof a.text - 1, err->text);
	return send(NFS_SERVER_CONTROL, &a, sizeof a, MSG_NOSIGNAL) == sizeof a ? r : -1;
}

static int run(struct service *s)
{
	struct sigaction action = {.sa_handler = end};
	pthread_t thread;

	running = s->tcp;
	sigaction(SIGTERM, &action, NULL);
	if (pthread_create(&thread, NULL, wait_for_end, NULL) != 0)
		return 1;
	return nfs3_tcp_run(s->tcp, NULL) < 0;
}

int mcfs_nfs(void)
{
	struct service s = {.owners.diag = -1};
	struct error err = {0};

	prctl(PR_SET_NAME, "mcfs-nfs");
	umask(0);
	mcfs_limit(DESCRIPTORS);
	keep_memory();
	if (recv(NFS_SERVER_CONTROL, &s.q, sizeof s.q, 0) != sizeof s.q || chdir("/") < 0)
		return 2;
	s.q.address[sizeof s.q.address - 1] = '\0';
	s.q.export[sizeof s.q.export - 1] = '\0';
	return answer(&s, prepare(&s, &err), &err) < 0 ? 1 : run(&s);
}
