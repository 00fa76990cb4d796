/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts are found by sockets that have the names of processes. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monofs/mount.h"
#include "monofs/mount_wire.h"
#include "os/fs.h"
#include "os/unix_socket.h"

static int no_mount(void *context, const struct mount_state *state, struct error *err)
{
	(void)context;
	(void)state;
	(void)err;
	test_fail(__FILE__, __LINE__, "nobody answers there");
}

/* A socket at which nobody listens, as it is between bind() and listen(), and after a kill. */
static void leave_socket(int directory, pid_t pid, char name[16])
{
	struct error err;
	int listener;

	snprintf(name, 16, "%d", (int)pid);
	CHECK_OK(unix_socket_listen(directory, name, &listener, &err));
	close(listener);
}

TEST(the_socket_of_a_dead_process_is_removed_and_that_of_one_that_begins_is_not)
{
	char runtime[] = "/tmp/mc-mount-XXXXXX", alive[16], dead[16];
	struct error err;
	pid_t child = fork();
	int directory;

	if (child == 0)
		_exit(0);
	CHECK_INT(waitpid(child, NULL, 0), child);
	CHECK(mkdtemp(runtime) && setenv("XDG_RUNTIME_DIR", runtime, 1) == 0);
	directory = mount_directory(&err);
	CHECK(directory >= 0);
	leave_socket(directory, getpid(), alive);
	leave_socket(directory, child, dead);
	for (int i = 0; i < 2; i++)
		CHECK_OK(mount_each(no_mount, NULL, &err));
	CHECK(faccessat(directory, alive, F_OK, 0) == 0);
	CHECK(faccessat(directory, dead, F_OK, 0) < 0);
	close(directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, runtime, &err));
}
