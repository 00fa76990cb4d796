/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_known.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/volume.h"

/* Tables in which a number has one place: who comes later takes it. */
#define DIRECTORIES 256u
#define OBJECTS     4096u
#define AHEADS      64u
#define PENDING     64u

#define ROOM_MAX     131072u           /* places for names, in all directories of a volume: 1 MiB */
#define AHEAD_TIME   MILLISECONDS(250) /* what is told ahead is asked for at once */
#define ABSENT_VALID 1u                /* seconds for which the kernel keeps that a name is not there */

/* A directory that was made here, and all names that may be in it. */
struct directory {
	uint64_t node, expires;
	uint64_t *names; /* hashes */
	uint32_t count, room;
};

struct object {
	uint64_t node, expires;
};

struct ahead {
	uint64_t node, expires;
	struct fuse_attr_out attributes;
};

/* A request whose reply names what it made. */
struct pending {
	uint64_t unique;
	bool directory;
};

struct known {
	uint32_t room; /* of all directories together */
	struct directory directories[DIRECTORIES];
	struct object objects[OBJECTS];
	struct ahead aheads[AHEADS];
	struct pending pending[PENDING];
};

struct known *known_new(void)
{
	return calloc(1, sizeof(struct known));
}

static void drop_names(struct known *k, struct directory *d)
{
	k->room -= d->room;
	free(d->names);
	*d = (struct directory){0};
}

void known_free(struct known *k)
{
	for (size_t i = 0; k && i < DIRECTORIES; i++)
		drop_names(k, &k->directories[i]);
	free(k);
}

/* ---- the tables ---------------------------------------------------------------------------------------- */

/* Numbers come one after the other where objects are made so. */
static struct directory *directory_at(struct known *k, uint64_t node)
{
	return &k->directories[node % DIRECTORIES];
}

static struct object *object_at(struct known *k, uint64_t node)
{
	return &k->objects[node % OBJECTS];
}

static struct ahead *ahead_at(struct known *k, uint64_t node)
{
	return &k->aheads[node % AHEADS];
}

static struct pending *pending_at(struct known *k, uint64_t unique)
{
	return &k->pending[unique / REQUEST_UNIQUE_STEP % PENDING];
}

static struct directory *find_directory(struct known *k, uint64_t node, uint64_t now)
{
	struct directory *d = directory_at(k, node);

	return d->node == node && now < d->expires ? d : NULL;
}

static void drop_directory(struct known *k, uint64_t node)
{
	struct directory *d = directory_at(k, node);

	if (d->node == node)
		drop_names(k, d);
}

static void drop_object(struct known *k, uint64_t node)
{
	struct object *o = object_at(k, node);

	if (o->node == node)
		*o = (struct object){0};
}

static void drop_ahead(struct known *k, uint64_t node)
{
	struct ahead *a = ahead_at(k, node);

	if (a->node == node)
		*a = (struct ahead){0};
}

static void drop_all(struct known *k, uint64_t node)
{
	drop_directory(k, node);
	drop_object(k, node);
	drop_ahead(k, node);
}

/* Two names with the same hash are one: then it is asked for. FNV-1a. */
static uint64_t hash_of(const char *name, size_t n)
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (uint8_t)name[i]) * 1099511628211u;
	return hash | 1; /* 0 is an empty place */
}

/* Its place, or the empty one where it would be. */
static uint64_t *name_at(const struct directory *d, uint64_t hash)
{
	uint32_t i = (uint32_t)(hash >> 32) & (d->room - 1);

	while (d->names[i] && d->names[i] != hash)
		i = (i + 1) & (d->room - 1);
	return &d->names[i];
}

static bool make_room(struct known *k, struct directory *d)
{
	struct directory larger = {.room = d->room ? 2 * d->room : 64};

	if (2 * d->count < d->room)
		return true;
	if (k->room - d->room + larger.room > ROOM_MAX)
		return false;
	larger.names = calloc(larger.room, sizeof *larger.names);
	if (!larger.names)
		return false;
	for (uint32_t i = 0; i < d->room; i++)
		if (d->names[i])
			*name_at(&larger, d->names[i]) = d->names[i];
	free(d->names);
	k->room += larger.room - d->room;
	d->names = larger.names;
	d->room = larger.room;
	return true;
}

