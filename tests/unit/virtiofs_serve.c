/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves a directory over virtiofs to whoever connects first, for trials by hand and for tests:
 *
 *     virtiofs_serve SOCKET DIRECTORY
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "vfs/native/native.h"
#include "vfs/virtiofs/virtiofs.h"

static int accept_one(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_fd_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof a.sun_path)
		return -1;
	memcpy(a.sun_path, path, strlen(path) + 1);
	unlink(path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(listener, 1) < 0)
		return -1;
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

int main(int argc, char **argv)
{
	const struct fuse_options options = {.cache = NANOSECONDS_PER_SECOND, .keep_contents = true};
	struct native_options native = {.owners = NATIVE_OVERRIDE};
	_cleanup_vfs_ struct vfs *fs = NULL;
	_cleanup_(cleanup_virtiofs_server) struct virtiofs_server *server = NULL;
	struct error err = {0};
	int connection;

	if (argc != 3)
		return 2;
	native.directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (native.directory < 0 || native_new(&native, &fs, &err) < 0)
		return 1;
	close(native.directory);
	connection = accept_one(argv[1]);
	if (connection >= 0 && virtiofs_server_new(fs, connection, &options, &server, &err) == 0 &&
		virtiofs_server_run(server, &err) == 0)
		return 0;
	fprintf(stderr, "virtiofs_serve: %s\n", err.text);
	return 1;
}
