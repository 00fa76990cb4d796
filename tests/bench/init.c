/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of the machine that monocore is measured against: a plain boot of the same kernel and the same root
 * file system that does no more than it must: load the modules in their order, mount the root with a tmpfs
 * over it, run `sh -c 'echo hello'` there on the serial console, and reset the machine.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "modules.h"

static void must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		sync();
		reboot(RB_AUTOBOOT);
	}
}

static void mount_root(void)
{
	must(mount("dev", "/dev", "devtmpfs", 0, NULL), "mount /dev");
	must(mount("/dev/vda", "/lower", "erofs", MS_RDONLY, NULL), "mount /dev/vda");
	must(mount("tmpfs", "/over", "tmpfs", 0, NULL), "mount a tmpfs");
	mkdir("/over/upper", 0755);
	mkdir("/over/work", 0755);
	must(mount("overlay", "/root", "overlay", 0,
		     "lowerdir=/lower,upperdir=/over/upper,workdir=/over/work"),
		"mount the overlay");
	must(mount("/dev", "/root/dev", NULL, MS_MOVE, NULL), "move /dev");
}

int main(void)
{
	char *const argv[] = {"sh", "-c", "echo hello", NULL}, *const env[] = {"PATH=/usr/bin:/bin", NULL};
	pid_t pid;

	mkdir("/dev", 0755);
	mkdir("/lower", 0755);
	mkdir("/over", 0755);
	mkdir("/root", 0755);
	load_modules();
	mount_root();
	pid = fork();
	if (pid == 0) {
		int tty;

		must(chroot("/root"), "chroot");
		must(chdir("/"), "chdir");
		tty = open("/dev/ttyS0", O_RDWR);
		for (int fd = 0; fd < 3; fd++)
			dup2(tty, fd);
		execve("/bin/sh", argv, env);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
