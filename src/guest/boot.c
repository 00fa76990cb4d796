/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/boot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/message.h"
#include "guest/device.h"
#include "guest/network.h"

#define MODULES_DIRECTORY "/modules"
#define CGROUP_ROOT       "/sys/fs/cgroup"
#define CGROUP_SANDBOX    CGROUP_ROOT "/sandbox"
#define AGENT_RESERVE     (12 * 1024 * 1024) /* bytes of memory that the sandbox can never have */
#define AGENT_DESCRIPTORS 16384

struct boot_mount {
	const char *type, *target, *data;
	unsigned long flags;
};

/* In this order. What is there already (a kernel that mounts devtmpfs itself) is as good. */
static const struct boot_mount early_mounts[] = {
	{"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
	{"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"tmpfs", BOOT_DIRECTORY, "mode=0755,size=8m", MS_NOSUID | MS_NODEV},
};

static const struct boot_mount late_mounts[] = {
	{"devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC},
	{"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"mqueue", "/dev/mqueue", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"cgroup2", CGROUP_ROOT, NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"tmpfs", BOOT_MEMORY, "mode=0755", 0},
};

static void mount_all(const struct boot_mount *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mkdir(m[i].target, 0755);
		if (mount(m[i].type, m[i].target, m[i].type, m[i].flags, m[i].data) < 0 && errno != EBUSY)
			log_error("mount %s on %s: %s", m[i].type, m[i].target, strerror(errno));
	}
}

static bool write_text(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The kernel starts init without descriptors where the root has no /dev/console: 0, 1 and 2 must never
 * become something of ours. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
	fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		dup2(fd, 2);
		close(fd);
	}
}

static void note_missing(struct boot *b, const char *name)
{
	size_t n = strlen(b->missing), more = strlen(name);

	if (n + more + 2 <= sizeof b->missing)
		snprintf(b->missing + n, sizeof b->missing - n, "%s%s", n ? "," : "", name);
}

/* "NN-name.ko" without what is around the name. */
static void note_module(struct boot *b, const char *file)
{
	const char *name = file + strspn(file, "0123456789-");
	char copy[64];

	snprintf(copy, sizeof copy, "%.*s", (int)strcspn(name, "."), name);
	note_missing(b, copy);
}

static void load_module(struct boot *b, const char *file)
{
	_cleanup_free_ char *path = text_format(NULL, MODULES_DIRECTORY "/%s", file);
	_cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (!text_ends(file, ".ko"))
		return;
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)) {
		log_error("load module %s: %s", file, strerror(errno));
		note_module(b, file);
	}
	if (path)
		unlink(path); /* an initramfs holds it in memory */
}

