/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming: two directories are entered, then all is judged, told to the journal, and done. */
#include <errno.h>
#include <string.h>

#include "monofs/live_parts.h"

static int record_rename(
	struct live *l, const struct live_renaming *r, const char *new_name, const struct vfs_time *now)
{
	_cleanup_buffer_ struct buffer body = {0};
	struct journal_record record = {
		.type = LIVE_RENAME, .seconds = now->seconds, .nanoseconds = now->nanoseconds};
	int error = live_number(l, r->from, &record.object);

	if (error == 0)
		error = live_number(l, r->to, &record.argument);
	buffer_u32(&body, r->flags);
	buffer_string(&body, r->name->name);
	buffer_append_text(&body, new_name);
	if (error < 0 || body.failed)
		return error < 0 ? error : -ENOMEM;
	record.body = body.data;
	record.size = body.size;
	return journal_append(l->journal, &record, NULL, 0, NULL);
}

static int rename_in(struct live *l, struct live_renaming *r, const char *name, const char *new_name)
{
	const struct vfs_time now = live_now();
	int error = live_judge_rename(l, r, name, new_name);

	if (error)
		return error < 0 ? error : 0;
	if (S_ISDIR(r->name->node->type) && live_depth(r->to) >= ENTRY_DEPTH_MAX - 1)
		return -ENAMETOOLONG;
	error = live_prepare_rename(l, r, new_name);
	if (error < 0)
		return error;
	error = record_rename(l, r, new_name, &now);
	if (error < 0)
		live_abandon_rename(r);
	else
		live_apply_rename(l, r, &now);
	return error;
}

/* Both, with the lock held: entering the second may have to let go of it to read. */
static int enter_both(struct live *l, uint64_t from, uint64_t to, struct live_renaming *r)
{
	for (;;) {
		int error = live_enter(l, to, true, &r->to);

		if (error == 0 && from == to) {
			r->from = r->to;
			return 0;
		}
		if (error == -ESTALE)
			return error;
		pthread_rwlock_unlock(&l->tree);
		if (error < 0) { /* errors of the first come first */
			int first = live_enter(l, from, true, &r->from);

			return first < 0 ? first : error;
		}
		error = live_enter(l, from, true, &r->from);
		if (error < 0)
			return error;
		error = live_get(l, to, &r->to);
		if (error < 0 || (S_ISDIR(r->to->type) && r->to->links && r->to->directory.loaded))
			return error;
		pthread_rwlock_unlock(&l->tree);
	}
}

int live_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	struct live_renaming r = {.flags = flags};
	struct live *l = live_of(fs);
	int error = live_begin(l);

	if (error < 0)
		return error;
	error = enter_both(l, from, to, &r);
	if (error == 0)
		error = rename_in(l, &r, name, new_name);
	pthread_rwlock_unlock(&l->tree);
	return error;
}
