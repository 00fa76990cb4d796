/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_store.h"

#include <pthread.h>

#include "base/map.h"
#include "test.h"

struct object {
	enum object_type type;
	size_t size;
	uint8_t bytes[];
};

struct store {
	const struct crypt *crypt;
	pthread_mutex_t lock;
	struct map objects;
	struct store_written written;
	size_t reads;
	unsigned fail;
	bool failed;
};

struct store_writer {
	struct store *s;
};

struct store *memory_store_new(const struct crypt *crypt)
{
	struct store *s = calloc(1, sizeof *s);

	CHECK(s);
	s->crypt = crypt;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void memory_store_crypt(struct crypt *c)
{
	static const struct chunker_sizes sizes = {.min = 1024, .average = 4096, .max = 16384};
	struct error err = {0};

	CHECK_OK(crypt_init(c, NULL, &sizes, &err));
}

void store_close(struct store *s)
{
	struct map_slot *slot;

	if (!s)
		return;
	for (size_t at = 0; (slot = map_next(&s->objects, &at));)
		free(slot->value);
	map_free(&s->objects);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void keep(
	struct store *s, const struct object_id *id, enum object_type type, const void *bytes, size_t n)
{
	struct object *o = malloc(sizeof *o + n);
	void *old = NULL;
	struct error err;

	CHECK(o);
	o->type = type;
	o->size = n;
	if (n)
		memcpy(o->bytes, bytes, n);
	CHECK_OK(map_set(&s->objects, id, sizeof *id, o, &old, &err));
	free(old);
}

void memory_store_plant(
	struct store *s, enum object_type type, const void *bytes, size_t n, struct object_id *id)
{
	struct error err;

	CHECK_OK(crypt_id(s->crypt, type, bytes, n, id, &err));
	keep(s, id, type, bytes, n);
}

void memory_store_lie(
	struct store *s, const struct object_id *id, enum object_type type, const void *bytes, size_t n)
{
	keep(s, id, type, bytes, n);
}

void memory_store_remove(struct store *s, const struct object_id *id)
{
	free(map_remove(&s->objects, id, sizeof *id));
}

size_t memory_store_objects(const struct store *s)
{
	return s->objects.size;
}

size_t memory_store_reads(const struct store *s)
{
	return s->reads;
}

void memory_store_fail(struct store *s, unsigned n)
{
	s->fail = n;
	s->failed = false;
}

bool memory_store_failed(const struct store *s)
{
	return s->failed;
}

/* Whether this call's turn to fail has come. */
static bool fails(struct store *s)
{
	if (s->fail == 0 || --s->fail > 0)
		return false;
	return s->failed = true;
}

int store_writer_new(struct store *s, struct store_writer **out, struct error *err)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return error_no_memory(err, "make a writer");
	(*out)->s = s;
	return 0;
}

void store_writer_free(struct store_writer *w)
{
	free(w);
}

struct store *store_writer_store(struct store_writer *w)
{
	return w->s;
}

int store_put(struct store_writer *w, enum object_type type, const void *bytes, size_t n,
	struct object_id *id, bool *fresh, struct error *err)
{
	struct store *s = w->s;
	struct object_id made;
	int r = n > object_type_most(type) ? error_set(err, ERROR_LIMIT, "an object that is too large")
					   : crypt_id(s->crypt, type, bytes, n, &made, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	if (fails(s))
		r = error_set(err, ERROR_NO_SPACE, "the disk is full");
	if (r == 0) {
		bool there = map_get(&s->objects, &made, sizeof made);

		if (!there)
			keep(s, &made, type, bytes, n);
		if (fresh)
			*fresh = !there;
		s->written.put += n;
		s->written.fresh += there ? 0 : n;
		s->written.objects++;
		*id = made;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

int store_writer_flush(struct store_writer *w, struct error *err)
{
	(void)w;
	(void)err;
	return 0;
}

int store_sync(struct store *s, struct error *err)
{
	(void)s;
	(void)err;
	return 0;
}

void store_written(struct store *s, struct store_written *out)
{
	*out = s->written;
}

int store_get(struct store *s, enum object_type type, const struct object_id *id, struct store_bytes *out,
	struct error *err)
{
	char hex[OBJECT_HEX_SIZE];
	struct object *o;
	bool failing;

	pthread_mutex_lock(&s->lock);
	s->reads++;
	failing = fails(s);
	o = map_get(&s->objects, id, sizeof *id);
	pthread_mutex_unlock(&s->lock);
	*out = (struct store_bytes){0};
	if (failing)
		return error_set(err, ERROR_SYSTEM, "the disk cannot be read");
	if (!o || o->type != type)
		return error_set(err, ERROR_NOT_FOUND, "%s %s: it is not there", object_type_name(type),
			object_id_hex(id, hex));
	/* Of its own size, for the sanitizer to watch over. */
	out->held = malloc(o->size ? o->size : 1);
	if (!out->held)
		return error_no_memory(err, "read an object");
	memcpy(out->held, o->bytes, o->size);
	out->bytes = out->held;
	out->size = o->size;
	return 0;
}

void store_release(struct store *s, struct store_bytes *bytes)
{
	(void)s;
	free(bytes->held);
	*bytes = (struct store_bytes){0};
}

void store_prefetch(struct store *s, enum object_type type, const struct object_id *id)
{
	(void)s;
	(void)type;
	(void)id;
}

int store_has(struct store *s, const struct object_id *id, struct error *err)
{
	(void)err;
	return map_get(&s->objects, id, sizeof *id) != NULL;
}

/* What a store on disk has besides. */

int store_open_at(int directory, const struct crypt *crypt, bool read_only, const struct progress *progress,
	struct store **out, struct error *err)
{
	(void)directory;
	(void)read_only;
	(void)progress;
	(void)err;
	*out = memory_store_new(crypt);
	return 0;
}

int store_statistics(struct store *s, struct store_statistics *out, struct error *err)
{
	(void)err;
	*out = (struct store_statistics){.objects = s->objects.size};
	return 0;
}

int store_check(struct store *s, struct store_check *check, struct error *err)
{
	(void)s;
	(void)check;
	(void)err;
	return 0;
}

int store_tidy(struct store *s, struct store_sweep *sweep, struct error *err)
{
	(void)s;
	return sweep->mark(sweep->context, err);
}
