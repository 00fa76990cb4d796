/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers of NFS: each a process of its own (mcfs nfs), which ends with whoever has its control socket. What
 * stays of it, so that handles go on leading to their objects after a restart, is in the home, named by the
 * identity of what is served (docs/formats/nfs.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "lib/mount.h"
#include "os/fs.h"
#include "os/process.h"
#include "sandbox/nfs_server.h"
#include "sandbox/programs.h"

#define KEY_SIZE     32u
#define NAME_SIZE    16u /* random bytes of an export's name */
#define STATE_DIGITS 32

struct monocore_server {
	struct monocore_server_info info;
	pid_t pid;
	int control;
};

/* What is opened for the process. */
struct parts {
	int source, state, lock;
	bool image;
};

static void parts_close(struct parts *p)
{
	int fds[] = {p->source, p->state, p->lock};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* ---- what is kept ------------------------------------------------------------------------------------ */

/* The same for the same directory, whatever it is called: by the file system, the inode and when it was made.
 */
static int identify(int fd, char name[SHA256_HEX_SIZE], struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	uint8_t sum[SHA256_SIZE];
	struct statfs f;
	struct statx s;
	int r;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &s) < 0 || fstatfs(fd, &f) < 0)
		return error_errno(err, errno, "examine what is to be served");
	buffer_append(&b, &f.f_fsid, sizeof f.f_fsid);
	buffer_u64(&b, s.stx_ino);
	buffer_u64(&b, s.stx_mask & STATX_BTIME ? (uint64_t)s.stx_btime.tv_sec : 0);
	buffer_u32(&b, s.stx_mask & STATX_BTIME ? s.stx_btime.tv_nsec : 0);
	r = b.failed ? error_no_memory(err, "serve") : sha256_of(b.data, b.size, sum, err);
	if (r < 0)
		return r;
	sha256_hex(sum, name);
	name[STATE_DIGITS] = '\0';
	return 0;
}

static int make_key(int state, struct error *err)
{
	_cleanup_buffer_ struct buffer kept = {0};
	uint8_t key[KEY_SIZE];
	struct error why;
	int r = fs_read_file(state, NFS_SERVER_KEY, KEY_SIZE, &kept, &why);

	if (r == -ERROR_NOT_FOUND) {
		if (getrandom(key, sizeof key, 0) != sizeof key)
			return error_errno(err, errno, "get random bytes");
		return fs_write_atomic(state, NFS_SERVER_KEY, key, sizeof key, 0600, err);
	}
	if (r < 0 && err)
		*err = why;
	return r;
}

static int open_state(struct monocore *mc, const char *source, struct parts *p, struct error *err)
{
	char name[SHA256_HEX_SIZE];
	_cleanup_free_ char *path = NULL;
	int r = identify(p->source, name, err);

	path = r == 0 ? text_format(err, "nfs/%s", name) : NULL;
	if (!path)
		return r < 0 ? r : -ERROR_NO_MEMORY;
	r = fs_make_directories(mc->home.fd, path, 0700, err);
	if (r == 0)
		r = p->state = fs_open(mc->home.fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (r >= 0)
		r = fs_lock(p->state, "lock", FS_LOCK_EXCLUSIVE, false, &p->lock, err);
	if (r == -ERROR_BUSY)
		return error_set(err, ERROR_BUSY, "%s is being served already", source);
	return r < 0 ? r : make_key(p->state, err);
}

/* ---- what is asked for ------------------------------------------------------------------------------- */

static int open_source(struct monocore *mc, const char *source, struct parts *p, struct error *err)
{
	p->source = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->source >= 0)
		return 0;
	/* A path is no image, and what is no path may be one. */
	if ((errno != ENOENT && errno != ENOTDIR) || source[0] == '/' || source[0] == '.')
		return error_errno(err, errno, "open %s", source);
	p->image = true;
	return open_image_root(mc, source, NULL, &p->source, err);
}

static bool is_name(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && n < 256 && !text[n];
}

