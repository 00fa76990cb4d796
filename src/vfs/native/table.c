/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The known objects, by number and by identity, and their places: the tree as it was last seen. No system
 * calls; the lock is held.
 *
 * A number is the host's inode number, mixed with the device where that is not the exported directory's own;
 * where another object has it already (the directory itself is 1, whatever the host calls it; an unlinked
 * object's may be in use again), one of a counter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vfs/native/native_parts.h"

#define BUCKETS_FIRST 1024

void ring_init(struct ring *r)
{
	r->before = r->behind = r;
}

void ring_push(struct ring *head, struct ring *r)
{
	r->before = head->before;
	r->behind = head;
	head->before->behind = r;
	head->before = r;
}

void ring_remove(struct ring *r)
{
	r->before->behind = r->behind;
	r->behind->before = r->before;
	ring_init(r);
}

/* ---- the two tables ------------------------------------------------------------------------------------ */

/* Of splitmix64; the seed keeps it from being foreseen. */
static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct native_inode **bucket_of_number(const struct native *fs, uint64_t number)
{
	return &fs->by_number[mixed(number ^ fs->seed) & (fs->buckets - 1)];
}

static struct native_inode **bucket_of(const struct native *fs, uint32_t device, uint64_t ino)
{
	return &fs->by_identity[mixed(ino ^ fs->seed ^ (uint64_t)device << 32) & (fs->buckets - 1)];
}

struct native_inode *native_find_number(struct native *fs, uint64_t number)
{
	struct native_inode *i = *bucket_of_number(fs, number);

	while (i && i->number != number)
		i = i->next_by_number;
	return i;
}

struct native_inode *native_find(struct native *fs, const struct native_identity *is, uint32_t type)
{
	struct native_inode *i = *bucket_of(fs, is->device, is->ino);

	while (i && (i->is.ino != is->ino || i->is.device != is->device || i->is.born != is->born ||
			    (type && i->type != type)))
		i = i->next_by_identity;
	return i;
}

static uint64_t number_on(uint32_t device, uint64_t ino)
{
	/* Below the alternatives, far from the first device's small numbers. */
	return device ? (ino ^ mixed(device)) & ~NATIVE_ALTERNATIVE : ino & ~NATIVE_ALTERNATIVE;
}

uint64_t native_number(struct native *fs, uint32_t device, uint64_t ino)
{
	uint64_t number = 0;

	for (struct native_inode *i = *bucket_of(fs, device, ino); i; i = i->next_by_identity)
		if (i->is.ino == ino && i->is.device == device && (i->place || i == fs->root))
			number = i->number;
	return number ? number : number_on(device, ino);
}

static void link_in(struct native *fs, struct native_inode *inode)
{
	struct native_inode **b = bucket_of_number(fs, inode->number);

	inode->next_by_number = *b;
	*b = inode;
	b = bucket_of(fs, inode->is.device, inode->is.ino);
	inode->next_by_identity = *b;
	*b = inode;
}

static void link_out(struct native *fs, struct native_inode *inode)
{
	struct native_inode **b = bucket_of_number(fs, inode->number);

	while (*b != inode)
		b = &(*b)->next_by_number;
	*b = inode->next_by_number;
	b = bucket_of(fs, inode->is.device, inode->is.ino);
	while (*b != inode)
		b = &(*b)->next_by_identity;
	*b = inode->next_by_identity;
}

static int grow(struct native *fs)
{
	struct native_inode **old = fs->by_number;
	size_t buckets = fs->buckets ? fs->buckets * 2 : BUCKETS_FIRST, count = fs->buckets;
	struct native_inode **by_number = calloc(buckets, sizeof(struct native_inode *));
	struct native_inode **by_identity = calloc(buckets, sizeof(struct native_inode *));

	if (!by_number || !by_identity) {
		free(by_number);
		free(by_identity);
		return fs->buckets ? 0 : -ENOMEM; /* slower, but right */
	}
	free(fs->by_identity);
	fs->by_number = by_number;
	fs->by_identity = by_identity;
	fs->buckets = buckets;
	for (size_t i = 0; i < count; i++)
		for (struct native_inode *inode = old[i], *next; inode; inode = next) {
			next = inode->next_by_number;
			link_in(fs, inode);
		}
	free(old);
	return 0;
}

/* ---- lives --------------------------------------------------------------------------------------------- */

static struct native_inode *evict_idle(struct native *fs);

static int inode_new(
	struct native *fs, const struct native_identity *is, uint32_t type, struct native_inode **out)
{
	struct native_inode *inode;

	while (fs->count >= fs->options.inodes && fs->idle_count)
		native_release(fs, evict_idle(fs));
	if (fs->count >= fs->options.inodes)
		return -ENFILE;
	if (fs->count >= fs->buckets && grow(fs) < 0)
		return -ENOMEM;
	inode = calloc(1, sizeof *inode);
	if (!inode)
		return -ENOMEM;
	ring_init(&inode->idle);
	inode->is = *is;
	inode->type = type;
	inode->references = 1;
	inode->version = ++fs->versions;
	inode->number = fs->root ? number_on(is->device, is->ino) : VFS_ROOT;
	if (fs->root && (inode->number <= VFS_ROOT || native_find_number(fs, inode->number)))
		inode->number = NATIVE_ALTERNATIVE | ++fs->alternatives;
	link_in(fs, inode);
	fs->count++;
	*out = inode;
	return 0;
}

/* Its reference is the caller's now. */
static struct native_inode *evict_idle(struct native *fs)
{
	struct native_inode *inode = (struct native_inode *)fs->idle.behind;

	ring_remove(&inode->idle);
	fs->idle_count--;
	inode->remembered = false;
	inode->persistent = false;
	return inode;
}

struct native_inode *native_recall(struct native *fs, const struct native_identity *is, uint32_t type)
{
	struct native_inode *inode = native_find(fs, is, type);

	if (!inode)
		return NULL;
	if (inode->remembered) { /* by a reference that is the caller's now */
		ring_remove(&inode->idle);
		fs->idle_count--;
		inode->remembered = false;
	} else {
		inode->references++;
	}
	return inode;
}

int native_enter(struct native *fs, const struct statx *s, struct native_inode **out)
{
	struct native_identity is = native_identity_of(fs, s);

	*out = native_recall(fs, &is, s->stx_mode & S_IFMT);
	return *out ? 0 : inode_new(fs, &is, s->stx_mode & S_IFMT, out);
}

void native_touch(struct native *fs, struct native_inode *inode)
{
	inode->version = ++fs->versions;
	if (inode->place)
		inode->place->parent->version = fs->versions;
	if (inode->other)
		inode->other->parent->version = fs->versions;
}

/* Its parent's reference is put on the list of what is to be released. */
static void place_free(struct native_place **place, struct native_inode **released)
{
	struct native_place *p = *place;

	*place = NULL;
	if (!p)
		return;
	if (--p->parent->references == 0) {
		p->parent->references = 1;
		p->parent->idle.before = (struct ring *)*released;
		*released = p->parent;
	}
	free(p);
}

static void inode_free(struct native *fs, struct native_inode *inode, struct native_inode **released)
{
	native_watch_leave(fs, inode);
	place_free(&inode->place, released);
	place_free(&inode->other, released);
	link_out(fs, inode);
	fs->count--;
	free(inode);
}

/* Nobody has it any more, and the reference is the table's. One that is remembered keeps its descriptor, as
 * those that are looked up do: protocols without open files forget an object after each call. */
static void inode_leave(struct native *fs, struct native_inode *inode, struct native_inode **released)
{
	if (!inode->persistent || !inode->place) {
		native_drop_descriptor(fs, inode);
		inode_free(fs, inode, released);
		return;
	}
	ring_push(&fs->idle, &inode->idle);
	inode->remembered = true;
	if (++fs->idle_count > fs->options.remembered) {
		inode = evict_idle(fs);
		inode->idle.before = (struct ring *)*released;
		*released = inode;
	}
}

void native_release(struct native *fs, struct native_inode *inode)
{
	struct native_inode *released = NULL;

	while (inode) {
		if (inode->references > 1 || inode->lookups || inode == fs->root)
			inode->references--;
		else
			inode_leave(fs, inode, &released);
		inode = released;
		if (inode) {
			released = (struct native_inode *)inode->idle.before;
			ring_init(&inode->idle);
		}
	}
}

void native_forget_lookups(struct native *fs, struct native_inode *inode, uint64_t times)
{
	inode->references++;
	inode->lookups -= times < inode->lookups ? times : inode->lookups;
	native_release(fs, inode);
}

/* ---- places -------------------------------------------------------------------------------------------- */

static bool place_is(const struct native_place *p, const struct native_inode *parent, const char *name)
{
	return p && p->parent == parent && !strcmp(p->name, name);
}

static void place_drop(struct native *fs, struct native_place **place)
{
	struct native_inode *released = NULL;

	place_free(place, &released);
	if (released) {
		ring_init(&released->idle);
		native_release(fs, released);
	}
}

/* What was seen now is true: if the parent's place leads back to the inode, one of the places between them is
 * out of date. The parent's is given up, since it is open now and can be found by that. */
static void break_circle(struct native *fs, const struct native_inode *inode, struct native_inode *parent)
{
	for (const struct native_inode *i = parent; i && i->place; i = i->place->parent)
		if (i->place->parent == inode) {
			place_drop(fs, &parent->place);
			return;
		}
}

int native_put(struct native *fs, struct native_inode *inode, struct native_inode *parent, const char *name)
{
	struct native_place *place;
	bool elsewhere = inode->place || inode->number & NATIVE_ALTERNATIVE;
	size_t n = strlen(name) + 1;

	if (inode == fs->root || inode == parent || place_is(inode->place, parent, name))
		return 0;
	if (place_is(inode->other, parent, name)) {
		place = inode->place;
		inode->place = inode->other;
		inode->other = place;
		return 0;
	}
	place = malloc(sizeof *place + n);
	if (!place)
		return -ENOMEM;
	if (elsewhere)
		native_touch(fs, inode);
	memcpy(place->name, name, n);
	place->parent = parent;
	parent->references++;
	if (S_ISDIR(inode->type)) {
		break_circle(fs, inode, parent);
		place_drop(fs, &inode->place);
	} else {
		place_drop(fs, &inode->other);
		inode->other = inode->place;
	}
	inode->place = place;
	inode->indexed = false;
	if (elsewhere)
		native_touch(fs, inode);
	return 0;
}

void native_unput(
	struct native *fs, struct native_inode *inode, struct native_inode *parent, const char *name)
{
	if (place_is(inode->other, parent, name))
		place_drop(fs, &inode->other);
	if (!place_is(inode->place, parent, name))
		return;
	place_drop(fs, &inode->place);
	inode->place = inode->other;
	inode->other = NULL;
	inode->indexed = false;
}

char *native_path(struct native *fs, const struct native_inode *inode, bool other, int *r)
{
	const struct native_place *first = other ? inode->other : inode->place, *p = first;
	size_t size = 0;
	char *path;

	*r = -ESTALE;
	for (; p; p = p->parent->place) {
		size += strlen(p->name) + 1;
		if (size > NATIVE_PATH_MOST)
			return NULL;
		if (p->parent == fs->root)
			break;
	}
	if (!p)
		return NULL;
	path = malloc(size);
	*r = path ? 0 : -ENOMEM;
	if (!path)
		return NULL;
	path[size - 1] = '\0';
	for (p = first;; p = p->parent->place) {
		size_t n = strlen(p->name);

		size -= n + 1;
		memcpy(path + size, p->name, n);
		if (p->parent == fs->root)
			return path;
		path[size - 1] = '/';
	}
}

/* ---- beginning and end --------------------------------------------------------------------------------- */

int native_table_new(struct native *fs, const struct statx *root)
{
	struct native_inode *inode;
	int r;

	ring_init(&fs->idle);
	if (getrandom(&fs->seed, sizeof fs->seed, 0) < 0)
		return -errno;
	r = grow(fs);
	if (r == 0)
		r = native_enter(fs, root, &inode);
	if (r < 0)
		return r;
	inode->lookups = 1;
	fs->root = inode;
	return 0;
}

void native_table_free(struct native *fs)
{
	for (size_t i = 0; i < fs->buckets; i++)
		for (struct native_inode *inode = fs->by_number[i], *next; inode; inode = next) {
			next = inode->next_by_number;
			native_drop_descriptor(fs, inode);
			free(inode->place);
			free(inode->other);
			free(inode);
		}
	free(fs->by_number);
	free(fs->by_identity);
}