static void add_name(struct known *k, uint64_t node, const char *name, size_t n)
{
	struct directory *d = directory_at(k, node);
	uint64_t hash = hash_of(name, n), *place;

	if (!node || d->node != node)
		return;
	if (!make_room(k, d)) {
		drop_names(k, d);
		return;
	}
	place = name_at(d, hash);
	d->count += !*place;
	*place = hash;
}

static bool may_be_there(const struct directory *d, const char *name, size_t n)
{
	return d->count && *name_at(d, hash_of(name, n));
}

/* ---- requests ------------------------------------------------------------------------------------------ */

/* A name that begins `skip` bytes into the body; NULL where the message ends before. */
static const char *name_in(const struct request *q, size_t skip, size_t *n)
{
	const char *name = (const char *)q->body + skip;

	if (q->size <= skip)
		return NULL;
	*n = strnlen(name, q->size - skip);
	return *n < q->size - skip ? name : NULL;
}

/* Something is put into a directory under a name. */
static void put(struct known *k, const struct request *q, uint64_t node, size_t skip)
{
	size_t n;
	const char *name = name_in(q, skip, &n);

	if (name)
		add_name(k, node, name, n);
	else
		drop_directory(k, node);
	drop_ahead(k, node);
}

static void put_moved(struct known *k, const struct request *q, size_t skip)
{
	uint64_t to; /* the first member of both fuse_rename_in and fuse_rename2_in */
	size_t n = 0;

	if (q->size < skip)
		return;
	memcpy(&to, q->body, sizeof to);
	if (!name_in(q, skip, &n))
		return;
	put(k, q, to, skip + n + 1);
	/* An exchange puts the old name there anew. */
	put(k, q, q->head.nodeid, skip);
}

static void forget(void *context, uint64_t node)
{
	drop_all(context, node);
}

static void expect(struct known *k, const struct request *q, bool directory)
{
	*pending_at(k, q->head.unique) = (struct pending){q->head.unique, directory};
}

