/* SPDX-License-Identifier: Apache-2.0 */
/* The packs that are there, looked at one by one: to make the index, and for what it does not have. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monofs/store_parts.h"
#include "os/fs.h"

#define BATCH 32u /* packs that go into the index together */

static int each_beneath(struct store *s, const char *directory,
	int (*take)(void *context, const uint8_t name[SHA256_SIZE], struct error *err), void *context,
	struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *file;
	uint8_t name[SHA256_SIZE];
	int r = fs_list_open(s->packs, directory, &list, err);

	while (r == 0 && (file = fs_list_next(list)))
		if (pack_path_parse(file, name) && strncmp(file, directory, 2) == 0)
			r = take(context, name, err);
	return r;
}

static bool is_directory(const char *name)
{
	return strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2;
}

int store_each_pack(struct store *s,
	int (*take)(void *context, const uint8_t name[SHA256_SIZE], struct error *err), void *context,
	struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = fs_list_open(s->packs, ".", &list, err);

	while (r == 0 && (name = fs_list_next(list)))
		if (is_directory(name))
			r = each_beneath(s, name, take, context, err);
	return r;
}

/* ---- packs that the index does not know -------------------------------------------------------------- */

struct scan {
	struct store *store;
	struct pack *batch[BATCH];
	unsigned count, added;
	uint64_t objects;
	const struct progress *progress;
};

/* While nobody gives a pack its name and tells the index: what that does not know then is nobody's who lives.
 */
static int add_unknown(struct scan *c, struct error *err)
{
	struct pack *unknown[BATCH];
	_cleanup_fd_ int lock = -1;
	unsigned count = 0;
	int r = store_lock_packs(c->store, true, &lock, err);

	for (unsigned i = 0; r >= 0 && i < c->count; i++) {
		struct index_pack known;

		r = index_pack_named(c->store->index, c->batch[i]->name, &known, err);
		if (r == 0)
			unknown[count++] = c->batch[i];
	}
	if (r >= 0)
		r = store_index_there(c->store, unknown, count, "", err);
	if (r == 0)
		c->added += count;
	return r;
}

static int flush(struct scan *c, struct error *err)
{
	int r = c->count ? add_unknown(c, err) : 0;

	for (unsigned i = 0; i < c->count; i++)
		pack_close(c->batch[i]);
	c->count = 0;
	c->objects = 0;
	return r;
}

static int scan_pack(void *context, const uint8_t name[SHA256_SIZE], struct error *err)
{
	struct scan *c = context;
	struct index_pack known;
	struct error damage;
	int r = index_pack_named(c->store->index, name, &known, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = pack_open(c->store->packs, name, c->store->crypt, &c->batch[c->count], &damage);
	if (r == -ERROR_CORRUPT || r == -ERROR_NOT_FOUND)
		return 0;
	if (r < 0)
		return error_set(err, damage.code, "%s", damage.text);
	c->objects += c->batch[c->count++]->directory.object_count;
	progress_report(c->progress,
		&(struct progress_event){.task = "index", .unit = "packs", .done = c->added + c->count});
	return c->count == BATCH || c->objects > PACK_OBJECTS_MAX ? flush(c, err) : 0;
}

int store_scan(struct store *s, const struct progress *progress, unsigned *added, struct error *err)
{
	struct scan c = {.store = s, .progress = progress};
	int r = store_each_pack(s, scan_pack, &c, err);

	if (r == 0)
		r = flush(&c, err);
	for (unsigned i = 0; i < c.count; i++)
		pack_close(c.batch[i]);
	*added = c.added;
	if (r == 0 && c.added)
		progress_report(progress,
			&(struct progress_event){
				.task = "index", .unit = "packs", .done = c.added, .finished = true});
	return r;
}

/* ---- an object that the index does not have ---------------------------------------------------------- */

static bool has_object(const struct pack *p, const struct object_id *id)
{
	for (uint32_t i = 0; i < p->directory.object_count; i++)
		if (object_id_equal(&p->directory.objects[i].id, id))
			return true;
	return false;
}

/* 1: the pack had it (NULL: whatever it has), and is back in the index. */
static int rescue_from(
	struct store *s, const struct index_pack *there, const struct object_id *id, struct error *err)
{
	_cleanup_(cleanup_pack) struct pack *p = NULL;
	int r = pack_open(s->packs, there->name, s->crypt, &p, NULL);

	if (r < 0 || (id && !has_object(p, id)))
		return 0;
	r = store_index_packs(s, &p, 1, there->session, err);
	return r < 0 ? r : 1;
}

/* Of condemned packs the first that has it; NULL: all of them. */
static int rescue_condemned(struct store *s, const struct object_id *id, struct error *err)
{
	struct index_pack packs[64];
	int64_t above = 0;
	int r, n, found = 0;

	while ((n = index_packs(s->index, above, packs, ARRAY_SIZE(packs), err)) > 0) {
		for (int i = 0; i < n; i++) {
			r = packs[i].condemned ? rescue_from(s, &packs[i], id, err) : 0;
			if (r < 0 || (r > 0 && id))
				return r;
			found |= r;
		}
		above = packs[n - 1].number;
	}
	return n < 0 ? n : found;
}

static int rescue(struct store *s, const struct object_id *id, struct error *err)
{
	unsigned added;
	int r = store_scan(s, NULL, &added, err);

	if (r < 0 || (added && id))
		return r < 0 ? r : 1;
	r = rescue_condemned(s, id, err);
	return r == 0 && added ? 1 : r;
}

int store_rescue(struct store *s, const struct object_id *id, struct error *err)
{
	int r;

	pthread_mutex_lock(&s->syncing);
	r = rescue(s, id, err);
	pthread_mutex_unlock(&s->syncing);
	return r;
}

int store_rescue_all(struct store *s, struct error *err)
{
	return store_rescue(s, NULL, err);
}

/* ---- what dead processes left ------------------------------------------------------------------------ */

int store_clean(struct store *s, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = fs_list_open(s->packs, ".", &list, err);

	while (r == 0 && (name = fs_list_next(list))) {
		char session[SESSION_NAME_SIZE] = "";

		if (strncmp(name, "new.", 4) != 0)
			continue;
		if (strlen(name) > 4 + SESSION_NAME_SIZE - 1)
			memcpy(session, name + 4, SESSION_NAME_SIZE - 1);
		if (!session_lives(&s->session, session))
			unlinkat(s->packs, name, 0);
	}
	return r;
}
