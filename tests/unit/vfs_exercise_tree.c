/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs_exercise.h"
#include "vfs_make.h"

#define NAMES "abcdef"
#define DEPTH 6

/* A directory in both: the same path was walked to it. */
struct place {
	uint64_t ino;
	int fd;
};

struct exercise {
	struct vfs *fs;
	int root;
	uint32_t seed;
	unsigned step;
	bool flags; /* the real file system knows those of renameat2 */
	unsigned good;
};

static uint32_t below(struct exercise *e, uint32_t most)
{
	e->seed ^= e->seed << 13;
	e->seed ^= e->seed >> 17;
	e->seed ^= e->seed << 5;
	return e->seed % most;
}

static const char *some_name(struct exercise *e)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};

	return names[below(e, sizeof NAMES - 1)];
}

static void leave(struct exercise *e, struct place *p)
{
	close(p->fd);
	vfs_forget(e->fs, p->ino, 1);
}

/* Some steps down from the root, as long as there are directories. */
static struct place some_place(struct exercise *e)
{
	struct place p = {.ino = VFS_ROOT, .fd = dup(e->root)};

	for (unsigned depth = below(e, DEPTH); depth > 0; depth--) {
		const char *name = some_name(e);
		struct vfs_attributes a;
		int fd, r = vfs_lookup(e->fs, p.ino, name, &a);

		if (r == 0 && !S_ISDIR(a.mode)) {
			vfs_forget(e->fs, a.ino, 1);
			continue;
		}
		fd = openat(p.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if ((r == 0) != (fd >= 0))
			test_fail(__FILE__, __LINE__, "step %u: %s is no directory in one of both", e->step,
				name);
		if (fd < 0)
			continue;
		leave(e, &p);
		p = (struct place){.ino = a.ino, .fd = fd};
	}
	return p;
}

/* r: of the vfs, 0 or -errno; real: of a system call. */
static void compare(struct exercise *e, const char *what, int r, int real)
{
	int number = real < 0 ? errno : 0;

	if (-r != number)
		test_fail(__FILE__, __LINE__, "step %u: %s: %s, but really: %s", e->step, what, strerror(-r),
			strerror(number));
	e->good += r == 0;
}

/* As CHECK_CALL's calls that look up: what they made is forgotten. */
static void compare_made(
	struct exercise *e, const char *what, int r, const struct vfs_attributes *a, int real)
{
	compare(e, what, r, real);
	if (r == 0)
		vfs_forget(e->fs, a->ino, 1);
}

static void do_create(struct exercise *e, const struct place *p, const char *name)
{
	bool exclusive = below(e, 2), truncate = below(e, 2);
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	int fd = openat(p->fd, name,
		O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_RDWR | (exclusive ? O_EXCL : 0) |
			(truncate ? O_TRUNC : 0),
		0644);
	int number = errno;
	int r = vfs_create(e->fs, &me, p->ino, name, 0644,
		VFS_READ | VFS_WRITE | (exclusive ? VFS_EXCLUSIVE : 0) | (truncate ? VFS_TRUNCATE : 0), &a,
		&handle);
	struct stat s;

	errno = number;
	/* A fifo opens there; here only what has data. */
	if (fd >= 0 && fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode)) {
		CHECK_ERRNO(r, ENXIO);
	} else {
		compare(e, "create", r, fd);
	}
	if (fd >= 0)
		close(fd);
	if (r == 0) {
		vfs_release(e->fs, a.ino, handle);
		vfs_forget(e->fs, a.ino, 1);
	}
}

static void do_make(struct exercise *e, const struct place *p, const char *name)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	uint32_t mode = 0600 | below(e, 0100);
	int r;

	switch (below(e, 4)) {
	case 0:
		r = vfs_mknod(e->fs, &me, p->ino, name, S_IFREG | mode, 0, 0, &a);
		compare_made(e, "mknod", r, &a, mknodat(p->fd, name, S_IFREG | mode, 0));
		break;
	case 1:
		r = vfs_mknod(e->fs, &me, p->ino, name, S_IFIFO | mode, 0, 0, &a);
		compare_made(e, "mkfifo", r, &a, mknodat(p->fd, name, S_IFIFO | mode, 0));
		break;
	case 2:
		r = vfs_symlink(e->fs, &me, p->ino, name, "a/target", &a);
		compare_made(e, "symlink", r, &a, symlinkat("a/target", p->fd, name));
		break;
	default:
		r = vfs_mkdir(e->fs, &me, p->ino, name, 0700 | mode, &a);
		compare_made(e, "mkdir", r, &a, mkdirat(p->fd, name, 0700 | mode));
	}
}