/* By name: the names begin with two digits that put dependencies first. */
static void load_modules(struct boot *b)
{
	struct dirent **names = NULL;
	int n = scandir(MODULES_DIRECTORY, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		load_module(b, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static void find_missing_file_systems(struct boot *b)
{
	static const char *const wanted[] = {"erofs", "ext4", "overlay", "fuse"};
	char known[8192];
	_cleanup_fd_ int fd = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, known, sizeof known - 1);

	known[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		char line[32];

		snprintf(line, sizeof line, "\t%s\n", wanted[i]);
		if (!strstr(known, line) && !strstr(b->missing, wanted[i]))
			note_missing(b, wanted[i]);
	}
}

static void prepare_device_names(void)
{
	static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"}};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			log_error("link %s: %s", links[i][1], strerror(errno));
}

/* What docker's containers have: servers on low ports and ping work for any user; links that somebody plants
 * in /tmp lead no one astray, and neither the agent where it is to write there. */
static void prepare_kernel_settings(void)
{
	write_text("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	write_text("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	write_text("/proc/sys/fs/protected_symlinks", "1");
	write_text("/proc/sys/fs/protected_hardlinks", "1");
}

/* A disk's requests go out as they come: the host sorts its own, and to hold some back, or to measure how
 * long they take, costs an emulated processor more than it is good for. */
static void prepare_disk(const char *device)
{
	static const char *const settings[][2] = {{"scheduler", "none"}, {"wbt_lat_usec", "0"}};

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		_cleanup_free_ char *path =
			text_format(NULL, "/sys/block/%s/queue/%s", strrchr(device, '/') + 1, settings[i][0]);

		if (path)
			write_text(path, settings[i][1]);
	}
}

bool boot_spare(const struct boot *b, bool spare)
{
	const char *score = spare ? "-1000" : "0";

	return pwrite(b->oom, score, strlen(score), 0) == (ssize_t)strlen(score);
}

/* The sandbox's cgroup, with a little less than all memory: when the sandbox has used its part up, the
 * kernel kills within it, and the agent still has what it needs to say so. */
static int prepare_cgroup(struct boot *b, struct error *err)
{
	static const char *const controllers[] = {"+pids", "+memory", "+cpu", "+io"};
	struct sysinfo memory;
	char most[32];

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		write_text(CGROUP_ROOT "/cgroup.subtree_control", controllers[i]);
	if (mkdir(CGROUP_SANDBOX, 0755) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make the cgroup " CGROUP_SANDBOX);
	b->cgroup = open(CGROUP_SANDBOX, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->cgroup < 0)
		return error_errno(err, errno, "open the cgroup " CGROUP_SANDBOX);
	b->cgroup_pids_max = openat(b->cgroup, "pids.max", O_WRONLY | O_CLOEXEC);
	b->cgroup_kill = openat(b->cgroup, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	b->cgroup_memory_events = openat(b->cgroup, "memory.events", O_RDONLY | O_CLOEXEC);
	if (sysinfo(&memory) == 0) {
		uint64_t left = (uint64_t)(memory.freeram + memory.bufferram) * memory.mem_unit;

		snprintf(most, sizeof most, "%llu",
			(unsigned long long)(left > 2 * AGENT_RESERVE ? left - AGENT_RESERVE : left));
		write_text(CGROUP_SANDBOX "/memory.max", most);
	}
	return 0;
}

/* Makes the files that SETUP fills, and covers the kernel's boot id with one of them. */
static int prepare_files(struct boot *b, struct error *err)
{
	static const char *const names[FILE_COUNT] = {[FILE_HOSTS] = "hosts",
		[FILE_RESOLV_CONF] = "resolv.conf",
		[FILE_HOSTNAME] = "hostname",
		[FILE_MACHINE_ID] = "machine-id",
		[FILE_BOOT_ID] = "boot_id"};
	static const char *const directories[] = {
		BOOT_IMAGE, BOOT_DISK, BOOT_ROOT, BOOT_MEMORY "/upper", BOOT_MEMORY "/work"};

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		if (mkdir(directories[i], 0755) < 0 && errno != EEXIST)
			return error_errno(err, errno, "make %s", directories[i]);
	for (size_t i = 0; i < FILE_COUNT; i++) {
		char path[64];

		snprintf(path, sizeof path, BOOT_DIRECTORY "/%s", names[i]);
		b->files[i] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, i == FILE_MACHINE_ID ? 0444 : 0644);
		if (b->files[i] < 0)
			return error_errno(err, errno, "make %s", path);
		fallocate(b->files[i], FALLOC_FL_KEEP_SIZE, 0, 1);
		b->trees[i] =
			(int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (b->trees[i] < 0)
			return error_errno(err, errno, "bind %s", path);
	}
	if (mount(BOOT_DIRECTORY "/boot_id", "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL) < 0)
		return error_errno(err, errno, "cover the kernel's boot id");
	return 0;
}

/* A watch a stream's ends, and PID 1 has many streams; spawn.c gives processes the usual limits back. */
static void raise_descriptor_limit(void)
{
	const struct rlimit limit = {AGENT_DESCRIPTORS, 1048576};

	setrlimit(RLIMIT_NOFILE, &limit);
}

int boot(struct boot *b, struct error *err)
{
	int r;

	b->disk_mount = b->memory_mount = b->upper = -1;
	umask(0);
	/* libkrun's init, which may have run before, leaves its mounts shared: those cannot be moved. */
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount_all(early_mounts, ARRAY_SIZE(early_mounts));
	open_standard_descriptors();
	load_modules(b);
	rmdir(MODULES_DIRECTORY);
	mount_all(late_mounts, ARRAY_SIZE(late_mounts));
	prepare_device_names();
	prepare_kernel_settings();
	raise_descriptor_limit();
	network_boot(&b->networks);
	find_missing_file_systems(b);
	b->oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	b->random = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	if (b->random < 0)
		return error_errno(err, errno, "open /dev/urandom");
	b->memory_mount = open(BOOT_MEMORY, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = prepare_files(b, err);
	if (r == 0)
		r = device_find_port(AGENT_PORT_NAME, O_NONBLOCK, &b->port, err);
	if (r < 0)
		return r;
	device_find_disks(b->image, b->disk, sizeof b->image);
	prepare_disk(b->image);
	prepare_disk(b->disk);
	device_forget_blocks(b->image, b->disk);
	/* Last, since it measures the memory that is left. */
	return prepare_cgroup(b, err);
}
