/* SPDX-License-Identifier: Apache-2.0 */
/* What is dirty, how objects are called in the journal, and replay. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "monofs/live_parts.h"
#include "os/fs.h"

#define ROOT_NUMBER 1u

/* ---- dirt ---------------------------------------------------------------------------------------------- */

uint64_t live_journal_most(struct live *l)
{
	uint64_t available, total;

	if (l->options.journal_most)
		return l->options.journal_most;
	if (journal_bytes(l->journal) > LIVE_JOURNAL_LESS &&
		fs_space(repository_directory(l->repository), &available, &total, NULL) == 0 &&
		available >= LIVE_JOURNAL_SPACE)
		return LIVE_JOURNAL_MOST;
	return LIVE_JOURNAL_LESS;
}

int live_begin(struct live *l)
{
	uint64_t bytes = live_journal_most(l);
	size_t objects = live_dirty_most(l);
	int r = 0;

	if (journal_bytes(l->journal) <= bytes && l->dirty_count <= objects)
		return 0;
	pthread_mutex_lock(&l->guard);
	pthread_cond_broadcast(&l->told);
	while (l->thread_runs && !l->stop &&
		(journal_bytes(l->journal) > 2 * bytes || l->dirty_count > 2 * objects)) {
		if (l->retry_at) {
			r = -ENOSPC;
			break;
		}
		pthread_cond_wait(&l->told, &l->guard);
	}
	pthread_mutex_unlock(&l->guard);
	return r;
}

/* The guard is held. */
static void tell_changed(struct live *l, uint64_t at)
{
	if (!l->first_change) {
		l->first_change = at;
		pthread_cond_broadcast(&l->told);
	}
}

void live_uncommitted(struct live *l)
{
	pthread_mutex_lock(&l->guard);
	tell_changed(l, clock_monotonic());
	pthread_mutex_unlock(&l->guard);
}

struct live_node *live_take_dirty(struct live *l, bool draft)
{
	struct live_node *first;

	pthread_mutex_lock(&l->guard);
	first = TAKE_PTR(l->dirty);
	l->dirty_count = 0;
	if (!draft)
		l->first_change = 0;
	pthread_mutex_unlock(&l->guard);
	return first;
}

void live_dirty(struct live *l, struct live_node *n)
{
	pthread_mutex_lock(&l->guard);
	l->last_change = clock_monotonic();
	tell_changed(l, l->last_change);
	if (!n->dirty) {
		n->dirty = true;
		n->next_dirty = l->dirty;
		l->dirty = n;
		l->dirty_count++;
	}
	pthread_mutex_unlock(&l->guard);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static int number_of(struct live *l, struct live_node *n, uint64_t *number)
{
	struct journal_record r = {.type = LIVE_NAME};
	uint64_t parent;
	int error;

	*number = n == l->root ? ROOT_NUMBER : n->names && n->segment == l->segment ? n->number : 0;
	if (*number || !n->names)
		return 0;
	error = number_of(l, n->names->directory, &parent);
	if (error < 0)
		return error;
	r.object = l->last_number + 1;
	r.argument = parent;
	r.body = n->names->name;
	r.size = n->names->size;
	error = journal_append(l->journal, &r, NULL, 0, NULL);
	if (error < 0)
		return error;
	n->segment = l->segment;
	*number = n->number = ++l->last_number;
	return 0;
}

int live_number(struct live *l, struct live_node *n, uint64_t *number)
{
	int r;

	pthread_mutex_lock(&l->guard);
	r = number_of(l, n, number);
	pthread_mutex_unlock(&l->guard);
	return r;
}

int live_append_new(struct live *l, struct journal_record *r, const struct buffer *body, struct live_node *n)
{
	int error;

	pthread_mutex_lock(&l->guard);
	r->object = l->last_number + 1;
	r->body = body->data;
	r->size = body->size;
	error = journal_append(l->journal, r, NULL, 0, NULL);
	if (error == 0) {
		n->segment = l->segment;
		n->number = ++l->last_number;
	}
	pthread_mutex_unlock(&l->guard);
	return error;
}

/* ---- replay -------------------------------------------------------------------------------------------- */

struct live_replay {
	struct live *live;
	uint64_t segment;
	struct live_node **nodes; /* by number, of that segment */
	size_t count, room;
	struct vfs_time time;
	const struct journal_record *record;
	const struct journal_place *place;
};

static int corrupt(const struct live_replay *p, const char *what, struct error *err)
{
	return error_set(err, ERROR_CORRUPT,
		"the journal does not fit its revision: %s (segment %llu, at %llu)", what,
		(unsigned long long)p->place->segment->number, (unsigned long long)p->place->at);
}

static int set_number(struct live_replay *p, uint64_t number, struct live_node *n, struct error *err)
{
	if (number != p->count)
		return corrupt(p, "a number is not the next", err);
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 256;
		struct live_node **nodes = reallocarray(p->nodes, room, sizeof(struct live_node *));

		if (!nodes)
			return error_no_memory(err, "replay the journal");
		p->nodes = nodes;
		p->room = room;
	}
	if (n)
		live_pin(n);
	p->nodes[p->count++] = n;
	return 0;
}

