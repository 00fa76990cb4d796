/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_behind.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "codec/volume.h"

/* Tables in which a number has one place: who comes later takes it. */
#define OBJECTS 4096u
#define ASKED   64u

#define UNSETTLED 64u                 /* changes that wait, are under way, or failed and nobody knows */
#define DISTRUST  MILLISECONDS(10000) /* after a failure nothing is acknowledged for so long */

/* What may be acknowledged. Not MTIME_NOW: what the time is, is the host's to say, as it is for writes. */
#define TAKEN \
	(FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_ATIME | FATTR_MTIME | FATTR_FH | FATTR_ATIME_NOW | \
		FATTR_LOCKOWNER | FATTR_KILL_SUIDGID)

_Static_assert(
	sizeof(struct fuse_in_header) + sizeof(struct fuse_setattr_in) == BEHIND_MESSAGE, "as it says");

/* Made here. Its attributes are as the host has told them, with the changes since that were acknowledged. */
struct object {
	uint64_t node, epoch, expires;
	uint64_t changing; /* the last request under way that changes it otherwise; 0: none */
	uint64_t behind;   /* the last change that was sent behind and is not answered; 0: none */
	bool known;        /* mode, owner and size are as they will be when the host has caught up */
	bool whole;        /* and so are all others: the host has told them */
	struct fuse_attr attr;
};

/* A request that has gone to the host, whose reply says something. */
struct asked {
	uint64_t unique, node, offset; /* offset: of a WRITE */
	uint32_t opcode;
	bool odd; /* a SETATTR of what not every host keeps */
	uint32_t uid, gid, mode;
};

struct change {
	struct {
		struct fuse_in_header head;
		struct fuse_setattr_in in;
	} message;
	uint64_t node; /* 0: the kernel has forgotten it */
};

struct sent {
	uint64_t unique, node;
};

struct failure {
	uint64_t node;
	int32_t error;
};

struct behind {
	uint32_t waiting_count, sent_count, failure_count;
	bool keeps;     /* the host has kept an owner or a special mode */
	uint64_t epoch; /* of the objects that are good */
	uint64_t distrust;
	struct change waiting[BEHIND_WAITING_MAX];
	struct sent sent[UNSETTLED];
	struct failure failures[UNSETTLED];
	struct asked asked[ASKED];
	struct object objects[OBJECTS];
};

struct behind *behind_new(void)
{
	return calloc(1, sizeof(struct behind));
}

void behind_free(struct behind *b)
{
	free(b);
}

void behind_forget(struct behind *b)
{
	b->epoch++;
}

/* ---- the tables ---------------------------------------------------------------------------------------- */

static struct object *find(struct behind *b, uint64_t node)
{
	struct object *o = &b->objects[node % OBJECTS];

	return node && o->node == node && o->epoch == b->epoch ? o : NULL;
}

static void drop(struct behind *b, uint64_t node)
{
	struct object *o = find(b, node);

	if (o)
		*o = (struct object){0};
}

static struct asked *asked_at(struct behind *b, uint64_t unique)
{
	return &b->asked[unique / REQUEST_UNIQUE_STEP % ASKED];
}

static struct change *waiting_of(struct behind *b, uint64_t node)
{
	for (uint32_t i = 0; i < b->waiting_count; i++)
		if (b->waiting[i].node == node)
			return &b->waiting[i];
	return NULL;
}

static void fail(struct behind *b, uint64_t node, int32_t error)
{
	for (uint32_t i = 0; i < b->failure_count; i++)
		if (b->failures[i].node == node)
			return;
	if (node)
		b->failures[b->failure_count++] = (struct failure){node, error};
}

/* The failure of an earlier change, which is told by that; 0: there is none. */
static int32_t take_failure(struct behind *b, uint64_t node)
{
	for (uint32_t i = 0; i < b->failure_count; i++) {
		int32_t error = b->failures[i].error;

		if (b->failures[i].node != node)
			continue;
		b->failures[i] = b->failures[--b->failure_count];
		return error;
	}
	return 0;
}

