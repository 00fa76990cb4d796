/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/native/index_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"

#define MAGIC       0x3158444e494d434dull /* "MCMINDX1" */
#define HEADER_SIZE 16u                   /* magic, generation */
#define RECORD_SIZE 45u                   /* without its name */
#define READ_SIZE   (1u << 18)
#define SLOTS_FIRST 1024u
#define SLACK       (1u << 20) /* bytes that may be out of date, however few hold */

struct record {
	struct native_identity object, parent;
	char name[VFS_NAME_MAX + 1]; /* "": the object is gone */
};

struct slot {
	uint64_t hash;
	uint64_t offset; /* of the record; 0: free */
};

struct native_index_file {
	pthread_mutex_t lock;
	int files[2];
	unsigned at; /* the file in use */
	uint64_t generation;
	uint64_t end;     /* where the next record goes */
	uint64_t holding; /* bytes of records that hold */
	struct slot *slots;
	size_t size, count, most; /* size: a power of two */
	bool broken;              /* it could not be written to: nothing more is remembered */
};

/* ---- records ------------------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint32_t sum_of(const uint8_t *bytes, size_t size)
{
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

static void put_identity(struct buffer *b, const struct native_identity *is)
{
	buffer_u32(b, is->device);
	buffer_u64(b, is->ino);
	buffer_u64(b, is->born);
}

static void put_record(struct buffer *b, const struct record *r)
{
	size_t begun = b->size, n = strlen(r->name);
	uint32_t sum;

	buffer_u32(b, 0);
	buffer_u8(b, (uint8_t)n);
	put_identity(b, &r->object);
	put_identity(b, &r->parent);
	buffer_append(b, r->name, n);
	if (b->failed)
		return;
	sum = sum_of(b->data + begun + sizeof sum, b->size - begun - sizeof sum);
	for (size_t i = 0; i < sizeof sum; i++)
		b->data[begun + i] = (uint8_t)(sum >> (8 * i));
}

static void take_identity(struct cursor *c, struct native_identity *is)
{
	is->device = cursor_u32(c);
	is->ino = cursor_u64(c);
	is->born = cursor_u64(c);
}

/* Its size; 0: there is none, or not all of it. */
static size_t take_record(const uint8_t *bytes, size_t size, struct record *r)
{
	struct cursor c = cursor_of(bytes, size);
	uint32_t sum = cursor_u32(&c);
	size_t n = cursor_u8(&c), whole = RECORD_SIZE + n;
	const uint8_t *name;

	take_identity(&c, &r->object);
	take_identity(&c, &r->parent);
	name = cursor_take(&c, n);
	if (c.failed || sum_of(bytes + sizeof sum, whole - sizeof sum) != sum || memchr(name, 0, n))
		return 0;
	memcpy(r->name, name, n);
	r->name[n] = '\0';
	return whole;
}

static bool same(const struct native_identity *a, const struct native_identity *b)
{
	return a->ino == b->ino && a->device == b->device && a->born == b->born;
}

static size_t read_record(const struct native_index_file *f, uint64_t offset, struct record *r)
{
	uint8_t bytes[RECORD_SIZE + VFS_NAME_MAX];
	ssize_t n = pread(f->files[f->at], bytes, sizeof bytes, (off_t)offset);

	return n < 0 ? 0 : take_record(bytes, (size_t)n, r);
}