static void forget_numbers(struct live_replay *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->nodes[i]) {
			live_unpin(p->nodes[i]);
			live_settle(p->live, p->nodes[i]);
		}
	p->count = 0;
}

static int find_object(struct live_replay *p, uint64_t number, struct live_node **out, struct error *err)
{
	if (number == 0 || number >= p->count || !p->nodes[number] || !p->nodes[number]->links)
		return corrupt(p, "an object is not there", err);
	*out = p->nodes[number];
	return 0;
}

static int find_directory(struct live_replay *p, uint64_t number, struct live_node **out, struct error *err)
{
	int r = find_object(p, number, out, err);

	if (r == 0 && !S_ISDIR((*out)->type))
		return corrupt(p, "an object is no directory", err);
	if (r == 0 && !(*out)->directory.loaded) {
		r = live_load(p->live, *out);
		if (r < 0)
			return error_errno(err, -r, "read a directory");
	}
	return r;
}

/* A name of a record, with a NUL. */
static int take_name(
	struct live_replay *p, const void *bytes, size_t n, char name[VFS_NAME_MAX + 1], struct error *err)
{
	if (!bytes || n == 0 || n > VFS_NAME_MAX || memchr(bytes, 0, n) || memchr(bytes, '/', n) ||
		(n <= 2 && !memcmp(bytes, "..", n)))
		return corrupt(p, "a name is none", err);
	memcpy(name, bytes, n);
	name[n] = 0;
	return 0;
}

/* What is found in a directory, with its node. */
static int find_named(struct live_replay *p, uint64_t directory, const void *bytes, size_t n,
	struct live_name **out, struct error *err)
{
	char name[VFS_NAME_MAX + 1];
	struct live_node *d, *node;
	int r = take_name(p, bytes, n, name, err);

	if (r == 0)
		r = find_directory(p, directory, &d, err);
	if (r < 0)
		return r;
	*out = live_names_find(&d->directory.names, p->live->seed, name, n);
	if (!*out)
		return corrupt(p, "a name is not there", err);
	r = live_node_of(p->live, *out, &node);
	return r < 0 ? error_errno(err, -r, "replay the journal") : 0;
}

static int replay_name(struct live_replay *p, struct error *err)
{
	struct live_name *name;
	int r = find_named(p, p->record->argument, p->record->body, p->record->size, &name, err);

	return r < 0 ? r : set_number(p, p->record->object, name->node, err);
}

struct made {
	uint32_t mode, uid, gid, major, minor;
	const uint8_t *id;
	char name[VFS_NAME_MAX + 1];
	char *target; /* the caller's */
};

static int decode_made(struct live_replay *p, struct made *m, struct error *err)
{
	struct cursor c = cursor_of(p->record->body, p->record->size);
	const uint8_t *bytes;
	size_t n;
	int r;

	m->mode = cursor_u32(&c);
	m->uid = cursor_u32(&c);
	m->gid = cursor_u32(&c);
	m->major = cursor_u32(&c);
	m->minor = cursor_u32(&c);
	m->id = cursor_take(&c, ENTRY_ID_SIZE);
	bytes = cursor_bytes(&c, &n);
	r = c.failed ? corrupt(p, "a record is cut", err) : take_name(p, bytes, n, m->name, err);
	if (r < 0 || !S_ISLNK(m->mode))
		return r;
	bytes = cursor_bytes(&c, &n);
	if (!bytes || n == 0 || n > VFS_PATH_MAX || memchr(bytes, 0, n))
		return corrupt(p, "a target is none", err);
	m->target = text_copy_bytes(bytes, n, NULL);
	return m->target ? 0 : error_no_memory(err, "replay the journal");
}

