/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/volume.h"
#include "os/descriptors.h"
#include "os/fs.h"
#include "sandbox/supervisor/volume_keeper.h"
#include "sandbox/volume.h"
#include "sandbox/volume_guard.h"
#include "sandbox/volume_server.h"

#define READY_TIME (20 * NANOSECONDS_PER_SECOND)

struct share {
	char tag[VOLUME_TAG_SIZE];
	char *target; /* for messages */
	int fd;       /* to the server; -1: QEMU has it */
	int pid_fd;
};

struct shares {
	struct keeper keeper;
	int ends; /* epoll of all pid_fds */
	size_t count;
	struct share shares[VM_SHARES_MAX];
	struct vm_share list[VM_SHARES_MAX];
};

CLEANUP_DEFINE(shares, struct shares, shares_close);

static int await(int fd, uint64_t deadline, const char *target, struct error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	while ((n = poll(&p, 1, clock_poll_timeout(deadline))) < 0 && errno == EINTR)
		;
	return n > 0 ? 0 : error_set(err, ERROR_TIMEOUT, "volume %s: its directory does not answer", target);
}

static int ask(struct shares *s, struct share *share, uint32_t number, uint64_t deadline, struct error *err)
{
	const struct volume_server_request q = {VOLUME_SERVER_START, number, 0};
	struct volume_server_started started;
	int fds[2], count = 2, r;

	if (send(s->keeper.fd, &q, sizeof q, MSG_NOSIGNAL) != sizeof q)
		return error_errno(err, errno, "ask mcfs for a server");
	r = await(s->keeper.fd, deadline, share->target, err);
	if (r < 0)
		return r;
	if (descriptors_receive(s->keeper.fd, &started, sizeof started, fds, &count) != sizeof started ||
		count != 2 || started.number != number) {
		for (int i = 0; i < count; i++)
			close(fds[i]);
		return error_set(err, ERROR_CLOSED, "mcfs ended");
	}
	share->fd = fds[0];
	share->pid_fd = fds[1];
	return 0;
}

static int read_greeting(struct share *share, uint64_t deadline, struct error *err)
{
	struct volume_server_greeting g;
	size_t done = 0;

	while (done < sizeof g) {
		ssize_t n;
		int r = await(share->fd, deadline, share->target, err);

		if (r < 0)
			return r;
		n = recv(share->fd, (char *)&g + done, sizeof g - done, 0);
		if (n <= 0)
			return error_set(
				err, ERROR_CLOSED, "volume %s: its server ended at its start", share->target);
		done += (size_t)n;
	}
	g.text[sizeof g.text - 1] = 0;
	if (g.code)
		return error_set(err, g.code < ERROR_COUNT ? (enum error_code)g.code : ERROR_SYSTEM,
			"volume %s: %s", share->target, g.text);
	return 0;
}

/* The server of what the keeper was given last. */
static int start_server(struct shares *s, struct share *share, struct error *err)
{
	uint64_t deadline = clock_monotonic() + READY_TIME;
	struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = s->count - 1}};
	int r = ask(s, share, (uint32_t)s->count - 1, deadline, err);

	if (r == 0)
		r = read_greeting(share, deadline, err);
	if (r == 0 && epoll_ctl(s->ends, EPOLL_CTL_ADD, share->pid_fd, &event) < 0)
		r = error_errno(err, errno, "watch a server");
	return r;
}