static int write_all(int file, const struct buffer *b, uint64_t offset)
{
	for (size_t done = 0; done < b->size;) {
		ssize_t n = pwrite(file, b->data + done, b->size - done, (off_t)(offset + done));

		if (n <= 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* ---- the table: where the record of an object stands ------------------------------------------------- */

static uint64_t hash_of(const struct native_identity *is)
{
	uint64_t x = is->ino ^ is->born * 0x9e3779b97f4a7c15u ^ (uint64_t)is->device << 32;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static size_t first_free(const struct slot *slots, size_t size, uint64_t hash)
{
	size_t i = hash & (size - 1);

	while (slots[i].offset)
		i = (i + 1) & (size - 1);
	return i;
}

static bool grow(struct native_index_file *f)
{
	size_t size = f->size ? f->size * 2 : SLOTS_FIRST;
	struct slot *slots;

	if (f->count * 4 < f->size * 3)
		return true;
	slots = calloc(size, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < f->size; i++)
		if (f->slots[i].offset)
			slots[first_free(slots, size, f->slots[i].hash)] = f->slots[i];
	free(f->slots);
	f->slots = slots;
	f->size = size;
	return true;
}

/* The object's slot, and what stands in its record; NULL: none. */
static struct slot *find(struct native_index_file *f, const struct native_identity *is, struct record *r)
{
	uint64_t hash = hash_of(is);

	for (size_t i = hash; f->size; i++) {
		struct slot *s = &f->slots[i & (f->size - 1)];

		if (!s->offset)
			return NULL;
		if (s->hash == hash && read_record(f, s->offset, r) && same(&r->object, is))
			return s;
	}
	return NULL;
}

/* Those behind it move up, as far as they may. */
static void take_out(struct native_index_file *f, struct slot *s)
{
	size_t mask = f->size - 1, hole = (size_t)(s - f->slots);

	for (size_t i = (hole + 1) & mask; f->slots[i].offset; i = (i + 1) & mask)
		if (((i - f->slots[i].hash) & mask) >= ((i - hole) & mask)) {
			f->slots[hole] = f->slots[i];
			hole = i;
		}
	f->slots[hole] = (struct slot){0};
	f->count--;
}

/* A record of `size` bytes stands at `offset` and is the newest of its object, whose slot and earlier record
 * are s and old (NULL: it has none). False: there is no room for it. */
static bool enter(struct native_index_file *f, struct slot *s, const struct record *old,
	const struct record *r, uint64_t offset, size_t size)
{
	if (s) {
		f->holding -= RECORD_SIZE + strlen(old->name);
		if (!r->name[0]) {
			take_out(f, s);
			return true;
		}
	} else if (!r->name[0]) {
		return true;
	} else if (f->count > f->most || !grow(f)) {
		return false;
	} else {
		s = &f->slots[first_free(f->slots, f->size, hash_of(&r->object))];
		f->count++;
	}
	*s = (struct slot){hash_of(&r->object), offset};
	f->holding += size;
	return true;
}

/* ---- to the other file --------------------------------------------------------------------------------- */

static int write_header(int file, uint64_t generation)
{
	_cleanup_buffer_ struct buffer b = {0};

	buffer_u64(&b, MAGIC);
	buffer_u64(&b, generation);
	return b.failed ? -1 : write_all(file, &b, 0);
}

static int copy_records(struct native_index_file *f, int to, struct slot *slots, uint64_t *end)
{
	_cleanup_buffer_ struct buffer b = {0};

	*end = HEADER_SIZE;
	for (size_t i = 0; i < f->size; i++) {
		struct record r;

		slots[i] = f->slots[i];
		if (!slots[i].offset)
			continue;
		if (!read_record(f, slots[i].offset, &r))
			return -1;
		slots[i].offset = *end + b.size;
		put_record(&b, &r);
		if (b.size < READ_SIZE)
			continue;
		if (b.failed || write_all(to, &b, *end) < 0)
			return -1;
		*end += b.size;
		buffer_clear(&b);
	}
	if (b.failed || write_all(to, &b, *end) < 0)
		return -1;
	*end += b.size;
	return 0;
}

/* The header comes last: until then the file in use is the one that holds. */
static void change_files(struct native_index_file *f)
{
	_cleanup_free_ struct slot *slots = calloc(f->size, sizeof *slots);
	int from = f->files[f->at], to = f->files[!f->at];
	uint64_t end;

	if (!slots || ftruncate(to, 0) < 0 || copy_records(f, to, slots, &end) < 0 || fdatasync(to) < 0 ||
		write_header(to, f->generation + 1) < 0 || fdatasync(to) < 0 || ftruncate(from, 0) < 0) {
		f->broken = true;
		return;
	}
	free(f->slots);
	f->slots = TAKE_PTR(slots);
	f->at = !f->at;
	f->generation++;
	f->end = end;
	f->holding = end - HEADER_SIZE;
}

/* ---- reading it in ------------------------------------------------------------------------------------- */

/* 0: no index. */
static uint64_t generation_of(int file)
{
	uint8_t bytes[HEADER_SIZE];
	struct cursor c = cursor_of(bytes, sizeof bytes);

	if (pread(file, bytes, sizeof bytes, 0) != sizeof bytes || cursor_u64(&c) != MAGIC)
		return 0;
	return cursor_u64(&c);
}

/* Up to the first record that is not whole. */
static bool read_records(struct native_index_file *f)
{
	_cleanup_free_ uint8_t *bytes = malloc(READ_SIZE);
	size_t have = 0, used = 0;

	while (bytes) {
		ssize_t n = pread(f->files[f->at], bytes + have, READ_SIZE - have, (off_t)(f->end + have));
		struct record r, old;
		size_t size;

		if (n < 0 && errno == EINTR)
			continue;
		have += n > 0 ? (size_t)n : 0;
		for (used = 0; (size = take_record(bytes + used, have - used, &r)) > 0; used += size)
			if (!enter(f, find(f, &r.object, &old), &old, &r, f->end + used, size))
				return false;
		f->end += used;
		if (n <= 0 || used == 0)
			return true;
		memmove(bytes, bytes + used, have - used);
		have -= used;
	}
	return false;
}

static int load_all(struct native_index_file *f, struct error *err)
{
	uint64_t first = generation_of(f->files[0]), second = generation_of(f->files[1]);

	f->at = second > first;
	f->generation = f->at ? second : first;
	f->end = HEADER_SIZE;
	if (!f->generation) {
		f->generation = 1;
		if (ftruncate(f->files[0], 0) < 0 || write_header(f->files[0], 1) < 0)
			return error_errno(err, errno, "write the index of handles");
	} else if (!read_records(f)) {
		return error_no_memory(err, "read the index of handles");
	}
	/* What is behind was never whole. */
	if (ftruncate(f->files[f->at], (off_t)f->end) < 0)
		return error_errno(err, errno, "write the index of handles");
	return 0;
}

int native_index_file_open(const int files[2], size_t most, struct native_index_file **out, struct error *err)
{
	_cleanup_(cleanup_native_index_file) struct native_index_file *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return error_no_memory(err, "read the index of handles");
	pthread_mutex_init(&f->lock, NULL);
	memcpy(f->files, files, sizeof f->files);
	f->most = most;
	r = load_all(f, err);
	if (r == 0)
		*out = TAKE_PTR(f);
	return r;
}

void native_index_file_free(struct native_index_file *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f->slots);
	free(f);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

/* s, old: as enter() has them. */
static void append(
	struct native_index_file *f, struct slot *s, const struct record *old, const struct record *r)
{
	_cleanup_buffer_ struct buffer b = {0};

	if (f->count >= f->most && r->name[0])
		return;
	put_record(&b, r);
	if (b.failed || write_all(f->files[f->at], &b, f->end) < 0) {
		/* A part of it may stand there now; the end of the file is where the last whole one ends. */
		f->broken = ftruncate(f->files[f->at], (off_t)f->end) < 0;
		return;
	}
	if (!enter(f, s, old, r, f->end, b.size))
		f->broken = true;
	f->end += b.size;
	if (f->end - HEADER_SIZE > 2 * f->holding + SLACK)
		change_files(f);
}

static void store(void *context, const struct native_identity *object, const struct native_identity *parent,
	const char *name)
{
	struct native_index_file *f = context;
	struct record r = {.object = *object, .parent = *parent}, old;
	size_t n = strlen(name);
	struct slot *s;

	if (n == 0 || n > VFS_NAME_MAX)
		return;
	memcpy(r.name, name, n + 1);
	pthread_mutex_lock(&f->lock);
	s = find(f, object, &old);
	if (!f->broken && !(s && same(&old.parent, parent) && !strcmp(old.name, name)))
		append(f, s, &old, &r);
	pthread_mutex_unlock(&f->lock);
}

static int load(void *context, const struct native_identity *object, struct native_identity *parent,
	char name[VFS_NAME_MAX + 1])
{
	struct native_index_file *f = context;
	struct record r;
	bool found;

	pthread_mutex_lock(&f->lock);
	found = find(f, object, &r) != NULL;
	pthread_mutex_unlock(&f->lock);
	if (!found)
		return -ENOENT;
	*parent = r.parent;
	memcpy(name, r.name, sizeof r.name);
	return 0;
}

static void forget(void *context, const struct native_identity *object)
{
	struct native_index_file *f = context;
	struct record r = {.object = *object}, old;
	struct slot *s;

	pthread_mutex_lock(&f->lock);
	s = f->broken ? NULL : find(f, object, &old);
	if (s)
		append(f, s, &old, &r);
	pthread_mutex_unlock(&f->lock);
}

struct native_index native_index_file_calls(struct native_index_file *f)
{
	return (struct native_index){.context = f, .store = store, .load = load, .forget = forget};
}
