/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcnet GROUP: the network of a group, started by who needs it first (net/groups.h) with the group's
 * directory, its lock and its control socket as descriptors. It goes on without whoever started it, and ends
 * by itself.
 */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bin/mcnet/confine.h"
#include "net/groups.h"
#include "net/server/server.h"

/* The group's directory goes, if it is still the one of that name. What is not there any more is not missed:
 * another mcnet may have been started between the lock's end and that of the directory, and keeps it. */
static void remove_directory(int above, const char *group)
{
	struct stat named, ours;

	unlinkat(NET_FD_DIRECTORY, "log", 0);
	unlinkat(NET_FD_DIRECTORY, "lock", 0);
	if (fstatat(above, group, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(NET_FD_DIRECTORY, &ours) == 0 &&
		named.st_dev == ours.st_dev && named.st_ino == ours.st_ino)
		unlinkat(above, group, AT_REMOVEDIR);
}

static int serve(const char *group)
{
	const struct net_server_config config = {.directory = NET_FD_DIRECTORY, .listener = NET_FD_LISTENER};
	_cleanup_fd_ int above = openat(NET_FD_DIRECTORY, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char now[32];
	struct error err;
	int r;

	mcnet_limit();
	r = mcnet_confine(NET_FD_DIRECTORY, &err);
	if (r == 0)
		r = net_server_run(&config, &err);
	if (r < 0) {
		fprintf(stderr, "%s mcnet: %s\n", clock_rfc3339(clock_realtime(), now), err.text);
		return 1;
	}
	remove_directory(above, group);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t child;

	if (argc != 2 || net_group_check(argv[1], NULL) < 0 || fcntl(NET_FD_DIRECTORY, F_GETFD) < 0 ||
		fcntl(NET_FD_LOCK, F_GETFD) < 0 || fcntl(NET_FD_LISTENER, F_GETFD) < 0) {
		fprintf(stderr, "mcnet is started by monocore\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* the log is full */
	signal(SIGHUP, SIG_IGN);
	mallopt(M_ARENA_MAX, 1);
	if (chdir("/") < 0)
		return 1;
	child = fork();
	if (child != 0)
		return child < 0;
	return serve(argv[1]);
}
