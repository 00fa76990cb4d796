/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "guest/beneath.h"
#include "guest/device.h"
#include "guest/root.h"
#include "guest/share.h"
#include "guest/staged.h"
#include "guest/volume_fill.h"
#include "guest/volume_place.h"
#include "guest/volume_relay.h"
#include "guest/volume_settle.h"
#include "guest/volume_used.h"

#define MOUNT_TIME \
	MILLISECONDS(60000) /* a volume may be mounted in another, which a slow host answers for \
			     */
#define FILL_TIME  MILLISECONDS(600000)
#define RENEW_TIME MILLISECONDS(5000)
#define END        SIGUSR1 /* what tells the volumes' process to end, once the host has taken all */
#define RENEW      SIGUSR2 /* what tells it that the machine is a copy */
#define END_STEP   1000000 /* nanoseconds between looks */
#define REPORT     3       /* descriptor of the pipe to the agent */
#define STORAGE    4       /* of the directory for what is staged */

static int configure(int fs, unsigned command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs, command, key, value, 0);
}

/* The file system, not yet anywhere: the kernel sends its first message and does not wait for the answer. */
static int make_mount(int fuse, uint32_t flags)
{
	bool read_only = flags & (MOUNT_READ_ONLY | MOUNT_STAGED);
	_cleanup_fd_ int fs = (int)syscall(SYS_fsopen, "fuse", FSOPEN_CLOEXEC);
	char number[16];

	snprintf(number, sizeof number, "%d", fuse);
	if (fs < 0 || configure(fs, FSCONFIG_SET_STRING, "source", "monocore") < 0 ||
		configure(fs, FSCONFIG_SET_STRING, "fd", number) < 0 ||
		configure(fs, FSCONFIG_SET_STRING, "rootmode", flags & MOUNT_FILE ? "100644" : "40000") < 0 ||
		configure(fs, FSCONFIG_SET_STRING, "user_id", "0") < 0 ||
		configure(fs, FSCONFIG_SET_STRING, "group_id", "0") < 0 ||
		configure(fs, FSCONFIG_SET_FLAG, "allow_other", NULL) < 0 ||
		configure(fs, FSCONFIG_SET_FLAG, "default_permissions", NULL) < 0 ||
		(read_only && configure(fs, FSCONFIG_SET_FLAG, "ro", NULL) < 0) ||
		configure(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
		return -1;
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, read_only ? MOUNT_ATTR_RDONLY : 0);
}

/* The device's number without a question to the host. */
static int open_readahead(int mount)
{
	struct volume_node root;
	char path[64];

	if (!volume_node(mount, "", &root))
		return -1;
	snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", root.major, root.minor);
	return open(path, O_WRONLY | O_CLOEXEC);
}

static int move_onto(int mount, int target)
{
	return (int)syscall(
		SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* The overlay takes the place of the volume, which has to be somewhere while it is made and is nowhere then.
 */
static int cover(uint32_t number, int volume, int target, struct error *err)
{
	_cleanup_fd_ int overlay = staged_mount(STORAGE, number, volume, err);
	char path[32];

	if (overlay < 0)
		return -(int)err->code;
	snprintf(path, sizeof path, "/proc/self/fd/%d", volume);
	if (umount2(path, MNT_DETACH) < 0 || move_onto(overlay, target) < 0)
		return error_errno(err, errno, "mount what is staged");
	return 0;
}

static int mount_fuse(struct volume_relay *relay, uint32_t number, const struct message_mount *m, int target,
	struct error *err)
{
	_cleanup_fd_ int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC), mount = -1;
	bool staged = m->flags & MOUNT_STAGED;
	struct volume_mount v;
	int volume, r;

	if (fuse < 0)
		return error_set(
			err, ERROR_UNAVAILABLE, "the guest's kernel has no FUSE, which volumes need");
	mount = make_mount(fuse, m->flags);
	if (mount < 0 || move_onto(mount, target) < 0)
		return error_errno(err, errno, "mount the volume on %s", m->path);
	v.readahead = open_readahead(mount);
	v.fuse = TAKE_FD(fuse);
	v.mount = volume = TAKE_FD(mount);
	r = volume_relay_add(relay, number, &v, err);
	return r == 0 && staged ? cover(number, volume, target, err) : r;
}

static int mount_share(uint32_t number, const struct message_mount *m, int target, struct error *err)
{
	bool staged = m->flags & MOUNT_STAGED;
	_cleanup_fd_ int mount = share_open(number, staged || m->flags & MOUNT_READ_ONLY, err);

	if (mount < 0)
		return mount;
	if (move_onto(mount, target) < 0)
		return error_errno(err, errno, "mount the volume on %s", m->path);
	share_read_ahead(mount);
	return staged ? cover(number, mount, target, err) : 0;
}

static int mount_nfs(struct volume_relay *relay, uint32_t number, const struct message_mount *m, int target,
	struct error *err)
{
	_cleanup_fd_ int mount = -1;
	uint16_t port;
	int r = volume_relay_add_nfs(relay, number, &port, err);

	if (r == 0)
		r = mount = share_open_nfs(port, m->flags & MOUNT_READ_ONLY, err);
	if (r < 0)
		return error_prefix(err, "mount the volume on %s", m->path);
	if (move_onto(mount, target) < 0)
		return error_errno(err, errno, "mount the volume on %s", m->path);
	share_read_ahead(mount);
	volume_relay_nfs_mounted(relay, number, TAKE_FD(mount));
	return 0;
}

static int mount_one(struct volume_relay *relay, uint32_t number, const struct message_mount *mounts,
	bool first, struct error *err)
{
	const struct message_mount *m = &mounts[number];
	_cleanup_fd_ int target = volume_place(mounts, number, first);

	if (target < 0)
		return error_errno(err, errno, "make the volume's mount point %s", m->path);
	if (m->flags & MOUNT_NFS)
		return mount_nfs(relay, number, m, target, err);
	return m->flags & MOUNT_VIRTIOFS ? mount_share(number, m, target, err)
					 : mount_fuse(relay, number, m, target, err);
}

/* The root as it is below all volumes. */
static int open_root(void)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

static int fill_one(int root, const struct message_mount *m, struct error *err)
{
	_cleanup_fd_ int to = beneath_open(AT_FDCWD, m->path, O_RDONLY | O_DIRECTORY, 0, BENEATH_ROOT);
	int r = root < 0 || to < 0 ? error_errno(err, errno, "open it") : volume_fill(root, m->path, to, err);

	return r < 0 ? error_prefix(
			       err, "fill the volume %s from the image (nocopy leaves it empty)", m->path)
		     : 0;
}

static bool any_has(const struct message_mount *mounts, uint32_t count, uint32_t flag)
{
	for (uint32_t i = 0; i < count; i++)
		if (mounts[i].flags & flag)
			return true;
	return false;
}

static bool need_relay(const struct message_mount *mounts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!(mounts[i].flags & MOUNT_VIRTIOFS))
			return true;
	return false;
}

static int start_relay(
	uint32_t count, _Atomic uint32_t *unsettled, struct volume_relay **relay, struct error *err)
{
	int port, r = device_find_port(VOLUMES_PORT_NAME, 0, &port, err);

	if (r == 0)
		r = volume_relay_new(port, count, unsettled, relay, err);
	return r == 0 ? volume_relay_start(*relay, err) : r;
}

static int mount_all(const struct message_mount *mounts, uint32_t count, bool first,
	_Atomic uint32_t *unsettled, struct volume_relay **relay, struct error *err)
{
	_cleanup_fd_ int root = any_has(mounts, count, MOUNT_FILL) ? open_root() : -1;
	int r = need_relay(mounts, count) ? start_relay(count, unsettled, relay, err) : 0;

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		r = mount_one(*relay, i, mounts, first, err);
		if (r == 0 && mounts[i].flags & MOUNT_FILL)
			r = fill_one(root, &mounts[i], err);
	}
	return r;
}

