/* SPDX-License-Identifier: Apache-2.0 */
/* The two moments of a commit at which nobody may change anything: both only copy and let go, neither reads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "monofs/live_snap.h"

/* ---- copying ------------------------------------------------------------------------------------------- */

static int copy_file(struct live_snap *s, struct live_node *n)
{
	s->size = n->file.size;
	s->base_limit = n->file.base_limit;
	s->base = live_base_hold(n->base);
	n->file.cut = UINT64_MAX;
	return live_extents_copy(&n->file.extents, &s->extents);
}

static int copy_attributes(struct live_snap *s, struct live_node *n)
{
	_cleanup_node_ struct live_node *locked = live_write_node(n);
	int error = 0;

	s->mode = n->mode;
	s->uid = n->uid;
	s->gid = n->gid;
	s->major = n->major;
	s->minor = n->minor;
	s->mtime = n->mtime;
	memcpy(s->id, n->id, sizeof s->id);
	s->xattrs = live_xattrs_copy(n->xattrs, &error);
	if (error == 0 && S_ISREG(n->type))
		error = copy_file(s, n);
	if (error == 0 && S_ISLNK(n->type) && !(s->target = strdup(n->target.text)))
		error = -ENOMEM;
	if (error == 0 && S_ISDIR(n->type)) {
		s->content = n->directory.content;
		s->identity = n->directory.identity;
		s->lost = n->directory.lost;
		n->directory.lost = NULL;
	}
	return error;
}

/* The node's copy, made where there is none yet. */
static struct live_snap *snap_of(struct live_frozen *f, struct live_node *n)
{
	struct live_snap *s = n->snap;

	if (s)
		return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->node = n;
	live_pin(n);
	n->snap = s;
	*f->last = s;
	f->last = &s->next;
	f->count++;
	if (S_ISDIR(n->type))
		s->depth = live_depth(n);
	if (n == f->live->root)
		f->root = s;
	return copy_attributes(s, n) == 0 ? s : NULL;
}

/* From the root, without a leading '/'. NULL: memory is out, or it is too long for a link to it: then *long
 * is set. */
static char *path_of(const struct live_name *name, bool *too_long)
{
	size_t size = name->size;
	char *path, *at;

	for (const struct live_name *n = name->directory->names; n; n = n->directory->names)
		size += n->size + 1u;
	*too_long = size > ENTRY_PATH_MAX;
	path = *too_long ? NULL : malloc(size + 1);
	if (!path)
		return NULL;
	at = path + size;
	*at = 0;
	for (const struct live_name *n = name; n; n = n->directory->names) {
		at -= n->size;
		memcpy(at, n->name, n->size);
		if (at > path)
			*--at = '/';
	}
	return path;
}

static int copy_name(struct live_frozen *f, struct live_snap *s, struct live_name *name)
{
	struct live_snap_name *to = &s->names[s->name_count];
	bool too_long = false;

	*to = (struct live_snap_name){.directory = snap_of(f, name->directory), .size = name->size};
	to->name = strdup(name->name);
	s->name_count++;
	if (!to->directory || !to->name)
		return -ENOMEM;
	if (s->node->links > 1 && !(to->path = path_of(name, &too_long)) && !too_long)
		return -ENOMEM;
	name->known = true;
	return 0;
}

/* Directories above come behind in the list, and so get theirs, too. */
static int copy_names(struct live_frozen *f, struct live_snap *s)
{
	int r = 0;

	if (!s->node->names)
		return 0;
	s->names = calloc(s->node->links, sizeof *s->names);
	if (!s->names)
		return -ENOMEM;
	for (struct live_name *n = s->node->names; r == 0 && n; n = n->next)
		r = copy_name(f, s, n);
	return r;
}

/* What has lost its last name is no part of a revision. */
static int copy_dirty(struct live_frozen *f)
{
	struct live *l = f->live;
	int r = 0;

	for (struct live_node *n = live_take_dirty(l, f->draft), *next; n; n = next) {
		struct live_snap *s;

		next = n->next_dirty;
		n->dirty = false;
		n->next_dirty = NULL;
		if (!n->links) {
			live_settle(l, n);
			continue;
		}
		s = snap_of(f, n);
		if (n->snap)
			n->snap->was_dirty = true;
		else
			live_dirty(l, n);
		if (!s)
			r = -ENOMEM;
	}
	return r;
}

static int copy_all(struct live_frozen *f)
{
	struct live *l = f->live;
	int r = copy_dirty(f);

	f->paths_changed = l->paths_changed;
	l->paths_changed = false;
	for (struct live_node *n = f->paths_changed ? l->multi : NULL; r == 0 && n; n = n->multi)
		r = snap_of(f, n) ? 0 : -ENOMEM;
	for (struct live_snap *s = f->first; r == 0 && s; s = s->next)
		r = copy_names(f, s);
	for (struct live_snap *s = f->first; s; s = s->next)
		s->node->snap = NULL;
	return r;
}

