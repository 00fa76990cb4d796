/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts: a run is recorded, with revisions made in between, and after each of its system calls the disk
 * is taken as a cut could have left it. What opens from there is the tree as it was after some change, and
 * after none that is older than what fsync has reported. Of all cuts, MC_ALL tries each, otherwise one in
 * some.
 */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk_trace.h"
#include "monofs/live.h"
#include "monofs_place.h"
#include "monofs_tree.h"
#include "os/fs.h"

#define CHANGES 60u

static const struct live_options by_hand = {.no_automatic = true};

static struct run {
	char path[256];
	char *after[CHANGES + 1]; /* each change */
} run;

/* Marks: how many changes are done, and how many of them were reported durable. */
static uint32_t mark_of(uint32_t done, uint32_t durable)
{
	return done << 16 | durable;
}

static void record(uint64_t seed)
{
	struct tree_changer c = {.count = 1, .random = seed};
	struct repository *r;
	struct object_id id;
	struct error err;
	uint32_t durable = 0;
	bool made;

	monofs_path(monofs_place(), "a.monofs", run.path);
	CHECK_OK(repository_create(run.path, &(struct repository_new){0}, &err));
	trace_begin(run.path);
	CHECK_OK(repository_open(run.path, NULL, false, NULL, &r, &err));
	CHECK_OK(live_new(r, &by_hand, &c.fs[0], &err));
	run.after[0] = tree_text(c.fs[0], true);
	for (uint32_t i = 1; i <= CHANGES; i++) {
		tree_change(&c);
		run.after[i] = tree_text(c.fs[0], true);
		trace_mark(mark_of(i, durable));
		if (i % 5 == 0) {
			CHECK_INT(vfs_fsyncdir(c.fs[0], VFS_ROOT), 0);
			durable = i;
			trace_mark(mark_of(i, durable));
		}
		if (i % 17 == 0)
			CHECK_OK(live_commit(c.fs[0], "", NULL, &id, &made, &err));
		else if (i % 7 == 0)
			CHECK_OK(live_draft(c.fs[0], &err));
	}
	vfs_destroy(c.fs[0]);
	repository_close(r);
	trace_end();
}

static void forget(void)
{
	for (unsigned i = 0; i <= CHANGES; i++) {
		free(run.after[i]);
		run.after[i] = NULL;
	}
	trace_free();
}

/* The tree is as after one of the changes from `least` to `most`. */
static void check_tree(const char *text, uint32_t least, uint32_t most, size_t steps)
{
	for (uint32_t i = least; i <= most && i <= CHANGES; i++)
		if (!strcmp(text, run.after[i]))
			return;
	for (uint32_t i = 0; i <= CHANGES; i++)
		if (!strcmp(text, run.after[i]))
			test_fail(__FILE__, __LINE__,
				"after %zu steps it is as after change %u, expected %u to %u", steps, i,
				least, most);
	test_fail(__FILE__, __LINE__, "after %zu steps it is as after no change (%u to %u)", steps, least,
		most);
}

static void check_cut(size_t steps, enum trace_cut cut, uint64_t random)
{
	_cleanup_free_ char *text = NULL;
	struct repository *r;
	uint32_t mark, done, durable;
	struct object_id id;
	struct vfs *fs;
	char to[300];
	struct error err;
	bool made;

	snprintf(to, sizeof to, "%s.cut", run.path);
	mark = trace_make(steps, cut, random, to);
	done = mark >> 16;
	durable = cut == TRACE_KILLED ? done : mark & 0xffff;
	CHECK_OK(repository_open(to, NULL, false, NULL, &r, &err));
	CHECK_OK(live_new(r, &by_hand, &fs, &err));
	text = tree_text(fs, true);
	check_tree(text, durable, done + 1, steps); /* the next may be under way */
	CHECK_OK(live_commit(fs, "", NULL, &id, &made, &err));
	vfs_destroy(fs);
	tree_check_clean(r);
	repository_close(r);
	CHECK_OK(fs_remove_tree(AT_FDCWD, to, &err));
}

/* Every so many steps, beginning with another one for each kind of cut. */
static void check_cuts(enum trace_cut cut, uint64_t seed)
{
	size_t stride = getenv("MC_ALL") ? 1 : 23;

	record(seed);
	for (size_t i = stride > 1 ? (size_t)cut * 7 : 0; i <= trace_steps(); i += stride)
		for (unsigned luck = 0; luck < (cut == TRACE_TORN ? 3u : 1u); luck++)
			check_cut(i, cut, seed + i * 3 + luck);
	check_cut(trace_steps(), cut, seed);
	forget();
}

TEST(a_process_that_dies_at_any_step_leaves_all_that_it_has_done)
{
	check_cuts(TRACE_KILLED, 11);
}

TEST(a_power_cut_at_any_step_leaves_all_that_was_reported_durable)
{
	check_cuts(TRACE_LEAST, 12);
}

TEST(a_power_cut_that_tears_what_was_not_synced_leaves_all_that_was_reported_durable)
{
	check_cuts(TRACE_TORN, 13);
}
