/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay_layers.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "vfs/memory/memory.h"

void layers_end(struct layers *l)
{
	vfs_destroy(l->fs);
	vfs_destroy(l->fault);
	vfs_destroy(l->upper);
	for (size_t i = 0; i < LOWERS; i++)
		vfs_destroy(l->lower[i]);
}

struct vfs *new_memory(void)
{
	struct memory_options options = {.uid = vfs_me().uid, .gid = vfs_me().gid};
	struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(memory_new(&options, &fs, &err));
	return fs;
}

void make_layers(struct layers *l, size_t count)
{
	l->count = count;
	for (size_t i = 0; i < count; i++)
		l->lower[i] = new_memory();
	l->upper = new_memory();
	l->fault = vfs_fault_new(l->upper);
	l->directory = vfs_make_directory(l->upper, VFS_ROOT, "upper");
	l->work = vfs_make_directory(l->upper, VFS_ROOT, "work");
}

int try_mount(struct layers *l, struct error *err)
{
	struct overlay_layer lowers[LOWERS];
	struct overlay_options options = {.lowers = lowers, .lower_count = l->count, .form = l->form};

	vfs_destroy(l->fs);
	l->fs = NULL;
	for (size_t i = 0; i < l->count; i++)
		lowers[i] = (struct overlay_layer){l->lower[i], VFS_ROOT};
	if (!l->read_only) {
		options.upper = (struct overlay_layer){l->fault, l->directory};
		options.work = l->work;
	}
	return overlay_new(&options, &l->fs, err);
}

/* The union of them; nothing is remembered of one that was there. */
void mount_layers(struct layers *l)
{
	struct error err;

	CHECK_OK(try_mount(l, &err));
}

uint64_t look_up(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_attributes a;

	CHECK_CALL(vfs_lookup(fs, parent, name, &a));
	return a.ino;
}

void make_whiteout(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	CHECK_CALL(vfs_mknod(fs, &me, parent, name, S_IFCHR | 0600, 0, 0, &a));
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct vfs_listed *)a)->name, ((const struct vfs_listed *)b)->name);
}

/* All names of a directory are these, sorted, with a space behind each. */
void check_names(struct vfs *fs, uint64_t directory, const char *expected)
{
	_cleanup_listing_ struct vfs_listing l = {0};
	char text[512] = "";

	vfs_list(fs, directory, VFS_NO_HANDLE, 0, false, 0, &l);
	qsort(l.entries, l.count, sizeof *l.entries, compare_texts);
	CHECK_TEXT(l.entries[0].name, ".");
	CHECK_TEXT(l.entries[1].name, "..");
	for (size_t i = 2; i < l.count; i++) {
		CHECK_INT(vfs_look(fs, directory, l.entries[i].name), 0);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", l.entries[i].name);
	}
	CHECK_TEXT(text, expected);
}

bool has_mark(struct layers *l, const char *name)
{
	struct vfs_attributes a;

	if (l->form == OVERLAY_OCI)
		return vfs_look(l->upper, l->directory, name) == 0;
	if (vfs_lookup(l->upper, l->directory, name + 4, &a) < 0)
		return false;
	vfs_forget(l->upper, a.ino, 1);
	return S_ISCHR(a.mode) && a.major == 0 && a.minor == 0;
}

/* The work directory has nothing in it but an empty index. */
void check_work(struct layers *l, const char *index)
{
	uint64_t in;

	check_names(l->upper, l->work, "index ");
	in = look_up(l->upper, l->work, "index");
	check_names(l->upper, in, index);
}

/* A lower file "a", "d/b", "c". */
void make_linked(struct layers *l)
{
	struct vfs_attributes a;
	uint64_t file, d;

	make_layers(l, 1);
	file = vfs_make_text(l->lower[0], VFS_ROOT, "a", "old");
	d = vfs_make_directory(l->lower[0], VFS_ROOT, "d");
	CHECK_CALL(vfs_link(l->lower[0], file, d, "b", &a));
	CHECK_CALL(vfs_link(l->lower[0], file, VFS_ROOT, "c", &a));
	mount_layers(l);
}
