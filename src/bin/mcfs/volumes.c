/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that mcrun started keeps the directories and starts servers; it reads nothing of the guest's.
 * Each server serves one directory, and gives up everything else before it reads the first byte. All end with
 * mcrun: the first by the end of its socket, or by its parent's death, the servers by that of theirs.
 */
#include "bin/mcfs/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bin/mcfs/confine.h"
#include "bin/mcfs/overlay.h"
#include "codec/volume.h"
#include "os/descriptors.h"
#include "os/landlock.h"
#include "sandbox/volume_server.h"
#include "vfs/fuse/fuse.h"
#include "vfs/guard/guard.h"
#include "vfs/native/index_file.h"
#include "vfs/native/native.h"
#include "vfs/nfs3/server.h"
#include "vfs/nfs3/tcp.h"
#include "vfs/resume/resume.h"
#include "vfs/virtiofs/virtiofs.h"

#define DIRECTORY   3 /* of a server */
#define CONNECTION  4
#define IMAGE       5
#define INDEX       IMAGE      /* and the next: an overlay does not come by NFS */
#define FAR_AWAY    64         /* a descriptor number that is none of these */
#define INDEX_MOST  (1u << 17) /* objects of a volume by NFS whose handles outlive a server: 80 MB */
#define DESCRIPTORS 4096       /* that a server may have open */

#define FOREVER (365 * 24 * 3600 * NANOSECONDS_PER_SECOND)
/* For which a guest keeps what it is told changes of: one that gets lost shows by then. */
#define TOLD_CACHE (300 * NANOSECONDS_PER_SECOND)

#define END_TIME MILLISECONDS(2000) /* for killed servers to be gone: one may hang in the kernel */

struct keeper {
	uint32_t count;
	int children;                      /* a signalfd */
	pid_t pids[2 * (VOLUMES_MAX + 1)]; /* of servers that have not been waited for; 0: none */
	struct kept {
		int directory;
		int others[2]; /* an image, or the index of a server of NFS; or -1 */
		uint32_t flags;
		uint64_t until;             /* of the request to start its server */
		uint8_t key[NFS3_KEY_SIZE]; /* of handles */
		char *names;                /* that stay as they are (guard.h); NULL: none */
		size_t names_size;
	} volumes[VOLUMES_MAX + 1];
};

/* ---- a server ------------------------------------------------------------------------------------------ */

static unsigned descriptor_limit(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur > DESCRIPTORS ? DESCRIPTORS
									    : (unsigned)l.rlim_cur;
}

/* Handles are good in the next server as well, which finds in the index what they lead to. */
static int open_index(struct native_index *calls, struct error *err)
{
	struct native_index_file *index;
	int r = native_index_file_open((const int[]){INDEX, INDEX + 1}, INDEX_MOST, &index, err);

	if (r == 0)
		*calls = native_index_file_calls(index);
	return r;
}

static int open_plain(uint32_t flags, uint64_t until, struct vfs **fs, struct error *err)
{
	struct native_options o = {.directory = DIRECTORY,
		.owners = flags & VOLUME_SERVER_SQUASH ? NATIVE_SQUASH : NATIVE_OVERRIDE,
		/* Nothing is opened for longer than a call; half of these may be of files without a name. */
		.descriptors = descriptor_limit() / 4 * 3,
		.opens = descriptor_limit() / 8,
		.read_only = flags & VOLUME_SERVER_READ_ONLY};
	int r;

	if (flags & VOLUME_SERVER_OVERLAY)
		return mcfs_open_overlay(flags & VOLUME_SERVER_READ_ONLY ? -1 : DIRECTORY, IMAGE,
			flags & VOLUME_SERVER_UNSYNCED, fs, err);
	if (flags & VOLUME_SERVER_NFS) {
		o.descriptors = o.opens = 0; /* files stay open from one call to the next */
		r = open_index(&o.index, err);
		return r == 0 ? native_new(&o, fs, err) : r;
	}
	r = native_new(&o, fs, err);
	return r == 0 && flags & VOLUME_SERVER_RESUME ? resume_new(*fs, until, fs, err) : r;
}

static int open_directory(const struct kept *volume, uint32_t flags, struct vfs **fs, struct error *err)
{
	int r = open_plain(flags, volume->until, fs, err);

	return r == 0 ? guard_new(*fs, volume->names, volume->names_size, fs, err) : r;
}

static int prepare(const struct kept *volume, uint32_t flags, struct vfs **fs, struct error *err)
{
	bool image_alone = flags & VOLUME_SERVER_OVERLAY && flags & VOLUME_SERVER_READ_ONLY;
	unsigned rights =
		image_alone ? 0u : LANDLOCK_READ | (flags & VOLUME_SERVER_READ_ONLY ? 0u : LANDLOCK_WRITE);
	int directory = mcfs_isolate(DIRECTORY), r;

	if (directory != DIRECTORY && (dup2(directory, DIRECTORY) < 0 || close(directory) < 0))
		return error_errno(err, errno, "keep the volume's directory");
	r = mcfs_confine(&(struct mcfs_tree){DIRECTORY, rights}, 1, err);
	return r < 0 ? r : open_directory(volume, flags, fs, err);
}

