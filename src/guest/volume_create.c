/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are made here, and told to the host behind that. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "codec/volume.h"
#include "guest/volume_behind_parts.h"

#define BLOCK 4096u /* that the kernel shows until the host has said */

_Static_assert(sizeof(struct fuse_in_header) + sizeof(struct fuse_create_in) == BEHIND_NAME_AT, "as it says");

static bool is_plain(const struct behind *b, const struct request *q, const struct fuse_create_in *in)
{
	return b->keeps || (!q->head.uid && !q->head.gid && !(in->mode & 07000));
}

bool behind_may_create(const struct behind *b, const struct request *q, uint64_t now)
{
	const struct object *o = &b->objects[q->head.nodeid % BEHIND_OBJECTS];
	struct fuse_create_in in;

	if (q->head.opcode != FUSE_CREATE || q->size < sizeof in || q->head.len > BEHIND_CREATE_MAX ||
		q->head.len != sizeof q->head + q->size || !behind_has_room(b, now))
		return false;
	memcpy(&in, q->body, sizeof in);
	/* Whose its files are, a directory with the setgid bit says. */
	return S_ISREG(in.mode) && is_plain(b, q, &in) && o->node == q->head.nodeid && o->epoch == b->epoch &&
	       o->known && !o->changing && now < o->expires && S_ISDIR(o->attr.mode) &&
	       !(o->attr.mode & S_ISGID);
}

static struct fuse_attr new_file(
	const struct request *q, const struct fuse_create_in *in, uint64_t node, uint64_t realtime)
{
	struct fuse_attr a = {.ino = node,
		.mtime = realtime / NANOSECONDS_PER_SECOND,
		.mtimensec = (uint32_t)(realtime % NANOSECONDS_PER_SECOND),
		.mode = in->mode,
		.nlink = 1,
		.uid = q->head.uid,
		.gid = q->head.gid,
		.blksize = BLOCK};

	a.atime = a.ctime = a.mtime;
	a.atimensec = a.ctimensec = a.mtimensec;
	return a;
}

static void wait_to_be_made(struct behind *b, const struct request *q, uint64_t node, uint64_t seconds)
{
	struct change *c = &b->waiting[b->waiting_count++];
	struct fuse_in_header h = q->head;

	*c = (struct change){.node = node, .parent = h.nodeid, .seconds = seconds};
	h.unique |= VOLUME_GIVES;
	h.pid = (uint32_t)node;
	memcpy(c->bytes, &h, sizeof h);
	memcpy(c->bytes + sizeof h, q->body, q->size);
	b->barrier = b->waiting_count;
}

/* What the host will say of the directory, but for its clock. */
static void guess(struct object *directory, uint64_t unique, const struct fuse_attr *file)
{
	directory->behind = unique;
	directory->whole = directory->fresh = false;
	directory->guessed = true;
	directory->attr.mtime = directory->attr.ctime = file->mtime;
	directory->attr.mtimensec = directory->attr.ctimensec = file->mtimensec;
}

void behind_create(struct behind *b, const struct request *q, uint64_t node, uint64_t seconds, uint64_t now,
	uint64_t realtime, uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = {.entry = {.nodeid = node, .entry_valid = seconds},
		.open = {.fh = VOLUME_NO_HANDLE, .open_flags = FOPEN_KEEP_CACHE}};
	struct fuse_create_in in;

	b->realtime = realtime - now;
	memcpy(&in, q->body, sizeof in);
	out.entry.attr = new_file(q, &in, node, realtime);
	guess(behind_find(b, q->head.nodeid), q->head.unique, &out.entry.attr);
	b->objects[node % BEHIND_OBJECTS] = (struct object){.node = node,
		.epoch = b->epoch,
		.expires = request_expiry(now, seconds),
		.behind = q->head.unique,
		.known = true,
		.guessed = true,
		.maker = q->head.pid,
		.attr = out.entry.attr};
	wait_to_be_made(b, q, node, seconds);
	request_answer(q, 0, &out, sizeof out, reply, size);
}

/* ---- what the host says -------------------------------------------------------------------------------- */

void behind_hear_changed(struct behind *b, struct object *directory, bool last)
{
	bool fresh = directory->fresh;

	directory->fresh = false;
	if (!last)
		return;
	directory->guessed = false;
	directory->whole = fresh && directory->known && !directory->changing && !directory->behind &&
			   !behind_is_changing(b, directory->node);
}

/* The kernel is to ask for the name again. True: it cannot be told. */
static bool make_notice(const struct sent *s, uint8_t *message, size_t *n)
{
	size_t length = strlen(s->name);
	const struct fuse_notify_inval_entry_out e = {.parent = s->parent, .namelen = (uint32_t)length};
	const struct fuse_out_header h = {
		.len = (uint32_t)(sizeof h + sizeof e + length + 1), .error = FUSE_NOTIFY_INVAL_ENTRY};

	memcpy(message, &h, sizeof h);
	memcpy(message + sizeof h, &e, sizeof e);
	memcpy(message + sizeof h + sizeof e, s->name, length + 1);
	*n = h.len;
	return false;
}

static void hear_file(struct behind *b, const struct sent *s, const struct fuse_entry_out *e, uint64_t now)
{
	struct object *o = behind_find(b, s->node);
	bool last = o && o->behind == s->unique;

	if (!o)
		return;
	if (last)
		o->behind = 0;
	if (last && o->known && !o->changing && !behind_is_changing(b, s->node))
		behind_learn(b, o, &e->attr, e->attr_valid, now);
	else
		o->attr.ino = e->attr.ino;
}

bool behind_hear_created(struct behind *b, const struct sent *s, uint8_t *message, size_t *n, uint64_t now)
{
	struct object *directory = behind_find(b, s->parent);
	struct fuse_out_header h;
	struct fuse_entry_out e;
	bool last = directory && directory->behind == s->unique;

	memcpy(&h, message, sizeof h);
	if (last)
		directory->behind = 0;
	if (directory)
		behind_hear_changed(b, directory, last && !h.error);
	if (h.error || *n < sizeof h + sizeof e) {
		behind_fail(b, &(struct failure){s->node, h.error ? h.error : -EIO, true}, now);
		behind_drop(b, s->node);
		behind_drop(b, s->parent);
		return make_notice(s, message, n);
	}
	memcpy(&e, message + sizeof h, sizeof e);
	hear_file(b, s, &e, now);
	return e.entry_valid + 1 >= s->seconds || make_notice(s, message, n);
}