/* ---- requests that go to the host ---------------------------------------------------------------------- */

/* What it is afterwards, the host will say. */
static void change(struct behind *b, const struct request *q, uint64_t node)
{
	struct object *o = find(b, node);

	if (!o)
		return;
	o->changing = q->head.unique;
	o->known = o->whole = false;
}

static void note_write(struct behind *b, const struct request *q, struct asked *a)
{
	struct object *o = find(b, q->head.nodeid);
	struct fuse_write_in in;
	bool simple;

	if (!o || q->size < sizeof in)
		return;
	memcpy(&in, q->body, sizeof in);
	/* Its size is known afterwards: it ends where it says, and the mode stays. */
	simple = o->known && !o->changing && !(in.flags & O_APPEND) &&
		 !(in.write_flags & FUSE_WRITE_KILL_SUIDGID);
	change(b, q, q->head.nodeid);
	o->known = simple;
	a->offset = in.offset;
}

static void note_setattr(struct behind *b, const struct request *q, struct asked *a)
{
	struct fuse_setattr_in in;

	change(b, q, q->head.nodeid);
	if (q->size < sizeof in)
		return;
	memcpy(&in, q->body, sizeof in);
	a->odd = (in.valid & FATTR_UID && in.uid) || (in.valid & FATTR_GID && in.gid) ||
		 (in.valid & FATTR_MODE && in.mode & 07000);
	a->uid = in.valid & FATTR_UID ? in.uid : UINT32_MAX;
	a->gid = in.valid & FATTR_GID ? in.gid : UINT32_MAX;
	a->mode = in.valid & FATTR_MODE ? in.mode & 07777 : UINT32_MAX;
}

/* Nobody can ask for it any more. */
static void forget(void *context, uint64_t node)
{
	struct behind *b = context;
	struct change *c = waiting_of(b, node);

	drop(b, node);
	take_failure(b, node);
	if (c)
		c->node = 0;
	for (uint32_t i = 0; i < b->sent_count; i++)
		if (b->sent[i].node == node)
			b->sent[i].node = 0;
}

static void note_reading(struct behind *b, uint64_t node)
{
	struct object *o = find(b, node);

	if (o)
		o->whole = false; /* the atime */
}

static void note(struct behind *b, const struct request *q)
{
	struct asked a = {.unique = q->head.unique, .node = q->head.nodeid, .opcode = q->head.opcode};

	switch (q->head.opcode) {
	case FUSE_CREATE:
	case FUSE_MKDIR:
	case FUSE_MKNOD:
	case FUSE_SYMLINK:
		change(b, q, q->head.nodeid);
		break;
	case FUSE_WRITE:
		note_write(b, q, &a);
		break;
	case FUSE_SETATTR:
		note_setattr(b, q, &a);
		break;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		note_reading(b, q->head.nodeid);
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		request_each_forgotten(q, forget, b);
		return;
	case FUSE_LINK:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_COPY_FILE_RANGE:
		b->epoch++; /* links of something come or go; only the host knows of what */
		return;
	case FUSE_LOOKUP:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_INTERRUPT:
	case FUSE_STATFS:
	case FUSE_LSEEK:
	case FUSE_OPENDIR:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return;
	case FUSE_GETATTR:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_FLUSH:
		break;
	default:
		drop(b, q->head.nodeid);
		return;
	}
	*asked_at(b, a.unique) = a;
}

/* ---- what is answered here ----------------------------------------------------------------------------- */

/* What only hosts with user xattrs take (vfs/native/owners.c). */
static bool is_odd(const struct fuse_attr *a, const struct fuse_setattr_in *in)
{
	return (in->valid & FATTR_UID && in->uid != a->uid) || (in->valid & FATTR_GID && in->gid != a->gid) ||
	       (in->valid & FATTR_MODE && in->mode & 07000);
}

