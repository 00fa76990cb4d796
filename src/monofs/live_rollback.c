/* SPDX-License-Identifier: Apache-2.0 */
/* Back to the newest revision: everything in memory is shed, what had been looked up is stale until it is
 * found again, and whoever keeps names and contents is told. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/live_parts.h"

struct told {
	uint64_t ino;
	char *name; /* NULL: the object itself */
};

struct telling {
	struct told *list;
	size_t count, room;
};

/* Where memory is out, less is told. */
static void note(struct telling *t, uint64_t ino, const char *name)
{
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 64;
		struct told *list = reallocarray(t->list, room, sizeof *list);

		if (!list)
			return;
		t->list = list;
		t->room = room;
	}
	t->list[t->count++] = (struct told){ino, name ? strdup(name) : NULL};
}

static void note_names(struct telling *t, const struct live_node *d)
{
	for (const struct live_name *n = live_names_after(&d->directory.names, 0); n;
		n = live_names_after(&d->directory.names, n->cookie))
		note(t, d->ino, n->name);
	for (const struct live_lost *lost = d->directory.lost; lost; lost = lost->next)
		note(t, d->ino, lost->name);
}

static void note_all(struct live *l, struct telling *t)
{
	for (size_t i = 0; i < (size_t)1 << l->bucket_bits; i++)
		for (struct live_node *n = l->buckets[i]; n; n = n->next) {
			if (!atomic_load(&n->lookups) && n != l->root)
				continue;
			note(t, n->ino, NULL);
			if (S_ISDIR(n->type) && n->directory.loaded)
				note_names(t, n);
		}
}

static void tell(struct live *l, struct telling *t)
{
	struct vfs_watcher watcher;

	live_lock(l, false);
	watcher = l->watcher;
	pthread_rwlock_unlock(&l->tree);
	for (size_t i = 0; i < t->count; i++) {
		struct told *it = &t->list[i];

		if (it->name && watcher.name)
			watcher.name(watcher.context, it->ino, it->name);
		else if (!it->name && watcher.object)
			watcher.object(watcher.context, it->ino, true);
		free(it->name);
	}
	free(t->list);
}

static int roll_back(struct live *l, struct telling *t, struct error *err)
{
	LIVE_LOCKED(locked, &l->fs);
	_cleanup_commit_ struct commit main = {0};
	uint64_t through;
	int r;

	if (l->open_count)
		return error_set(
			err, ERROR_BUSY, "%u files or directories of the tree are open", l->open_count);
	r = commit_get(l->store, &l->main, &main, err);
	if (r == 0)
		r = journal_freeze(l->journal, &through, err);
	if (r < 0)
		return r;
	l->segment = through + 1;
	l->last_number = 1;
	r = journal_intend(l->journal, through, &main.content, &main.identity, err);
	if (r == 0)
		r = journal_forget(l->journal, through, &l->main, err);
	if (r < 0)
		return r;
	note_all(l, t);
	live_shed(l);
	l->drafted = 0;
	r = live_load_root(l, &l->main, err);
	return r < 0 ? r : live_load_links(l, false, err);
}

int live_roll_back(struct vfs *fs, struct error *err)
{
	struct live *l = live_of(fs);
	struct telling t = {0};
	int r;

	pthread_mutex_lock(&l->committing);
	r = roll_back(l, &t, err);
	pthread_mutex_unlock(&l->committing);
	tell(l, &t);
	return r;
}