/* `place` is the one in SETUP's list. */
static int add(struct shares *s, uint32_t place, const char *target, uint32_t flags, const int *fds,
	int fd_count, const struct buffer *guarded, struct error *err)
{
	struct share *share = &s->shares[s->count];
	int r;

	if (s->count == VM_SHARES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d file systems by virtiofs", VM_SHARES_MAX);
	*share = (struct share){.target = text_copy(target, err), .fd = -1, .pid_fd = -1};
	if (!share->target)
		return -ERROR_NO_MEMORY;
	snprintf(share->tag, sizeof share->tag, VOLUME_TAG, place);
	r = keeper_add(&s->keeper, (uint32_t)s->count, VOLUME_SERVER_VIRTIOFS | flags, fds, fd_count, guarded,
		target, err);
	s->count++;
	if (r == 0)
		r = start_server(s, share, err);
	s->list[s->count - 1] = (struct vm_share){share->tag, share->fd};
	return r;
}

static int add_volume(struct shares *s, const struct home *home, const struct record *record, uint32_t place,
	struct error *err)
{
	const struct record_mount *m = &record->mounts[place];
	_cleanup_fd_ int directory = volume_open(home, m, err);
	_cleanup_buffer_ struct buffer guarded = {0};
	struct stat of;
	bool all;
	int r;

	if (directory >= 0 && fstat(directory, &of) == 0 && !S_ISDIR(of.st_mode))
		return error_set(err, ERROR_INVALID,
			"volume %s: a file comes by the driver fuse alone, which is the default", m->target);
	r = directory < 0 ? directory : volume_guard(record, m, directory, &guarded, &all, err);
	return r < 0 ? r : add(s, place, m->target, keeper_flags(m), &directory, 1, &guarded, err);
}

static int add_root(struct shares *s, int directory, int image, const struct record *r, struct error *err)
{
	const uint32_t flags = VOLUME_SERVER_OVERLAY | (r->read_only ? VOLUME_SERVER_READ_ONLY : 0u) |
			       (r->discard ? VOLUME_SERVER_UNSYNCED : 0u);
	_cleanup_fd_ int changes =
		fs_open(directory, RECORD_OVERLAY, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, err);

	if (changes < 0)
		return changes;
	if (image < 0)
		return add(s, 0, "/", VOLUME_SERVER_READ_ONLY, &changes, 1, NULL, err);
	return add(s, r->mount_count, "/", flags, (const int[]){changes, image}, 2, NULL, err);
}

static int add_all(struct shares *s, const struct home *home, int directory, int image,
	const struct record *r, bool volumes, struct error *err)
{
	int result = keeper_start(&s->keeper, err);

	for (uint32_t i = 0; result == 0 && volumes && i < r->mount_count; i++)
		result = add_volume(s, home, r, i, err);
	if (result == 0 && record_has_overlay(r))
		result = add_root(s, directory, image, r, err);
	return result;
}

int shares_open(const struct home *home, int directory, int image, const struct record *r,
	struct shares **shares, struct error *err)
{
	_cleanup_(cleanup_shares) struct shares *s = NULL;
	enum volume_driver driver;
	int result = volume_driver_parse(r->volume_driver, &driver, err);
	bool volumes = driver == VOLUME_DRIVER_VIRTIOFS && r->mount_count && image >= 0;

	*shares = NULL;
	if (result < 0 || (!volumes && !record_has_overlay(r)))
		return result;
	s = calloc(1, sizeof *s);
	if (!s)
		return error_no_memory(err, "serve file systems");
	s->keeper = KEEPER_NONE;
	s->ends = epoll_create1(EPOLL_CLOEXEC);
	if (s->ends < 0)
		return error_errno(err, errno, "serve file systems");
	result = add_all(s, home, directory, image, r, volumes, err);
	if (result == 0)
		*shares = TAKE_PTR(s);
	return result;
}

const struct vm_share *shares_list(const struct shares *shares, size_t *count)
{
	*count = shares ? shares->count : 0;
	return shares ? shares->list : NULL;
}

void shares_connected(struct shares *shares)
{
	for (size_t i = 0; shares && i < shares->count; i++)
		if (shares->shares[i].fd >= 0)
			close(TAKE_FD(shares->shares[i].fd));
}

int shares_watch_fd(const struct shares *shares)
{
	return shares ? shares->ends : -1;
}

bool shares_lost(struct shares *shares, struct error *why)
{
	struct epoll_event event;

	if (!shares || epoll_wait(shares->ends, &event, 1, 0) != 1)
		return false;
	error_set(why, ERROR_CLOSED,
		"the server of %s%s ended, and a machine cannot go on with another by virtiofs",
		strcmp(shares->shares[event.data.u64].target, "/") ? "the volume " : "the root file system ",
		shares->shares[event.data.u64].target);
	return true;
}

void shares_close(struct shares *shares)
{
	if (!shares)
		return;
	shares_connected(shares);
	keeper_end(&shares->keeper);
	for (size_t i = 0; i < shares->count; i++) {
		if (shares->shares[i].pid_fd >= 0)
			close(shares->shares[i].pid_fd);
		free(shares->shares[i].target);
	}
	if (shares->ends >= 0)
		close(shares->ends);
	free(shares);
}