/* TERM is for the sandbox's processes, and this one must outlive them. */
static void become_relay(int report, int storage)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "mcagent-volumes");
	report = fcntl(report, F_DUPFD_CLOEXEC, STORAGE + 1);
	storage = fcntl(storage, F_DUPFD_CLOEXEC, STORAGE + 1);
	if (dup3(report, REPORT, O_CLOEXEC) < 0 || dup3(storage, STORAGE, O_CLOEXEC) < 0)
		_exit(1);
	syscall(SYS_close_range, STORAGE + 1, ~0U, 0);
}

static void tell_agent(const struct error *done)
{
	if (write(REPORT, done, sizeof *done) != sizeof *done)
		_exit(1);
}

/* END is sent by the agent, when nobody is left who could change anything. */
static _Noreturn void do_what_is_told(struct volume_relay *relay, const _Atomic uint32_t *unsettled)
{
	static const struct error done;
	sigset_t all;
	int told;

	sigemptyset(&all);
	sigaddset(&all, END);
	sigaddset(&all, RENEW);
	sigaddset(&all, VOLUMES_HURRY);
	while ((told = sigwaitinfo(&all, NULL)) != END) {
		if (told == VOLUMES_HURRY)
			volume_relay_hurry(relay);
		if (told != RENEW)
			continue;
		volume_relay_renew(relay);
		tell_agent(&done);
	}
	volume_relay_hurry(relay);
	while (*unsettled)
		nanosleep(&(struct timespec){.tv_nsec = END_STEP}, NULL);
	_exit(0);
}