static int greet(int r, const struct error *err)
{
	struct volume_server_greeting g = {.code = r < 0 ? (uint32_t)err->code : 0};

	if (r < 0)
		snprintf(g.text, sizeof g.text, "%.*s", (int)sizeof g.text - 1, err->text);
	return send(CONNECTION, &g, sizeof g, MSG_NOSIGNAL) == sizeof g ? r : -1;
}

static int serve_fuse(struct vfs *fs, const struct fuse_options *o)
{
	struct fuse_server *server;
	struct error err;

	return fuse_server_connect(fs, CONNECTION, o, &server, &err) == 0 &&
			       fuse_server_run(server, &err) == 0
		       ? 0
		       : 1;
}

static int serve_virtiofs(struct vfs *fs, const struct fuse_options *o)
{
	struct virtiofs_server *server;
	struct error err;

	return virtiofs_server_new(fs, CONNECTION, o, &server, &err) == 0 &&
			       virtiofs_server_run(server, &err) == 0
		       ? 0
		       : 1;
}

static bool tidy_guarded(struct vfs *fs)
{
	return native_tidy(guard_inner(fs));
}

/* The guest is one machine with users that it tells apart itself. */
static int serve_nfs(const struct kept *volume, struct vfs *fs)
{
	struct nfs3_options o = {.export = VOLUME_EXPORT,
		.export_stays = true,
		.ids = NFS3_IDS_CLIENT,
		.one_owner = volume->flags & VOLUME_SERVER_SQUASH,
		.lazy_names = true,
		.tidy = volume->names_size ? tidy_guarded : native_tidy};
	struct nfs3_server *server;
	struct nfs3_tcp *tcp;
	struct error err;

	memcpy(o.key, volume->key, sizeof o.key);
	memcpy(&o.fsid, volume->key, sizeof o.fsid);
	mallopt(M_MMAP_THRESHOLD, 4 << 20); /* as bin/mcfs/nfs.c has it */
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
	return getrandom(&o.start, sizeof o.start, 0) == sizeof o.start &&
			       nfs3_server_new(fs, &o, &server, &err) == 0 &&
			       nfs3_tcp_new(server, -1, &(struct nfs3_tcp_options){.connections = 1}, &tcp,
				       &err) == 0 &&
			       nfs3_tcp_adopt(tcp, CONNECTION, &err) == 0 && nfs3_tcp_run(tcp, &err) == 0
		       ? 0
		       : 1;
}

/* The guest's own overlay does not bear it that what lies below it changes; what is over an image nobody but
 * the guest changes. */
static uint64_t cache_of(uint32_t flags)
{
	return flags & (VOLUME_SERVER_STAGED | VOLUME_SERVER_OVERLAY) ? FOREVER : NANOSECONDS_PER_SECOND;
}

/* To the overlay, notices would be such changes. */
static uint64_t told_cache_of(uint32_t flags)
{
	return flags & VOLUME_SERVER_STAGED ? 0 : flags & VOLUME_SERVER_OVERLAY ? FOREVER : TOLD_CACHE;
}

static int serve(const struct kept *volume, uint32_t flags)
{
	const struct fuse_options o = {.name = "volume",
		.cache = cache_of(flags),
		.told_cache = told_cache_of(flags),
		.keep_contents = true,
		.told_contents = flags & VOLUME_SERVER_OVERLAY,
		.no_open = true,
		.ahead = true};
	struct error err = {0};
	struct vfs *fs;

	prctl(PR_SET_NAME, "mcfs-volume");
	umask(0);
	mcfs_limit(DESCRIPTORS);
	if (greet(prepare(volume, flags, &fs, &err), &err) < 0)
		return 1;
	if (flags & VOLUME_SERVER_NFS)
		return serve_nfs(volume, fs);
	return flags & VOLUME_SERVER_VIRTIOFS ? serve_virtiofs(fs, &o) : serve_fuse(fs, &o);
}

/* Its descriptors, and no others. */
static bool keep_descriptors(const struct kept *volume, int connection)
{
	const int wanted[] = {volume->directory, connection, volume->others[0], volume->others[1]};
	unsigned last = CONNECTION + (volume->others[0] >= 0) + (volume->others[1] >= 0);
	int far[ARRAY_SIZE(wanted)];

	for (unsigned i = 0; i + DIRECTORY <= last; i++)
		if ((far[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, FAR_AWAY)) < 0)
			return false;
	for (unsigned i = 0; i + DIRECTORY <= last; i++)
		if (dup2(far[i], (int)i + DIRECTORY) < 0)
			return false;
	return syscall(SYS_close_range, last + 1, ~0U, 0) == 0;
}

