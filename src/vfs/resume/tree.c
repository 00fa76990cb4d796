/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/resume/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define DEPTH_MAX 2048 /* of a path */
#define NO_PARENT UINT32_MAX
#define MOVES_MAX (1u << 16) /* each keeps its new name in memory */

struct name {
	uint64_t ino;
	uint32_t parent; /* its place in `names`; NO_PARENT: it is in the root */
	uint32_t text;   /* where its text begins */
	bool directory;
};

struct resume_tree {
	struct name *names; /* a directory stands before what is in it */
	uint32_t count, room;
	struct buffer texts;
	uint32_t *by_number; /* places, ordered by ino */
	uint32_t reading;    /* the directory that is being read */
	uint32_t moves;
	bool failed;
};

static bool make_room(struct resume_tree *t)
{
	uint32_t room = t->room ? 2 * t->room : 1024;
	struct name *more;

	if (t->count < t->room)
		return true;
	more = reallocarray(t->names, room, sizeof *more);
	if (!more)
		return false;
	t->names = more;
	t->room = room;
	return true;
}

static int take_name(void *context, const struct vfs_entry *e)
{
	struct resume_tree *t = context;
	uint32_t text = (uint32_t)t->texts.size;

	if (e->name[0] == '.' && (e->name_size == 1 || (e->name_size == 2 && e->name[1] == '.')))
		return 0;
	if (t->count == RESUME_ENTRIES_MAX)
		return 1;
	if (!make_room(t) || !buffer_append(&t->texts, e->name, e->name_size) || !buffer_u8(&t->texts, 0)) {
		t->failed = true;
		return 1;
	}
	t->names[t->count++] = (struct name){e->ino, t->reading, text, S_ISDIR(e->type)};
	return 0;
}

static const char *text_of(const struct resume_tree *t, const struct name *n)
{
	return (const char *)t->texts.data + n->text;
}

/* What cannot be read is left out. */
static void read_directory(struct resume_tree *t, struct vfs *fs, uint64_t ino, uint32_t place)
{
	vfs_handle handle;

	t->reading = place;
	if (vfs_opendir(fs, ino, &handle) < 0)
		return;
	vfs_readdir(fs, ino, handle, 0, false, take_name, t);
	vfs_releasedir(fs, ino, handle);
}

/* Level by level. A directory stays looked up until the end, since what is in it is looked up from there. */
static void walk(struct resume_tree *t, struct vfs *fs)
{
	uint32_t done = 0;

	read_directory(t, fs, VFS_ROOT, NO_PARENT);
	for (; !t->failed && done < t->count; done++) {
		struct name *n = &t->names[done];
		uint64_t parent = n->parent == NO_PARENT ? VFS_ROOT : t->names[n->parent].ino;
		struct vfs_attributes a;

		if (!n->directory)
			continue;
		if (vfs_lookup(fs, parent, text_of(t, n), &a) < 0) {
			n->directory = false;
			continue;
		}
		n->ino = a.ino;
		if (S_ISDIR(a.mode))
			read_directory(t, fs, a.ino, done);
	}
	for (uint32_t i = 0; i < done; i++)
		if (t->names[i].directory)
			vfs_forget(fs, t->names[i].ino, 1);
}

static int compare(const void *a, const void *b, void *context)
{
	const struct name *names = context;
	uint64_t x = names[*(const uint32_t *)a].ino, y = names[*(const uint32_t *)b].ino;

	return (x > y) - (x < y);
}

struct resume_tree *resume_tree_new(struct vfs *fs)
{
	struct resume_tree *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	walk(t, fs);
	t->by_number = calloc((size_t)t->count + 1, sizeof *t->by_number);
	if (t->failed || !t->by_number) {
		resume_tree_free(t);
		return NULL;
	}
	for (uint32_t i = 0; i < t->count; i++)
		t->by_number[i] = i;
	qsort_r(t->by_number, t->count, sizeof *t->by_number, compare, t->names);
	return t;
}

void resume_tree_free(struct resume_tree *t)
{
	if (!t)
		return;
	free(t->names);
	free(t->by_number);
	buffer_free(&t->texts);
	free(t);
}

/* The first place with this number, in by_number; count: there is none. */
static uint32_t search(const struct resume_tree *t, uint64_t ino)
{
	uint32_t low = 0, high = t->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (t->names[t->by_number[middle]].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->count && t->names[t->by_number[low]].ino == ino ? low : t->count;
}

bool resume_is_younger(const struct vfs_attributes *a, uint64_t until)
{
	const struct vfs_time *born = &a->btime;

	return born->seconds > 0 &&
	       (uint64_t)born->seconds * NANOSECONDS_PER_SECOND + born->nanoseconds > until;
}

/* Numbers are given again once their files are gone. A time that is still to come says nothing: a clock was
 * set. */
static bool is_another(const struct vfs_attributes *a, uint64_t until)
{
	return resume_is_younger(a, until) && !resume_is_younger(a, clock_realtime());
}

static bool look_up_path(
	const struct resume_tree *t, struct vfs *fs, uint32_t place, uint64_t ino, uint64_t until)
{
	bool same = true;

	uint32_t path[DEPTH_MAX], depth = 0;
	uint64_t at = VFS_ROOT;

	for (uint32_t i = place; i != NO_PARENT; i = t->names[i].parent) {
		if (depth == DEPTH_MAX)
			return false;
		path[depth++] = i;
	}
	while (depth) {
		struct vfs_attributes a;
		int r = vfs_lookup(fs, at, text_of(t, &t->names[path[--depth]]), &a);

		if (at != VFS_ROOT)
			vfs_forget(fs, at, 1);
		if (r < 0)
			return false;
		at = a.ino;
		same = !is_another(&a, until);
	}
	same &= at == ino;
	if (!same)
		vfs_forget(fs, at, 1);
	return same;
}

bool resume_tree_find(struct resume_tree *t, struct vfs *fs, uint64_t ino, uint64_t until)
{
	/* One of several names of a file may have gone. */
	for (uint32_t i = search(t, ino); i < t->count && t->names[t->by_number[i]].ino == ino; i++)
		if (look_up_path(t, fs, t->by_number[i], ino, until))
			return true;
	return false;
}

bool resume_tree_move(struct resume_tree *t, uint64_t ino, uint64_t to, const char *name)
{
	uint32_t i = search(t, ino), parent = to == VFS_ROOT ? NO_PARENT : search(t, to);
	size_t text = t->texts.size, n = strlen(name) + 1;

	if (i == t->count)
		return true; /* made since: the file system knows it */
	if (parent == t->count || ++t->moves > MOVES_MAX || n > UINT32_MAX - text ||
		!buffer_append(&t->texts, name, n))
		return false;
	t->names[t->by_number[i]].text = (uint32_t)text;
	t->names[t->by_number[i]].parent = to == VFS_ROOT ? NO_PARENT : t->by_number[parent];
	return true;
}
