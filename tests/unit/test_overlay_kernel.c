/* SPDX-License-Identifier: Apache-2.0 */
/* The union beside Linux's overlayfs: the same calls on the same layers end the same way and leave the same
 * tree, also after both were set up anew. Needs root. */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/memory/memory.h"
#include "vfs/overlay/overlay.h"
#include "vfs_exercise.h"
#include "vfs_make.h"

#define LOWERS 3

/* Layers in memory, and directories of a tmpfs of this process's own with the same in them. */
struct both {
	struct vfs *lowers[LOWERS], *upper, *fs;
	uint64_t directory, work;
	enum overlay_form form;
	size_t lower_count;
};

static void both_end(struct both *b)
{
	vfs_destroy(b->fs);
	vfs_destroy(b->upper);
	for (size_t i = 0; i < LOWERS; i++)
		vfs_destroy(b->lowers[i]);
	umount2("/tmp/union", MNT_DETACH);
	umount2("/tmp", MNT_DETACH);
}

static struct vfs *new_memory(void)
{
	struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(memory_new(NULL, &fs, &err));
	return fs;
}

static void set_up(struct both *b)
{
	struct overlay_layer layers[LOWERS];
	struct overlay_options options = {.lowers = layers,
		.lower_count = b->lower_count,
		.upper = {b->upper, b->directory},
		.work = b->work,
		.form = b->form};
	char text[512] =
		"redirect_dir=off,index=on,metacopy=off,upperdir=/tmp/upper,workdir=/tmp/work,lowerdir=";
	struct error err;

	for (size_t i = 0; i < b->lower_count; i++) {
		layers[i] = (struct overlay_layer){b->lowers[i], VFS_ROOT};
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s/tmp/lower%zu", i ? ":" : "", i);
	}
	CHECK_OK(overlay_new(&options, &b->fs, &err));
	CHECK_INT(mount("overlay", "/tmp/union", "overlay", 0, text), 0);
}

/* Everything that a mount remembers is forgotten. */
static void set_up_again(struct both *b)
{
	vfs_destroy(b->fs);
	b->fs = NULL;
	CHECK_INT(umount("/tmp/union"), 0);
	set_up(b);
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void exercise_union(struct both *b, uint32_t seed, unsigned operations)
{
	_cleanup_fd_ int fd = open_directory("/tmp/union");

	vfs_exercise_tree(b->fs, fd, seed, operations);
}

static void make_layers(struct both *b, uint32_t seed)
{
	static const char *const names[] = {"/tmp/lower0", "/tmp/lower1", "/tmp/lower2"};

	CHECK_INT(unshare(CLONE_NEWNS), 0);
	CHECK_INT(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	CHECK_INT(mount("tmpfs", "/tmp", "tmpfs", 0, "mode=755"), 0);
	CHECK_INT(mkdir("/tmp/union", 0755) | mkdir("/tmp/upper", 0755) | mkdir("/tmp/work", 0755), 0);
	for (size_t i = 0; i < b->lower_count; i++) {
		_cleanup_fd_ int fd = -1;

		b->lowers[i] = new_memory();
		CHECK_INT(mkdir(names[i], 0755), 0);
		fd = open_directory(names[i]);
		vfs_exercise_tree(b->lowers[i], fd, seed + (uint32_t)i, 400);
	}
	b->upper = new_memory();
	b->directory = vfs_make_directory(b->upper, VFS_ROOT, "upper");
	b->work = vfs_make_directory(b->upper, VFS_ROOT, "work");
}

static void run(size_t lowers, enum overlay_form form, uint32_t seed)
{
	__attribute__((cleanup(both_end))) struct both b = {.lower_count = lowers, .form = form};

	make_layers(&b, seed);
	set_up(&b);
	for (uint32_t i = 0; i < 3; i++) {
		exercise_union(&b, seed + 1000 + i, 1500);
		set_up_again(&b);
	}
	exercise_union(&b, seed + 2000, 100);
}

TEST(a_union_of_one_lower_does_what_the_kernels_does)
{
	for (uint32_t seed = 1; seed <= 4; seed++)
		run(1, OVERLAY_OCI, seed * 17);
}

TEST(a_union_of_three_lowers_does_what_the_kernels_does)
{
	for (uint32_t seed = 1; seed <= 4; seed++)
		run(3, OVERLAY_OCI, seed * 23);
}

TEST(a_union_with_the_kernels_marks_does_what_the_kernels_does)
{
	for (uint32_t seed = 1; seed <= 4; seed++)
		run(3, OVERLAY_KERNEL, seed * 29);
}