static bool may_acknowledge(
	struct behind *b, const struct object *o, const struct fuse_setattr_in *in, uint64_t now)
{
	return o && o->known && !o->changing && now < o->expires && now >= b->distrust &&
	       !(in->valid & ~(uint32_t)TAKEN) && (b->keeps || !is_odd(&o->attr, in)) &&
	       b->waiting_count < BEHIND_WAITING_MAX &&
	       b->waiting_count + b->sent_count + b->failure_count < UNSETTLED;
}

/* As the host does it (vfs/native/lookup.c: without_privileges()). */
static uint32_t without_privileges(uint32_t mode)
{
	return S_ISREG(mode) ? mode & ~(uint32_t)(S_ISUID | (mode & S_IXGRP ? S_ISGID : 0)) : mode;
}

static void apply(struct fuse_attr *a, const struct fuse_setattr_in *in)
{
	if (in->valid & (FATTR_UID | FATTR_GID | FATTR_KILL_SUIDGID))
		a->mode = without_privileges(a->mode);
	if (in->valid & FATTR_MODE)
		a->mode = (a->mode & S_IFMT) | (in->mode & 07777);
	if (in->valid & FATTR_UID)
		a->uid = in->uid;
	if (in->valid & FATTR_GID)
		a->gid = in->gid;
	if (in->valid & FATTR_ATIME) {
		a->atime = in->atime;
		a->atimensec = in->atimensec;
	}
	if (in->valid & FATTR_MTIME) {
		a->mtime = in->mtime;
		a->mtimensec = in->mtimensec;
	}
}

/* All of what an object's changes set is, in the end, what its attributes are. */
static void wait_with(struct behind *b, const struct request *q, const struct fuse_setattr_in *in,
	const struct fuse_attr *a)
{
	struct change *c = waiting_of(b, q->head.nodeid);
	uint32_t valid = in->valid & (uint32_t) ~(FATTR_FH | FATTR_LOCKOWNER | FATTR_ATIME_NOW);

	if (!c) {
		c = &b->waiting[b->waiting_count++];
		*c = (struct change){.node = q->head.nodeid};
	}
	valid |= c->message.in.valid;
	c->message.head = q->head;
	c->message.in = (struct fuse_setattr_in){.valid = valid,
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.atime = a->atime,
		.atimensec = a->atimensec,
		.mtime = a->mtime,
		.mtimensec = a->mtimensec};
}

static bool answer_setattr(struct behind *b, const struct request *q, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	struct object *o = find(b, q->head.nodeid);
	struct fuse_attr_out out = {0};
	struct fuse_setattr_in in;

	if (q->size != sizeof in || q->head.len != BEHIND_MESSAGE)
		return false;
	memcpy(&in, q->body, sizeof in);
	if (!may_acknowledge(b, o, &in, now))
		return false;
	apply(&o->attr, &in);
	o->whole = false;
	wait_with(b, q, &in, &o->attr);
	out.attr = o->attr;
	return request_answer(q, 0, &out, sizeof out, reply, size);
}

static bool answer_getattr(struct behind *b, const struct request *q, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	const struct object *o = find(b, q->head.nodeid);
	struct fuse_attr_out out = {0};

	if (!o || !o->whole || now >= o->expires)
		return false;
	out.attr_valid = (o->expires - now) / NANOSECONDS_PER_SECOND;
	out.attr = o->attr;
	return request_answer(q, 0, &out, sizeof out, reply, size);
}

static bool tells_failure(uint32_t opcode)
{
	return opcode == FUSE_GETATTR || opcode == FUSE_SETATTR || opcode == FUSE_FSYNC ||
	       opcode == FUSE_FSYNCDIR || opcode == FUSE_FLUSH;
}

