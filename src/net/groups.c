/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever needs a group's process connects; where nobody listens, it takes the lock and starts one, to which
 * it hands the lock and a socket that listens already. A held lock with nobody who listens belongs to another
 * who is starting one, or to one that is ending: both are over soon, and it tries again. So does who was let
 * in by one that ended before it said HELLO.
 */
#include "net/groups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/message.h"
#include "net/control.h"
#include "os/descriptors.h"
#include "os/fs.h"
#include "os/process.h"
#include "os/unix_socket.h"

#define PATIENCE    (10 * NANOSECONDS_PER_SECOND)
#define PAUSE       MILLISECONDS(5)
#define STARTS_MOST 3

int net_group_check(const char *group, struct error *err)
{
	size_t n = strspn(group, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

	if (n == 0 || group[n] || n > NET_GROUP_MAX || strchr("-_.", *group))
		return error_set(err, ERROR_INVALID,
			"'%s' is no name for a group: expected letters a-z, digits, '-', '_' and '.', a "
			"letter or digit first, at most %d",
			group, NET_GROUP_MAX);
	return 0;
}

static int open_directory(int home, const char *group, bool make, int *fd, struct error *err)
{
	_cleanup_fd_ int net = -1;

	if (make && mkdirat(home, "net", 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make the directory of networks");
	net = fs_open(home, "net", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (net < 0)
		return net;
	if (make && mkdirat(net, group, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make the directory of the network of group %s", group);
	*fd = fs_open(net, group, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	return *fd < 0 ? *fd : 0;
}

/* CLOSED: it ended before it answered. */
static int wait_for_hello(struct peer *peer, uint64_t deadline, struct error *err)
{
	struct cursor in;
	struct frame f;
	unsigned version;
	int r = peer_wait(peer, &f, deadline, err);

	if (r < 0)
		return r == -ERROR_SYSTEM ? error_set(err, ERROR_CLOSED, "the connection was reset") : r;
	in = cursor_of(f.payload, f.size);
	version = cursor_u16(&in);
	if (f.type != NET_HELLO || !cursor_done(&in) || version != NET_PROTOCOL_VERSION)
		return error_set(err, ERROR_UNAVAILABLE,
			"the network of this group is run by another version of monocore: stop the "
			"sandboxes of the group once");
	return 0;
}

static int try_connect(const struct net_place *place, const char *group, struct peer *peer, uint64_t deadline,
	struct error *err)
{
	_cleanup_fd_ int directory = -1;
	int r = open_directory(place->home, group, false, &directory, err);

	*peer = (struct peer)PEER_NONE;
	if (r == 0)
		r = unix_socket_connect(directory, "control", &peer->fd, err);
	if (r == 0)
		r = wait_for_hello(peer, deadline, err);
	if (r < 0)
		peer_close(peer);
	return r;
}

static int open_log(int directory, struct error *err)
{
	int fd = fs_open(directory, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600, err);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > NET_LOG_MAX / 2 && ftruncate(fd, 0) < 0)
		error_errno(err, errno, "empty the log"); /* then it says no more; the network works */
	return fd;
}

static int spawn(const struct net_place *place, const char *group, int directory, int lock, int listener,
	struct error *err)
{
	_cleanup_fd_ int log = open_log(directory, err);
	const char *const argv[] = {"mcnet", group, NULL}, *const env[] = {NULL};
	const struct process_fd fds[] = {{log, STDERR_FILENO}, {directory, NET_FD_DIRECTORY},
		{lock, NET_FD_LOCK}, {listener, NET_FD_LISTENER}};
	const struct process_spec spec = {.path = place->program,
		.argv = argv,
		.env = env,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
		.new_session = true};
	int r, status;
	pid_t pid;

	if (log < 0)
		return log;
	/* It forks once more, and this one is over at once. */
	r = process_spawn(&spec, &pid, NULL, err);
	if (r == 0)
		r = process_wait(pid, &status, err);
	return r < 0    ? r
	       : status ? error_set(err, ERROR_SYSTEM, "%s ended with status %d", place->program, status)
			: 0;
}

/* BUSY, NOT_FOUND: somebody else is about to start or to end; look again. */
static int start(const struct net_place *place, const char *group, struct error *err)
{
	_cleanup_fd_ int directory = -1, lock = -1, listener = -1;
	int r = open_directory(place->home, group, true, &directory, err);

	if (r == 0)
		r = fs_lock(directory, "lock", FS_LOCK_EXCLUSIVE, false, &lock, err);
	if (r == 0)
		r = unix_socket_listen(directory, "control", &listener, err);
	return r < 0 ? r : spawn(place, group, directory, lock, listener, err);
}

int net_connect(const struct net_place *place, const char *group, struct peer *peer, struct error *err)
{
	uint64_t deadline = clock_monotonic() + PATIENCE;
	const struct timespec pause = {.tv_nsec = PAUSE};
	int r = net_group_check(group, err), starts = 0;

	*peer = (struct peer)PEER_NONE;
	if (r < 0)
		return r;
	for (;;) {
		r = try_connect(place, group, peer, deadline, err);
		if (r != -ERROR_NOT_FOUND && r != -ERROR_CLOSED)
			break;
		if (!place->program)
			return error_set(err, ERROR_NOT_FOUND, "no network of a group %s is up", group);
		if (r == -ERROR_NOT_FOUND && starts < STARTS_MOST) {
			r = start(place, group, err);
			if (r == 0) {
				starts++;
				continue;
			}
			if (r != -ERROR_BUSY && r != -ERROR_NOT_FOUND)
				break;
		}
		if (clock_monotonic() > deadline) {
			r = error_set(err, ERROR_TIMEOUT,
				starts ? "its process, mcnet, ends as it starts: the file log says why"
				       : "its process, mcnet, does not answer");
			break;
		}
		nanosleep(&pause, NULL);
	}
	return r < 0 ? error_prefix(
			       err, "the network of group %s (net/%s of the state directory)", group, group)
		     : r;
}

int net_send_link(struct peer *peer, uint32_t stream, int link, struct error *err)
{
	_cleanup_buffer_ struct buffer frame = {0};
	int r = 0;

	frame_write(&frame, stream, NET_LINK, 0, NULL, 0);
	if (frame.failed)
		return error_no_memory(err, "hand over a link");
	while (r == 0 && peer_has_output(peer)) {
		struct pollfd poller = {.fd = peer->fd, .events = POLLOUT};

		poll(&poller, 1, 1000);
		r = peer_flush(peer, err);
	}
	while (r == 0 && descriptors_send(peer->fd, frame.data, frame.size, &link, 1) < 0) {
		struct pollfd poller = {.fd = peer->fd, .events = POLLOUT};

		if (errno != EAGAIN && errno != EINTR)
			r = error_errno(err, errno, "hand over a link");
		else
			poll(&poller, 1, 1000);
	}
	return r;
}

int net_groups_list(const struct net_place *place, char ***names, struct error *err)
{
	int net = openat(place->home, "net", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *all = net < 0 ? NULL : fdopendir(net);
	struct dirent *entry;
	int r = 0;

	*names = NULL;
	if (!all) {
		if (net >= 0)
			close(net);
		return errno == ENOENT ? 0 : error_errno(err, errno, "list the networks");
	}
	while (r == 0 && (entry = readdir(all))) {
		_cleanup_fd_ int directory = -1;

		if (net_group_check(entry->d_name, NULL) < 0)
			continue;
		directory = openat(net, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (directory >= 0 && fs_is_locked(directory, "lock"))
			r = text_list_add(names, entry->d_name, err);
	}
	closedir(all);
	if (r < 0) {
		text_list_free(*names);
		*names = NULL;
	}
	return r;
}