/* A name that nobody can guess, where none was given. */
static int name_export(const char *given, char out[260], struct error *err)
{
	uint8_t random[NAME_SIZE];

	if (given && !is_name(given))
		return error_set(err, ERROR_INVALID,
			"'%s' is no name for an export: letters, digits, '.', '_' and '-'", given);
	out[0] = '/';
	if (given) {
		strcpy(out + 1, given);
		return 0;
	}
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return error_errno(err, errno, "get random bytes");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(out + 1 + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static int make_request(const struct monocore_serve_options *o, const struct parts *p,
	struct nfs_server_request *q, struct error *err)
{
	const char *address = o->address ? o->address : "127.0.0.1";

	memset(q, 0, sizeof *q);
	q->port = o->port;
	q->flags = (o->read_only ? NFS_SERVER_READ_ONLY : 0u) | (p->image ? NFS_SERVER_IMAGE : 0u) |
		   (o->export ? NFS_SERVER_STAYS : 0u) | (o->async ? NFS_SERVER_ASYNC : 0u);
	if (strlen(address) >= sizeof q->address)
		return error_set(err, ERROR_INVALID, "listen on '%s': it is no numeric address", address);
	strcpy(q->address, address);
	return name_export(o->export, q->export, err);
}

/* ---- the process ------------------------------------------------------------------------------------- */

static int spawn(const struct parts *p, struct monocore_server *s, struct error *err)
{
	static const char *const argv[] = {"mcfs", "nfs", NULL};
	_cleanup_free_ char *program = program_path("mcfs", err);
	_cleanup_fd_ int theirs = -1;
	int ends[2];

	if (!program)
		return -ERROR_NOT_FOUND;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "make a socket");
	s->control = ends[0];
	theirs = ends[1];
	const struct process_fd fds[] = {{p->source, NFS_SERVER_SOURCE}, {theirs, NFS_SERVER_CONTROL},
		{p->state, NFS_SERVER_STATE}, {p->lock, NFS_SERVER_LOCK}, {STDERR_FILENO, STDERR_FILENO}};
	/* A session of its own: Ctrl-C is the caller's to hear. */
	const struct process_spec spec = {
		.path = program, .argv = argv, .fds = fds, .fd_count = ARRAY_SIZE(fds), .new_session = true};

	return process_spawn(&spec, &s->pid, NULL, err);
}

static int ask(struct monocore_server *s, const struct nfs_server_request *q, struct error *err)
{
	struct nfs_server_answer a;
	ssize_t n;

	if (send(s->control, q, sizeof *q, MSG_NOSIGNAL) != sizeof *q)
		return error_errno(err, errno, "start mcfs");
	do
		n = recv(s->control, &a, sizeof a, 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof a)
		return error_set(err, ERROR_SYSTEM, "mcfs ended before it served");
	a.text[sizeof a.text - 1] = '\0';
	if (a.code)
		return error_set(
			err, a.code < ERROR_COUNT ? (enum error_code)a.code : ERROR_SYSTEM, "%s", a.text);
	s->info.port = a.port;
	s->info.address = text_copy(q->address, err);
	s->info.export = text_copy(q->export, err);
	return s->info.address && s->info.export ? 0 : -ERROR_NO_MEMORY;
}

static int serve(struct monocore *mc, const char *source, const struct monocore_serve_options *o,
	struct monocore_server *s, struct error *err)
{
	_cleanup_(parts_close) struct parts p = {-1, -1, -1, false};
	struct nfs_server_request q;
	int r = o->version == 1 ? open_source(mc, source, &p, err)
				: error_set(err, ERROR_USAGE, "options of version %u: this library knows 1",
					  o->version);

	if (r == 0)
		r = make_request(o, &p, &q, err);
	if (r == 0)
		r = open_state(mc, source, &p, err);
	if (r == 0)
		r = spawn(&p, s, err);
	s->info.read_only = o->read_only || p.image;
	return r < 0 ? r : ask(s, &q, err);
}

int monocore_fs_serve(struct monocore *mc, const char *source, const struct monocore_serve_options *options,
	struct monocore_server **server, struct monocore_error *error)
{
	static const struct monocore_serve_options defaults = MONOCORE_SERVE_OPTIONS_INIT;
	struct monocore_server *s = calloc(1, sizeof *s);
	struct error err;

	if (!s) {
		error_no_memory(&err, "serve");
		return give_error(error, &err);
	}
	s->control = -1;
	if (serve(mc, source, options ? options : &defaults, s, &err) < 0) {
		monocore_server_end(s, NULL);
		return give_error(error, &err);
	}
	*server = s;
	return 0;
}

const struct monocore_server_info *monocore_server_info(const struct monocore_server *s)
{
	return &s->info;
}

int monocore_server_fd(const struct monocore_server *s)
{
	return s->control;
}

int monocore_server_end(struct monocore_server *s, struct monocore_error *error)
{
	struct error err;
	int status = 0, r = 0;

	if (!s)
		return 0;
	if (s->control >= 0)
		close(s->control);
	if (s->pid > 0)
		r = process_wait(s->pid, &status, &err);
	if (r == 0 && status != 0)
		r = error_set(&err, ERROR_SYSTEM, "mcfs ended with %d", status);
	free(s->info.address);
	free(s->info.export);
	free(s);
	return r < 0 ? give_error(error, &err) : 0;
}
