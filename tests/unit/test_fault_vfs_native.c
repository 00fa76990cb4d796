/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the host is served while memory runs out: each allocation fails once, in its turn. Calls
 * fail or do without; nothing leaks, neither memory nor descriptors, and what is there afterwards is right.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "os/fs.h"
#include "vfs/native/native.h"

static int descriptors_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	CHECK(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static int take(void *context, const struct vfs_entry *e)
{
	if (e->attributes)
		vfs_forget(context, e->ino, 1);
	return 0;
}

static void forget(struct vfs *fs, int r, const struct vfs_attributes *a)
{
	if (r == 0)
		vfs_forget(fs, a->ino, 1);
}

static void use_file(struct vfs *fs, uint64_t directory)
{
	struct vfs_caller who = {.uid = 5};
	struct vfs_attributes a, b;
	uint8_t bytes[VFS_PERSISTENT_MAX];
	vfs_handle handle;
	char list[256];
	size_t size;

	if (vfs_create(fs, &who, directory, "f", 0644, VFS_READ | VFS_WRITE, &a, &handle) < 0)
		return;
	vfs_write(fs, a.ino, handle, "text", 4, 0);
	vfs_setxattr(fs, a.ino, "user.a", "b", 1, 0);
	vfs_listxattr(fs, a.ino, list, sizeof list);
	vfs_setattr(fs, &who, a.ino, handle, &(struct vfs_attributes){.mode = 04711}, VFS_SET_MODE, &b);
	forget(fs, vfs_link(fs, a.ino, VFS_ROOT, "g", &b), &b);
	vfs_rename(fs, directory, "f", VFS_ROOT, "h", 0);
	if (vfs_persist(fs, a.ino, bytes, &size) == 0)
		forget(fs, vfs_resolve(fs, bytes, size, &b), &b);
	vfs_unlink(fs, VFS_ROOT, "g");
	vfs_release(fs, a.ino, handle);
	vfs_forget(fs, a.ino, 1);
}

static void use(struct vfs *fs)
{
	struct vfs_caller who = {.uid = 5};
	struct vfs_attributes d, a;
	vfs_handle handle;

	if (vfs_mkdir(fs, &who, VFS_ROOT, "d", 0755, &d) < 0 && vfs_lookup(fs, VFS_ROOT, "d", &d) < 0)
		return;
	use_file(fs, d.ino);
	forget(fs, vfs_mknod(fs, &who, d.ino, "n", S_IFIFO | 0600, 0, 0, &a), &a);
	forget(fs, vfs_symlink(fs, &who, d.ino, "s", "n", &a), &a);
	if (vfs_opendir(fs, VFS_ROOT, &handle) == 0) {
		vfs_readdir(fs, VFS_ROOT, handle, 0, true, take, fs);
		vfs_releasedir(fs, VFS_ROOT, handle);
	}
	vfs_readdir(fs, d.ino, VFS_NO_HANDLE, 0, true, take, fs);
	vfs_unlink(fs, d.ino, "n");
	vfs_unlink(fs, d.ino, "s");
	vfs_forget(fs, d.ino, 1);
}

/* Once more, without faults. */
static void check_whole(struct vfs *fs)
{
	struct vfs_caller who = {.uid = 5};
	struct vfs_attributes a;

	vfs_unlink(fs, VFS_ROOT, "whole");
	CHECK_INT(vfs_mknod(fs, &who, VFS_ROOT, "whole", S_IFREG | 04755, 0, 0, &a), 0);
	CHECK_INT(a.mode, S_IFREG | 04755);
	CHECK_INT(a.uid, 5);
	vfs_forget(fs, a.ino, 1);
}

TEST(a_directory_is_served_while_memory_runs_out)
{
	char path[] = "/tmp/monocore-test-XXXXXX";
	struct native_options options = {.descriptors = 4};
	int before, failed = 0;
	bool happened = true;
	struct error err;

	CHECK(mkdtemp(path));
	options.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	before = descriptors_open();
	for (unsigned n = 1; happened; n++) {
		long blocks = fault_blocks();
		struct vfs *fs = NULL;
		int r;

		fault_disarm();
		fault_arm(FAULT_MEMORY, n);
		r = native_new(&options, &fs, &err);
		if (r == 0)
			use(fs);
		happened = fault_happened();
		fault_disarm();
		CHECK(r == 0 || happened);
		failed += r < 0;
		if (r == 0) {
			check_whole(fs);
			vfs_destroy(fs);
		}
		CHECK_INT(fault_blocks(), blocks);
		CHECK_INT(descriptors_open(), before);
		CHECK(n < 1000);
	}
	CHECK(failed > 1);
	close(options.directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}
