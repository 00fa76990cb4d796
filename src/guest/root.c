/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "guest/beneath.h"
#include "guest/made.h"
#include "guest/share.h"

#define UPPER_MODE 0755 /* that the upper is made with, root's */

/* As docker and podman write layers: renamed directories are copied, never redirected, so that the upper is
 * a plain layer. */
#define OVERLAY_OPTIONS(upper) \
	"lowerdir=" BOOT_IMAGE ",upperdir=" upper "/upper,workdir=" upper \
	"/work,redirect_dir=off,index=off," \
	"metacopy=off"

/* The host has zeroed the tables of inodes, and what is read ahead of need costs time at the start: no thread
 * is to do either. */
#define DISK_OPTIONS "noinit_itable,no_prefetch_block_bitmaps"

/* The root, or in a read-only sandbox what stands in the image's place, as the host serves it. */
static int mount_share(const char *path, uint32_t place, bool read_only, struct error *err)
{
	_cleanup_fd_ int mount = share_open(place, read_only, err);

	if (mount < 0)
		return mount;
	if (syscall(SYS_move_mount, mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(err, errno, "mount the root (virtiofs)");
	share_read_ahead(mount);
	return 0;
}

/* The place in the list, or -1. */
static int find_share(const struct message_setup *m)
{
	for (uint32_t i = 0; i < m->mount_count; i++)
		if (m->mounts[i].flags & MOUNT_ROOT)
			return (int)i;
	return -1;
}

static int mount_image(const struct boot *b, const struct message_setup *m, struct error *err)
{
	int share = find_share(m);

	if (share >= 0)
		return mount_share(BOOT_IMAGE, (uint32_t)share, true, err);
	if (mount(b->image, BOOT_IMAGE, m->root_type, MS_RDONLY, NULL) < 0)
		return error_errno(err, errno, "mount the image (%s on %s)", m->root_type, b->image);
	return 0;
}

static int mount_disk(struct boot *b, unsigned long flags, struct error *err)
{
	if (mount(b->disk, BOOT_DISK, "ext4", MS_NOATIME | flags, DISK_OPTIONS) < 0)
		return error_errno(err, errno, "mount the sandbox's disk (ext4 on %s)", b->disk);
	b->disk_mount = open(BOOT_DISK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return b->disk_mount < 0 ? error_errno(err, errno, "open the sandbox's disk") : 0;
}

static int make_upper(struct boot *b, struct error *err)
{
	static const char *const directories[] = {"upper", "work"};

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		bool made = mkdirat(b->disk_mount, directories[i], UPPER_MODE) == 0;

		if (!made && errno != EEXIST)
			return error_errno(err, errno, "make '%s' on the sandbox's disk", directories[i]);
		b->first |= made && i == 0;
	}
	return 0;
}

static int open_upper(struct boot *b, int at, bool may_lack, struct error *err)
{
	b->upper = openat(at, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (b->upper < 0 && errno == ENOENT && may_lack)
		return 0;
	return b->upper < 0 ? error_errno(err, errno, "open the directory of the sandbox's changes") : 0;
}

/* The root of an overlay has its upper directory's owner, mode and time: before anything runs these become
 * the image's. */
static int adopt_root(const struct boot *b, struct error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat s;

	if (!b->first || b->upper < 0)
		return 0;
	if (stat(BOOT_IMAGE, &s) < 0 ||
		((s.st_uid || s.st_gid) && fchown(b->upper, s.st_uid, s.st_gid) < 0) ||
		((s.st_mode & 07777) != UPPER_MODE && fchmod(b->upper, s.st_mode & 07777) < 0))
		return error_errno(err, errno, "take over the owner and the mode of the image's root");
	times[1] = s.st_mtim;
	futimens(b->upper, times);
	made_mark(b->upper);
	return 0;
}

/* Moves the mount at `from` (with all below it) onto `name` of the new root, whatever the image has there. */
static int move_into(const struct boot *b, int root, const char *from, const char *name, struct error *err)
{
	_cleanup_fd_ int target = beneath_insist(root, name, made_maker(b->first));

	if (target < 0)
		return error_errno(err, errno, "make the mount point /%s in the image", name);
	if (syscall(SYS_move_mount, AT_FDCWD, from, target, "", MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_errno(err, errno, "move %s into the image", from);
	return 0;
}

/* The kernel's first root cannot be left by pivot_root(2): ours is moved over it, and is then the root of
 * the mount namespace as well as ours, which user namespaces insist on. */
static int switch_root(struct error *err)
{
	if (chdir(BOOT_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
		chdir("/") < 0)
		return error_errno(err, errno, "make the image the root");
	return 0;
}

static int mount_overlay(struct boot *b, const struct message_setup *m, struct error *err)
{
	bool disk = m->disk && !m->read_only;
	const char *options = disk ? OVERLAY_OPTIONS(BOOT_DISK) : OVERLAY_OPTIONS(BOOT_MEMORY);
	int r = mount_image(b, m, err);

	b->first = !disk;
	if (r == 0 && disk)
		r = make_upper(b, err);
	if (r == 0 && !m->read_only)
		r = open_upper(b, boot_storage(b), false, err);
	if (r == 0)
		r = adopt_root(b, err);
	if (r == 0 && mount("overlay", BOOT_ROOT, "overlay", 0, options) < 0)
		return error_errno(err, errno, "mount the root (overlay)");
	return r;
}

int root_set_up(struct boot *b, const struct message_setup *m, struct error *err)
{
	static const char *const moved[] = {"dev", "proc", "sys"};
	int share = find_share(m);
	_cleanup_fd_ int root = -1;
	int r = m->disk ? mount_disk(b, 0, err) : 0;

	if (r == 0)
		r = share >= 0 && !m->read_only ? mount_share(BOOT_ROOT, (uint32_t)share, false, err)
						: mount_overlay(b, m, err);
	if (r < 0)
		return r;
	root = open(BOOT_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(moved); i++) {
		char from[8] = "/";

		strncat(from, moved[i], sizeof from - 2);
		r = move_into(b, root, from, moved[i], err);
	}
	return r < 0 ? r : switch_root(err);
}

/* The mount replays the journal of a disk that was not left in peace, and writes nothing else. One that was
 * never started has no upper directory. */
int root_set_up_upper(struct boot *b, const struct message_setup *m, struct error *err)
{
	int share = find_share(m), r = m->disk ? mount_disk(b, MS_RDONLY, err) : 0;
	_cleanup_fd_ int shared = -1;

	if (r == 0 && share >= 0) {
		r = mount_share(BOOT_IMAGE, (uint32_t)share, true, err);
		shared = open(BOOT_IMAGE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return r < 0 ? r : open_upper(b, share >= 0 ? shared : b->disk_mount, true, err);
}

/* Binds a directory of the root over itself: it does not follow when the root becomes read-only. */
static int keep_writable(const char *path, struct error *err)
{
	_cleanup_fd_ int directory = beneath_make(AT_FDCWD, path, BENEATH_ROOT, made_directory);
	_cleanup_fd_ int tree = (int)syscall(
		SYS_open_tree, directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0 || syscall(SYS_move_mount, tree, "", directory, "",
				MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_errno(err, errno, "keep %s writable", path);
	return 0;
}

int root_protect(const struct message_setup *m, struct error *err)
{
	static const char *const writable[] = {"/tmp", "/run", "/var/tmp"};
	int r = 0;

	if (!m->read_only)
		return 0;
	for (size_t i = 0; r == 0 && i < sizeof writable / sizeof *writable; i++)
		r = keep_writable(writable[i], err);
	for (char **volume = m->volumes; r == 0 && volume && *volume; volume++)
		r = keep_writable(*volume, err);
	if (r == 0 && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return error_errno(err, errno, "make the root read-only");
	return r;
}

/* In a process that may be left waiting. */
void root_sync(uint64_t deadline)
{
	pid_t pid = fork();

	if (pid == 0) {
		sync();
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_monotonic() > deadline) {
			kill(pid, SIGKILL);
			return;
		}
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

void root_freeze(int disk, uint64_t deadline)
{
	/* The disk first, then those, which may lie on the disk. */
	if (disk >= 0)
		syncfs(disk);
	root_sync(deadline);
	if (disk >= 0)
		ioctl(disk, FIFREEZE, 0);
}