static int replay_make(struct live_replay *p, struct error *err)
{
	struct made m = {.target = NULL};
	struct live_making making;
	struct live_node *d;
	int r = find_directory(p, p->record->argument, &d, err), error;

	if (r == 0)
		r = decode_made(p, &m, err);
	if (r < 0)
		return r;
	error = live_prepare_make(p->live, d, m.name, m.mode, m.id, &making);
	if (error < 0) {
		free(m.target);
		return error == -ENOMEM ? error_no_memory(err, "replay the journal")
					: corrupt(p, "a name is there already", err);
	}
	making.node->uid = m.uid;
	making.node->gid = m.gid;
	making.node->major = m.major;
	making.node->minor = m.minor;
	if (S_ISLNK(m.mode)) {
		making.node->target.text = m.target;
		making.node->target.size = strlen(m.target);
	}
	live_apply_make(p->live, &making, &p->time);
	return set_number(p, p->record->object, making.node, err);
}

static int replay_link(struct live_replay *p, struct error *err)
{
	char name[VFS_NAME_MAX + 1];
	struct live_making m;
	struct live_node *d, *n = NULL;
	int r = find_object(p, p->record->object, &n, err);

	if (r == 0)
		r = find_directory(p, p->record->argument, &d, err);
	if (r == 0)
		r = take_name(p, p->record->body, p->record->size, name, err);
	if (r < 0)
		return r;
	if (S_ISDIR(n->type) || live_prepare_make(p->live, d, name, 0, NULL, &m) < 0)
		return corrupt(p, "a link cannot be made", err);
	m.node = n;
	live_apply_link(p->live, &m, &p->time);
	return 0;
}

static int replay_unlink(struct live_replay *p, struct error *err)
{
	struct live_name *name;
	struct live_lost *lost;
	int r = find_named(p, p->record->argument, p->record->body, p->record->size, &name, err);

	if (r < 0)
		return r;
	if (S_ISDIR(name->node->type) && name->node->directory.loaded && name->node->directory.names.count)
		return corrupt(p, "a directory that is removed is not empty", err);
	lost = live_lost_new(name->name, name->size);
	if (!lost)
		return error_no_memory(err, "replay the journal");
	live_apply_unlink(p->live, name, lost, &p->time);
	return 0;
}

static int replay_rename(struct live_replay *p, struct error *err)
{
	struct cursor c = cursor_of(p->record->body, p->record->size);
	char old[VFS_NAME_MAX + 1], name[VFS_NAME_MAX + 1];
	struct live_renaming rename = {.flags = cursor_u32(&c)};
	const uint8_t *bytes;
	size_t n;
	int r;

	bytes = cursor_bytes(&c, &n);
	r = take_name(p, bytes, n, old, err);
	if (r == 0)
		r = take_name(p, c.data, c.left, name, err);
	if (r == 0)
		r = find_directory(p, p->record->object, &rename.from, err);
	if (r == 0)
		r = find_directory(p, p->record->argument, &rename.to, err);
	if (r < 0)
		return r;
	if (live_judge_rename(p->live, &rename, old, name) != 0 ||
		live_prepare_rename(p->live, &rename, name) < 0)
		return corrupt(p, "a name cannot be moved", err);
	live_apply_rename(p->live, &rename, &p->time);
	return 0;
}

static int replay_set(struct live_replay *p, struct error *err)
{
	struct cursor c = cursor_of(p->record->body, p->record->size);
	struct vfs_attributes v = {.mode = cursor_u32(&c)};
	struct live_node *n;
	int r = find_object(p, p->record->object, &n, err);

	v.uid = cursor_u32(&c);
	v.gid = cursor_u32(&c);
	v.size = cursor_u64(&c);
	v.mtime.seconds = (int64_t)cursor_u64(&c);
	v.mtime.nanoseconds = cursor_u32(&c);
	if (r == 0 && (!cursor_done(&c) || v.size > ENTRY_SIZE_MAX ||
			      v.mtime.nanoseconds >= NANOSECONDS_PER_SECOND))
		r = corrupt(p, "attributes are none", err);
	if (r == 0)
		live_apply_set(p->live, n, &v, (unsigned)p->record->argument, &p->time);
	return r;
}