static void do_link(struct exercise *e, const struct place *p, const char *name)
{
	struct place to = some_place(e);
	const char *new_name = some_name(e);
	struct vfs_attributes a, linked;
	int r = vfs_lookup(e->fs, p->ino, name, &a);

	if (r == 0) {
		r = vfs_link(e->fs, a.ino, to.ino, new_name, &linked);
		if (r == 0)
			vfs_forget(e->fs, linked.ino, 1);
		vfs_forget(e->fs, a.ino, 1);
	}
	compare(e, "link", r, linkat(p->fd, name, to.fd, new_name, 0));
	leave(e, &to);
}

static void do_remove(struct exercise *e, const struct place *p, const char *name)
{
	bool directory = below(e, 2);
	int r = directory ? vfs_rmdir(e->fs, p->ino, name) : vfs_unlink(e->fs, p->ino, name);

	compare(e, directory ? "rmdir" : "unlink", r, unlinkat(p->fd, name, directory ? AT_REMOVEDIR : 0));
}

static void do_rename(struct exercise *e, const struct place *p, const char *name)
{
	static const unsigned flags[] = {0, 0, VFS_NO_REPLACE, VFS_EXCHANGE};
	static const unsigned real[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	struct place to = some_place(e);
	unsigned i = e->flags ? below(e, 4) : 0;
	const char *new_name = some_name(e);
	int r = vfs_rename(e->fs, p->ino, name, to.ino, new_name, flags[i]);

	compare(e, "rename", r, renameat2(p->fd, name, to.fd, new_name, real[i]));
	leave(e, &to);
}

static void change_data(struct exercise *e, const struct vfs_attributes *a, int fd)
{
	uint8_t bytes[3000], there[sizeof bytes];
	size_t n = 1 + below(e, sizeof bytes), offset = below(e, 20000);
	struct vfs_attributes values = {.size = below(e, 20000)};
	struct vfs_caller me = vfs_me();

	memset(bytes, (int)e->step, n);
	CHECK_INT(vfs_write(e->fs, a->ino, VFS_NO_HANDLE, bytes, n, offset), n);
	CHECK_INT(pwrite(fd, bytes, n, (off_t)offset), n);
	if (below(e, 2)) {
		CHECK_CALL(vfs_setattr(e->fs, &me, a->ino, VFS_NO_HANDLE, &values, VFS_SET_SIZE, &values));
		CHECK_INT(ftruncate(fd, (off_t)values.size), 0);
	}
	offset = below(e, 20000);
	n = (size_t)vfs_read(e->fs, a->ino, VFS_NO_HANDLE, bytes, sizeof bytes, offset);
	CHECK_INT(n, pread(fd, there, sizeof there, (off_t)offset));
	CHECK(!memcmp(bytes, there, n));
}

static void change_attributes(
	struct exercise *e, const struct vfs_attributes *a, const struct place *p, const char *name)
{
	struct vfs_attributes values = {.mode = 0700 | below(e, 0100),
		.atime = {below(e, 1000000), below(e, 1000000000)},
		.mtime = {below(e, 1000000), below(e, 1000000000)}};
	struct timespec times[2] = {{values.atime.seconds, values.atime.nanoseconds},
		{values.mtime.seconds, values.mtime.nanoseconds}};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes out;

	CHECK_CALL(
		vfs_setattr(e->fs, &me, a->ino, VFS_NO_HANDLE, &values, VFS_SET_ATIME | VFS_SET_MTIME, &out));
	CHECK_INT(utimensat(p->fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
	if (S_ISLNK(a->mode))
		return;
	CHECK_CALL(vfs_setattr(e->fs, &me, a->ino, VFS_NO_HANDLE, &values, VFS_SET_MODE, &out));
	CHECK_INT(fchmodat(p->fd, name, values.mode, 0), 0);
}

static void do_change(struct exercise *e, const struct place *p, const char *name)
{
	struct vfs_attributes a;
	struct stat s;
	int r = vfs_lookup(e->fs, p->ino, name, &a), fd;

	compare(e, "look up", r, fstatat(p->fd, name, &s, AT_SYMLINK_NOFOLLOW));
	if (r < 0)
		return;
	change_attributes(e, &a, p, name);
	if (S_ISREG(a.mode)) {
		fd = openat(p->fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		CHECK(fd >= 0);
		change_data(e, &a, fd);
		close(fd);
	}
	vfs_forget(e->fs, a.ino, 1);
}

/* ---- comparing -------------------------------------------------------------------------------------- */

static void compare_data(struct exercise *e, uint64_t ino, int at, const char *name, size_t size)
{
	_cleanup_fd_ int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ uint8_t *a = malloc(size + 1), *b = malloc(size + 1);

	CHECK_INT(vfs_read(e->fs, ino, VFS_NO_HANDLE, a, size + 1, 0), size);
	CHECK_INT(pread(fd, b, size + 1, 0), size);
	CHECK(!memcmp(a, b, size));
}

static void compare_object(struct exercise *e, const struct vfs_attributes *a, int at, const char *name)
{
	struct stat s;

	CHECK_INT(fstatat(at, name, &s, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_INT(a->mode & S_IFMT, s.st_mode & S_IFMT);
	CHECK_INT(a->uid, s.st_uid);
	CHECK_INT(a->gid, s.st_gid);
	if (!S_ISLNK(s.st_mode))
		CHECK_INT(a->mode, s.st_mode);
	if (!S_ISDIR(s.st_mode))
		CHECK_INT(a->links, s.st_nlink);
	if (!S_ISREG(s.st_mode))
		return;
	CHECK_INT(a->size, s.st_size);
	/* Set to the same, or both to now. */
	if (a->mtime.seconds < 2000000 || s.st_mtim.tv_sec < 2000000) {
		CHECK_INT(a->mtime.seconds, s.st_mtim.tv_sec);
		CHECK_INT(a->mtime.nanoseconds, s.st_mtim.tv_nsec);
	}
	compare_data(e, a->ino, at, name, a->size);
}

static size_t real_count(int fd)
{
	DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t n = 0;

	CHECK(d != NULL);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void compare_trees(struct exercise *e, uint64_t ino, int fd)
{
	_cleanup_listing_ struct vfs_listing listing = {0};

	CHECK_INT(vfs_list(e->fs, ino, VFS_NO_HANDLE, 0, true, 0, &listing), real_count(fd));
	for (size_t i = 2; i < listing.count; i++) {
		const struct vfs_listed *entry = &listing.entries[i];

		compare_object(e, &entry->values, fd, entry->name);
		if (entry->type == S_IFDIR) {
			_cleanup_fd_ int next = openat(fd, entry->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			compare_trees(e, entry->ino, next);
		}
		vfs_forget(e->fs, entry->ino, 1);
	}
}

static bool knows_flags(int fd)
{
	bool good = mknodat(fd, "x", S_IFREG | 0600, 0) == 0 && mknodat(fd, "y", S_IFREG | 0600, 0) == 0 &&
		    renameat2(fd, "x", fd, "y", RENAME_EXCHANGE) == 0;

	unlinkat(fd, "x", 0);
	unlinkat(fd, "y", 0);
	return good;
}

void vfs_exercise_tree(struct vfs *fs, int directory, uint32_t seed, unsigned operations)
{
	static void (*const actions[])(struct exercise * e, const struct place *p, const char *name) = {
		do_create, do_make, do_make, do_link, do_remove, do_remove, do_rename, do_rename, do_rename,
		do_change, do_change};
	struct exercise e = {.fs = fs, .root = directory, .seed = seed, .flags = knows_flags(directory)};
	mode_t mask = umask(0);

	for (e.step = 0; e.step < operations; e.step++) {
		struct place p = some_place(&e);

		actions[below(&e, sizeof actions / sizeof *actions)](&e, &p, some_name(&e));
		leave(&e, &p);
		if (e.step % 500 == 0)
			compare_trees(&e, VFS_ROOT, directory);
	}
	compare_trees(&e, VFS_ROOT, directory);
	umask(mask);
	/* It is not all errors. */
	CHECK(e.good > operations / 8);
}