static _Noreturn void become_server(const struct kept *volume, int connection, uint32_t flags, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !keep_descriptors(volume, connection))
		_exit(1);
	_exit(serve(volume, flags));
}

/* ---- who starts them ----------------------------------------------------------------------------------- */

/* NULL: as many have ended and still hang in the kernel. */
static pid_t *free_pid(struct keeper *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(k->pids); i++)
		if (!k->pids[i])
			return &k->pids[i];
	return NULL;
}

static int start_server(struct keeper *k, const struct volume_server_request *q)
{
	const struct volume_server_started started = {q->number};
	_cleanup_fd_ int ours = -1, theirs = -1, pid_fd = -1;
	pid_t self = getpid(), *pid = free_pid(k);
	int ends[2];

	if (!pid || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	ours = ends[0];
	theirs = ends[1];
	k->volumes[q->number].until = q->until;
	*pid = fork();
	if (*pid == 0)
		become_server(&k->volumes[q->number], theirs,
			k->volumes[q->number].flags | (q->flags & VOLUME_SERVER_RESUME), self);
	/* It has not been waited for: the pid is still its own. */
	pid_fd = *pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, *pid, 0);
	*pid = *pid < 0 ? 0 : *pid;
	if (pid_fd < 0)
		return -1;
	return descriptors_send(VOLUME_SERVER_FD, &started, sizeof started, (const int[]){ours, pid_fd}, 2);
}

/* What outlives a server of NFS. */
static int add_index(struct kept *volume)
{
	for (int i = 0; i < 2; i++)
		if ((volume->others[i] = memfd_create("handles", MFD_CLOEXEC)) < 0)
			return -1;
	return getrandom(volume->key, sizeof volume->key, 0) == sizeof volume->key ? 0 : -1;
}

static int add_names(struct kept *volume, const char *names, size_t size)
{
	if (!size)
		return 0;
	volume->names = malloc(size);
	if (!volume->names)
		return -1;
	memcpy(volume->names, names, size);
	volume->names_size = size;
	return 0;
}

static int add_volume(
	struct keeper *k, uint32_t flags, const int *fds, int count, const char *names, size_t size)
{
	struct kept *volume = &k->volumes[k->count++];

	volume->directory = fds[0];
	volume->others[0] = count == 2 ? fds[1] : -1;
	volume->others[1] = -1;
	volume->flags = flags & ~(uint32_t)VOLUME_SERVER_RESUME;
	if (add_names(volume, names, size) < 0)
		return -1;
	return flags & VOLUME_SERVER_NFS ? add_index(volume) : 0;
}

/* Negative: mcrun has gone, or asks for what there is not. */
static int answer(struct keeper *k)
{
	static struct {
		struct volume_server_request q;
		char names[VOLUME_SERVER_NAMES_MAX];
	} in;
	const struct volume_server_request *q = &in.q;
	int fds[2], count = 2;
	ssize_t n = descriptors_receive(VOLUME_SERVER_FD, &in, sizeof in, fds, &count);

	if (n < (ssize_t)sizeof in.q)
		return -1;
	if (q->what == VOLUME_SERVER_ADD && count == (q->flags & VOLUME_SERVER_OVERLAY ? 2 : 1) &&
		k->count < ARRAY_SIZE(k->volumes))
		return add_volume(k, q->flags, fds, count, in.names, (size_t)n - sizeof in.q);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	return q->what == VOLUME_SERVER_START && q->number < k->count ? start_server(k, q) : -1;
}

static void reap(struct keeper *k)
{
	struct signalfd_siginfo info;
	pid_t pid;

	while (read(k->children, &info, sizeof info) == sizeof info)
		;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < ARRAY_SIZE(k->pids); i++)
			if (k->pids[i] == pid)
				k->pids[i] = 0;
}

static void end_servers(struct keeper *k)
{
	uint64_t deadline = clock_monotonic() + END_TIME;

	for (size_t i = 0; i < ARRAY_SIZE(k->pids); i++)
		if (k->pids[i])
			kill(k->pids[i], SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) >= 0 && clock_monotonic() < deadline)
		poll(NULL, 0, 1);
}

int mcfs_volumes(void)
{
	static struct keeper k;
	sigset_t children;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "mcfs-volumes");
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	k.children = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
	if (chdir("/") < 0 || k.children < 0)
		return 1;
	for (;;) {
		struct pollfd p[] = {
			{.fd = VOLUME_SERVER_FD, .events = POLLIN}, {.fd = k.children, .events = POLLIN}};

		if (poll(p, ARRAY_SIZE(p), -1) > 0 && p[0].revents && answer(&k) < 0)
			break;
		if (p[1].revents)
			reap(&k);
	}
	end_servers(&k);
	return 1;
}