bool behind_answer(struct behind *b, const uint8_t *request, size_t n, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	struct request q;
	int32_t error;

	if (!request_read(request, n, &q))
		return false;
	if (tells_failure(q.head.opcode) && (error = take_failure(b, q.head.nodeid)) < 0)
		return request_answer(&q, error, NULL, 0, reply, size);
	if (q.head.opcode == FUSE_SETATTR && answer_setattr(b, &q, now, reply, size))
		return true;
	if (q.head.opcode == FUSE_GETATTR && answer_getattr(b, &q, now, reply, size))
		return true;
	note(b, &q);
	return false;
}

/* ---- to the host --------------------------------------------------------------------------------------- */

bool behind_waits(const struct behind *b)
{
	return b->waiting_count;
}

bool behind_is_done(const struct behind *b)
{
	return !b->waiting_count && !b->sent_count;
}

size_t behind_take(struct behind *b, uint8_t messages[BEHIND_BYTES_MAX])
{
	size_t n = b->waiting_count;

	for (size_t i = 0; i < n; i++) {
		const struct change *c = &b->waiting[i];
		struct object *o = find(b, c->node);

		memcpy(messages + i * BEHIND_MESSAGE, &c->message, BEHIND_MESSAGE);
		b->sent[b->sent_count++] = (struct sent){c->message.head.unique, c->node};
		if (o)
			o->behind = c->message.head.unique;
	}
	b->waiting_count = 0;
	return n * BEHIND_MESSAGE;
}

/* ---- from the host ------------------------------------------------------------------------------------- */

/* All attributes, as they were when it answered. */
static void learn(
	struct behind *b, struct object *o, const struct fuse_attr *a, uint64_t seconds, uint64_t now)
{
	o->attr = *a;
	o->expires = request_expiry(now, seconds);
	o->known = true;
	o->whole = !o->changing && !o->behind;
	if (waiting_of(b, o->node)) /* it has changed since */
		o->known = o->whole = false;
}

static void hear_made(struct behind *b, const uint8_t *body, size_t n, uint64_t now)
{
	struct fuse_entry_out e;
	struct object *o;

	if (n < sizeof e)
		return;
	memcpy(&e, body, sizeof e);
	if (!e.nodeid || waiting_of(b, e.nodeid))
		return;
	o = &b->objects[e.nodeid % OBJECTS];
	*o = (struct object){.node = e.nodeid, .epoch = b->epoch};
	learn(b, o, &e.attr, e.attr_valid, now);
}

static void hear_written(struct object *o, const struct asked *a, const uint8_t *body, size_t n)
{
	struct fuse_write_out w;
	uint64_t end;

	if (n < sizeof w)
		return;
	memcpy(&w, body, sizeof w);
	if (__builtin_add_overflow(a->offset, w.size, &end))
		o->known = false;
	else if (end > o->attr.size)
		o->attr.size = end;
}

static void hear_attributes(struct behind *b, struct object *o, const struct asked *a, const uint8_t *body,
	size_t n, uint64_t now)
{
	struct fuse_attr_out out;

	if (n < sizeof out)
		return;
	memcpy(&out, body, sizeof out);
	if (a->odd && (a->uid == UINT32_MAX || a->uid == out.attr.uid) &&
		(a->gid == UINT32_MAX || a->gid == out.attr.gid) &&
		(a->mode == UINT32_MAX || a->mode == (out.attr.mode & 07777)))
		b->keeps = true;
	if (o && !o->changing && !o->behind)
		learn(b, o, &out.attr, out.attr_valid, now);
}

/* The reply to a request that went to the host as it came. */
static void hear_reply(struct behind *b, const struct asked *a, const struct fuse_out_header *h,
	const uint8_t *body, size_t n, uint64_t now)
{
	struct object *o = find(b, a->node);
	bool last = o && o->changing == a->unique;

	if (last)
		o->changing = 0;
	if (h->error) {
		if (last)
			o->known = false;
		return;
	}
	if (a->opcode == FUSE_CREATE || a->opcode == FUSE_MKDIR || a->opcode == FUSE_MKNOD)
		hear_made(b, body, n, now);
	else if (a->opcode == FUSE_WRITE && last)
		hear_written(o, a, body, n);
	else if (a->opcode == FUSE_GETATTR || a->opcode == FUSE_SETATTR)
		hear_attributes(b, o, a, body, n, now);
}