static _Noreturn void run_relay(const struct message_mount *mounts, uint32_t count, int storage, bool first,
	_Atomic uint32_t *unsettled, int report)
{
	struct volume_relay *relay = NULL;
	struct error err = {0};

	become_relay(report, storage);
	if (mount_all(mounts, count, first, unsettled, &relay, &err) == 0)
		err.code = ERROR_NONE;
	tell_agent(&err);
	if (err.code)
		_exit(1);
	close(STORAGE);
	if (!relay)
		_exit(0);
	do_what_is_told(relay, unsettled);
}

static int await_report(int report, const char *what, uint64_t time, struct error *err)
{
	struct pollfd p = {.fd = report, .events = POLLIN};
	uint64_t deadline = clock_monotonic() + time;
	struct error said;
	int n;

	while ((n = poll(&p, 1, clock_poll_timeout(deadline))) < 0 && errno == EINTR)
		;
	if (n == 0)
		return error_set(err, ERROR_TIMEOUT, "%s: the host does not answer", what);
	if (read(report, &said, sizeof said) != sizeof said)
		return error_set(err, ERROR_CLOSED, "%s: their process ended", what);
	if (said.code)
		*err = said;
	return -(int)said.code;
}

int volumes_mount(const struct message_mount *mounts, uint32_t count, int storage, bool first,
	struct volumes *volumes, struct error *err)
{
	_cleanup_fd_ int report = -1;
	int ends[2], r;

	volumes->unsettled = mmap(
		NULL, sizeof *volumes->unsettled, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (volumes->unsettled == MAP_FAILED)
		volumes->unsettled = NULL;
	if (!volumes->unsettled || pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "make a pipe and memory for the volumes' process");
	report = ends[0];
	volumes->pid = fork();
	if (volumes->pid == 0)
		run_relay(mounts, count, storage, first, volumes->unsettled, ends[1]);
	close(ends[1]);
	if (volumes->pid < 0)
		return error_errno(err, errno, "start the volumes' process");
	r = await_report(report, "mount the volumes",
		any_has(mounts, count, MOUNT_FILL) ? FILL_TIME : MOUNT_TIME, err);
	volumes->report = r < 0 ? -1 : TAKE_FD(report);
	return r;
}

int volumes_renew(const struct volumes *volumes, struct error *err)
{
	if (!volumes->pid || volumes->report < 0)
		return 0;
	kill(volumes->pid, RENEW);
	return await_report(volumes->report, "renew what is known of volumes", RENEW_TIME, err);
}

void volumes_end(pid_t pid, uint64_t deadline)
{
	pid_t ended;

	root_sync(deadline);
	kill(pid, END);
	while ((ended = waitpid(pid, NULL, WNOHANG)) == 0 && clock_monotonic() < deadline)
		nanosleep(&(struct timespec){.tv_nsec = END_STEP}, NULL);
	if (ended)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