/* ---- the first moment ---------------------------------------------------------------------------------- */

static int freeze(struct live *l, bool draft, struct live_frozen *f, struct error *err)
{
	LIVE_LOCKED(locked, &l->fs);
	int r;

	*f = (struct live_frozen){.live = l, .last = &f->first, .draft = draft, .parent = l->main};
	if (!l->dirty && (draft || !live_is_draft(l)) && journal_bytes(l->journal) <= live_journal_most(l)) {
		live_take_dirty(l, draft); /* nothing, but that is no change any more */
		return 0;
	}
	r = journal_freeze(l->journal, &f->through, err);
	if (r < 0)
		return r;
	l->segment = f->through + 1;
	l->last_number = 1; /* the root's */
	r = copy_all(f);
	return r < 0 ? error_no_memory(err, "begin a revision") : f->first || (!draft && live_is_draft(l));
}

int live_freeze(struct live *l, bool draft, struct live_frozen *f, struct error *err)
{
	int r = journal_prepare(l->journal, err); /* so that little is left to do while all wait */

	if (r < 0)
		return r;
	r = freeze(l, draft, f, err);
	if (r < 0)
		live_thaw(f, NULL);
	return r;
}

/* ---- the second ---------------------------------------------------------------------------------------- */

/* The names that are still this object's. */
static void set_blobs(struct live *l, struct live_snap *s)
{
	for (size_t i = 0; i < s->name_count; i++) {
		struct live_snap_name *from = &s->names[i];
		struct live_node *d = from->directory->node;
		struct live_name *name;

		if (!d->links || !d->directory.loaded)
			continue;
		name = live_names_find(&d->directory.names, l->seed, from->name, from->size);
		if (!name || name->node != s->node)
			continue;
		live_blob_drop(name->blob);
		name->blob = TAKE_PTR(from->blob);
	}
}

static void rebase(struct live_frozen *f, struct live_snap *s)
{
	struct live_node *n = s->node;
	_cleanup_node_ struct live_node *locked = live_write_node(n);

	if (n->shed)
		return;
	if (S_ISDIR(n->type)) {
		n->directory.content = s->content;
		n->directory.identity = s->identity;
	}
	if (S_ISREG(n->type) && s->new_base) {
		live_base_drop(n->base);
		n->base = TAKE_PTR(s->new_base);
		n->file.base_limit = s->size < n->file.cut ? s->size : n->file.cut;
		live_extents_forget(&n->file.extents, f->through);
	}
	set_blobs(f->live, s);
}

static void undo(struct live_frozen *f, struct live_snap *s)
{
	struct live_node *n = s->node;

	while (s->lost) {
		struct live_lost *lost = s->lost;

		s->lost = lost->next;
		lost->next = n->directory.lost;
		n->directory.lost = lost;
	}
	if (s->was_dirty && n->links && !n->shed)
		live_dirty(f->live, n);
}

static void snap_free(struct live_snap *s)
{
	live_changes_free(s);
	live_xattrs_free(s->xattrs);
	free(s->target);
	free(s->values);
	live_extents_free(&s->extents);
	live_base_drop(s->base);
	live_base_drop(s->new_base);
	live_lost_free(s->lost);
	for (size_t i = 0; i < s->name_count; i++) {
		free(s->names[i].path);
		free(s->names[i].name);
		live_blob_drop(s->names[i].blob);
	}
	free(s->names);
	free(s);
}

static void settle_all(struct live_frozen *f, const struct object_id *commit)
{
	LIVE_LOCKED(l, &f->live->fs);

	for (struct live_snap *s = f->first; s; s = s->next) {
		s->node->snap = NULL;
		if (commit)
			rebase(f, s);
		else
			undo(f, s);
	}
	/* Names were found by way of the directories, which are pinned until here. */
	for (struct live_snap *s = f->first; s; s = s->next) {
		live_unpin(s->node);
		live_settle(l, s->node);
	}
	if (commit) {
		l->base = *commit;
		l->main = f->draft ? l->main : *commit;
		l->drafted = f->draft ? l->drafted + f->count : 0;
		l->base_content = f->content_root;
		l->base_identity = f->identity_root;
	} else {
		l->paths_changed |= f->paths_changed;
		if (live_is_draft(l))
			live_uncommitted(l);
	}
	live_shrink(l);
}

void live_thaw(struct live_frozen *f, const struct object_id *commit)
{
	struct live_snap *next;

	settle_all(f, commit);
	for (struct live_snap *s = f->first; s; s = next) {
		next = s->next;
		snap_free(s);
	}
	f->first = NULL;
}