static void hear_behind(struct behind *b, const struct sent *s, const struct fuse_out_header *h,
	const uint8_t *body, size_t n, uint64_t now)
{
	struct object *o = find(b, s->node);
	struct fuse_attr_out out;

	if (h->error) {
		fail(b, s->node, h->error);
		drop(b, s->node);
		b->distrust = now + DISTRUST;
		return;
	}
	if (!o || o->behind != s->unique || n < sizeof out)
		return;
	memcpy(&out, body, sizeof out);
	o->behind = 0;
	if (o->known && !waiting_of(b, s->node))
		learn(b, o, &out.attr, out.attr_valid, now);
}

/* Of an object that is made here, which the request just changed of whom this goes ahead. */
static void hear_ahead(struct behind *b, const uint8_t *body, size_t n, uint64_t now)
{
	struct fuse_attr_out out;
	struct object *o;
	uint64_t node;

	if (n != sizeof node + sizeof out)
		return;
	memcpy(&node, body, sizeof node);
	memcpy(&out, body + sizeof node, sizeof out);
	o = find(b, node);
	if (o)
		learn(b, o, &out.attr, out.attr_valid, now);
}

static void hear_notice(
	struct behind *b, const struct fuse_out_header *h, const uint8_t *body, size_t n, uint64_t now)
{
	struct fuse_notify_inval_entry_out e;
	struct fuse_notify_inval_inode_out i;

	if (h->error == FUSE_NOTIFY_INVAL_ENTRY && n >= sizeof e) {
		memcpy(&e, body, sizeof e);
		drop(b, e.parent);
	} else if (h->error == FUSE_NOTIFY_INVAL_INODE && n >= sizeof i) {
		memcpy(&i, body, sizeof i);
		drop(b, (uint64_t)i.ino);
	} else if (h->error == VOLUME_AHEAD) {
		hear_ahead(b, body, n, now);
	}
}

/* Answers come in the order of what was sent, as a rule. */
static bool take_sent(struct behind *b, uint64_t unique, struct sent *s)
{
	for (uint32_t i = 0; i < b->sent_count; i++) {
		if (b->sent[i].unique != unique)
			continue;
		*s = b->sent[i];
		memmove(b->sent + i, b->sent + i + 1, (--b->sent_count - i) * sizeof *s);
		return true;
	}
	return false;
}

static void make_error(uint8_t *message, size_t *n, int32_t error, uint64_t unique)
{
	struct fuse_out_header h = {.len = sizeof h, .error = error, .unique = unique};

	memcpy(message, &h, sizeof h);
	*n = sizeof h;
}

bool behind_heard(struct behind *b, uint8_t *message, size_t *n, uint64_t now)
{
	const uint8_t *body = message + sizeof(struct fuse_out_header);
	struct fuse_out_header h;
	struct asked *a;
	struct sent s;
	size_t size;

	if (*n < sizeof h)
		return false;
	memcpy(&h, message, sizeof h);
	size = *n - sizeof h;
	if (!h.unique) {
		hear_notice(b, &h, body, size, now);
		return false;
	}
	if (take_sent(b, h.unique, &s)) {
		hear_behind(b, &s, &h, body, size, now);
		return true;
	}
	a = asked_at(b, h.unique);
	if (a->unique == h.unique) {
		int32_t error = tells_failure(a->opcode) ? take_failure(b, a->node) : 0;

		hear_reply(b, a, &h, body, size, now);
		if (error)
			make_error(message, n, error, h.unique);
		*a = (struct asked){0};
	}
	return false;
}