/* What a request that goes to the host changes. */
static void note(struct known *k, const struct request *q)
{
	uint64_t node = q->head.nodeid;

	switch (q->head.opcode) {
	case FUSE_MKDIR:
		expect(k, q, true);
		put(k, q, node, sizeof(struct fuse_mkdir_in));
		break;
	case FUSE_MKNOD:
		expect(k, q, false);
		put(k, q, node, sizeof(struct fuse_mknod_in));
		break;
	case FUSE_CREATE:
		expect(k, q, false);
		put(k, q, node, sizeof(struct fuse_create_in));
		break;
	case FUSE_SYMLINK:
		put(k, q, node, 0);
		break;
	case FUSE_LINK:
		put(k, q, node, sizeof(struct fuse_link_in));
		break;
	case FUSE_RENAME:
		put_moved(k, q, sizeof(struct fuse_rename_in));
		break;
	case FUSE_RENAME2:
		put_moved(k, q, sizeof(struct fuse_rename2_in));
		break;
	case FUSE_SETXATTR:
		drop_object(k, node);
		break;
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_SETATTR:
		drop_ahead(k, node);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		request_each_forgotten(q, forget, k);
		break;
	default:
		break;
	}
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static bool answer_lookup(struct known *k, const struct request *q, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	const struct fuse_entry_out absent = {.entry_valid = ABSENT_VALID};
	const struct directory *d = find_directory(k, q->head.nodeid, now);
	size_t n;
	const char *name = d ? name_in(q, 0, &n) : NULL;

	return name && !may_be_there(d, name, n) && request_answer(q, 0, &absent, sizeof absent, reply, size);
}

static bool answer_getxattr(struct known *k, const struct request *q, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	const struct object *o = object_at(k, q->head.nodeid);
	size_t n;
	const char *name = name_in(q, sizeof(struct fuse_getxattr_in), &n);

	if (name && !strncmp(name, "system.", 7))
		return request_answer(q, -EOPNOTSUPP, NULL, 0, reply, size);
	return name && o->node == q->head.nodeid && now < o->expires &&
	       request_answer(q, -ENODATA, NULL, 0, reply, size);
}

static bool answer_getattr(struct known *k, const struct request *q, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	const struct ahead *a = ahead_at(k, q->head.nodeid);

	return a->node == q->head.nodeid && now < a->expires &&
	       request_answer(q, 0, &a->attributes, sizeof a->attributes, reply, size);
}

/* The host never opened the file that is closed. */
static bool answer_release(const struct request *q, uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	struct fuse_release_in in;

	if (q->size < sizeof in)
		return false;
	memcpy(&in, q->body, sizeof in);
	return in.fh == VOLUME_NO_HANDLE && request_answer(q, 0, NULL, 0, reply, size);
}

bool known_answer(struct known *k, const uint8_t *request, size_t n, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	struct request q;

	if (!request_read(request, n, &q))
		return false;
	if (q.head.opcode == FUSE_LOOKUP && answer_lookup(k, &q, now, reply, size))
		return true;
	if (q.head.opcode == FUSE_GETXATTR && answer_getxattr(k, &q, now, reply, size))
		return true;
	if (q.head.opcode == FUSE_IOCTL) /* as libfuse says where there are none */
		return request_answer(&q, -ENOSYS, NULL, 0, reply, size);
	if (q.head.opcode == FUSE_GETATTR && answer_getattr(k, &q, now, reply, size))
		return true;
	if (q.head.opcode == FUSE_RELEASE && answer_release(&q, reply, size))
		return true;
	note(k, &q);
	return false;
}

/* ---- from the host ------------------------------------------------------------------------------------- */

/* The reply to a request that makes something: in it there is nothing yet, and on it. */
static void learn(struct known *k, const struct pending *p, const struct fuse_entry_out *e, uint64_t now)
{
	struct directory *d = directory_at(k, e->nodeid);

	if (!e->nodeid)
		return;
	*object_at(k, e->nodeid) = (struct object){e->nodeid, request_expiry(now, e->attr_valid)};
	if (!p->directory)
		return;
	drop_names(k, d);
	d->node = e->nodeid;
	d->expires = request_expiry(now, e->entry_valid);
}

static void hear_reply(struct known *k, const struct fuse_out_header *h, const uint8_t *body, uint64_t now)
{
	struct pending *p = pending_at(k, h->unique);
	struct fuse_entry_out e;

	if (p->unique != h->unique)
		return;
	if (!h->error && h->len >= sizeof *h + sizeof e) {
		memcpy(&e, body, sizeof e);
		learn(k, p, &e, now);
	}
	*p = (struct pending){0};
}

/* Somebody else has changed it. */
static void hear_notice(struct known *k, const struct fuse_out_header *h, const uint8_t *body)
{
	struct fuse_notify_inval_entry_out e;
	struct fuse_notify_inval_inode_out i;
	size_t n = h->len - sizeof *h;

	if (h->error == FUSE_NOTIFY_INVAL_ENTRY && n >= sizeof e) {
		memcpy(&e, body, sizeof e);
		drop_directory(k, e.parent);
		drop_ahead(k, e.parent);
	} else if (h->error == FUSE_NOTIFY_INVAL_INODE && n >= sizeof i) {
		memcpy(&i, body, sizeof i);
		drop_object(k, i.ino);
		drop_ahead(k, i.ino);
	}
}

static void hear_ahead(struct known *k, const struct fuse_out_header *h, const uint8_t *body, uint64_t now)
{
	struct ahead a = {.expires = now + AHEAD_TIME};

	if (h->len != sizeof *h + sizeof a.node + sizeof a.attributes)
		return;
	memcpy(&a.node, body, sizeof a.node);
	memcpy(&a.attributes, body + sizeof a.node, sizeof a.attributes);
	*ahead_at(k, a.node) = a;
}

static void hear_bare(struct known *k, const struct fuse_out_header *h, const uint8_t *body, uint64_t now)
{
	uint64_t said[2]; /* node, seconds */

	if (h->len != sizeof *h + sizeof said)
		return;
	memcpy(said, body, sizeof said);
	*object_at(k, said[0]) = (struct object){said[0], request_expiry(now, said[1])};
}

bool known_heard(struct known *k, const uint8_t *message, size_t n, uint64_t now)
{
	struct fuse_out_header h;

	if (n < sizeof h)
		return false;
	memcpy(&h, message, sizeof h);
	if (h.len != n)
		return false;
	if (h.unique) {
		hear_reply(k, &h, message + sizeof h, now);
		return false;
	}
	if (h.error == VOLUME_AHEAD)
		hear_ahead(k, &h, message + sizeof h, now);
	else if (h.error == VOLUME_BARE)
		hear_bare(k, &h, message + sizeof h, now);
	else
		hear_notice(k, &h, message + sizeof h);
	return h.error == VOLUME_AHEAD || h.error == VOLUME_BARE;
}