static int replay_extent(struct live_replay *p, struct error *err)
{
	struct cursor c = cursor_of(p->record->body, p->record->size);
	struct live_extent x = {.offset = p->record->argument, .epoch = p->place->segment->number};
	bool data = p->record->type == LIVE_WRITE, grow = true;
	struct live_node *n;
	int r;

	if (data && p->record->object == 0)
		return 0; /* of a file without a name: gone with the process */
	r = find_object(p, p->record->object, &n, err);
	if (data) {
		x.size = x.body = (uint32_t)p->record->size;
		x.segment = p->place->segment;
		x.at = p->place->at;
	} else {
		x.size = cursor_u64(&c);
		x.kind = cursor_u8(&c);
		grow = cursor_u8(&c);
	}
	if (r == 0 && (!S_ISREG(n->type) || x.size == 0 || x.size > ENTRY_SIZE_MAX ||
			      x.offset > ENTRY_SIZE_MAX - x.size || c.failed || x.kind > LIVE_ZEROES))
		r = corrupt(p, "a range is none", err);
	if (r < 0)
		return r;
	if (live_extents_reserve(&n->file.extents) < 0)
		return error_no_memory(err, "replay the journal");
	live_apply_extent(p->live, n, &x, grow, &p->time);
	return 0;
}

static int replay_xattr(struct live_replay *p, struct error *err)
{
	struct cursor c = cursor_of(p->record->body, p->record->size);
	bool set = p->record->type == LIVE_SETXATTR;
	char name[VFS_XATTR_NAME_MAX + 1];
	struct live_xattr *x = NULL;
	struct live_node *n = NULL;
	const uint8_t *bytes;
	size_t size;
	int r = find_object(p, p->record->object, &n, err);

	bytes = cursor_bytes(&c, &size);
	if (r == 0 && (!bytes || size == 0 || size > VFS_XATTR_NAME_MAX || memchr(bytes, 0, size)))
		r = corrupt(p, "an extended attribute is none", err);
	if (r < 0)
		return r;
	memcpy(name, bytes, size);
	name[size] = 0;
	if (set && !(x = live_xattr_new(name, c.data, c.left)))
		return error_no_memory(err, "replay the journal");
	live_apply_xattr(p->live, n, name, x, &p->time);
	return 0;
}

static int replay_record(struct live_replay *p, struct error *err)
{
	switch (p->record->type) {
	case LIVE_NAME:
		return replay_name(p, err);
	case LIVE_MAKE:
		return replay_make(p, err);
	case LIVE_LINK:
		return replay_link(p, err);
	case LIVE_UNLINK:
		return replay_unlink(p, err);
	case LIVE_RENAME:
		return replay_rename(p, err);
	case LIVE_SET:
		return replay_set(p, err);
	case LIVE_WRITE:
	case LIVE_ZERO:
		return replay_extent(p, err);
	case LIVE_SETXATTR:
	case LIVE_REMOVEXATTR:
		return replay_xattr(p, err);
	default:
		return corrupt(p, "a record is of a kind that is not known", err);
	}
}

static int take(void *context, const struct journal_record *record, const struct journal_place *place,
	struct error *err)
{
	struct live_replay *p = context;
	int r = 0;

	if (record->nanoseconds >= NANOSECONDS_PER_SECOND)
		return error_set(err, ERROR_CORRUPT, "a time in the journal is none");
	p->record = record;
	p->place = place;
	p->time = (struct vfs_time){record->seconds, record->nanoseconds};
	if (p->segment != place->segment->number) {
		forget_numbers(p);
		p->segment = place->segment->number;
		r = set_number(p, 0, NULL, err);
		if (r == 0)
			r = set_number(p, ROOT_NUMBER, p->live->root, err);
	}
	return r < 0 ? r : replay_record(p, err);
}

int live_replay(struct live *l, struct error *err)
{
	struct live_replay p = {.live = l};
	int r = journal_replay(l->journal, take, &p, err);

	forget_numbers(&p);
	free(p.nodes);
	l->last_number = ROOT_NUMBER;
	return r;
}
