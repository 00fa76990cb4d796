/* SPDX-License-Identifier: Apache-2.0 */
/* All writers' side: frames become packs, packs get their names, and then the index learns of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "monofs/store_parts.h"
#include "os/fs.h"

/* ---- the open pack: under `writing` ------------------------------------------------------------------ */

static int begin_pack(struct store *s, struct error *err)
{
	char name[PACK_TEMPORARY_SIZE];
	struct pack *p;
	int r;

	snprintf(name, sizeof name, "new.%s.%u", s->session.name, s->begun++);
	r = pack_create(s->packs, name, s->crypt, &p, err);
	if (r < 0)
		return r;
	p->references = 1;
	pthread_mutex_lock(&s->lock);
	p->serial = ++s->serials;
	s->open = p;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int end_pack(struct store *s, struct error *err)
{
	bool full;
	int r;

	pthread_mutex_lock(&s->lock);
	full = s->closed_count == STORE_CLOSED_MAX;
	pthread_mutex_unlock(&s->lock);
	if (full)
		return error_set(err, ERROR_LIMIT, "end a pack: %u wait to be synced", STORE_CLOSED_MAX);
	r = pack_finish(s->open, s->crypt, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	s->closed[s->closed_count++] = s->open;
	s->open = NULL;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static void drop_pack(struct store *s)
{
	unlinkat(s->packs, s->open->temporary, 0);
	pthread_mutex_lock(&s->lock);
	store_pack_release(s, s->open);
	s->open = NULL;
	pthread_mutex_unlock(&s->lock);
}

/* One that takes a frame. */
static int ready_pack(struct store *s, struct error *err)
{
	int r = 0;

	if (s->open && s->open->ending && s->open->directory.frame_count)
		r = end_pack(s, err);
	else if (s->open && s->open->ending)
		drop_pack(s);
	return r < 0 || s->open ? r : begin_pack(s, err);
}

/* Under `lock`. */
static int list_frame(struct store *s, const struct pack_frame *frame, const struct pack_object *objects,
	uint32_t count, struct error *err)
{
	struct pack *p = s->open;
	void *place = store_place(p->serial, p->directory.frame_count);
	int r = 0;

	pack_directory_add(&p->directory, frame, objects, count);
	s->written.stored += frame->stored;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = map_set(&s->pending, objects[i].id.bytes, OBJECT_ID_SIZE, place, NULL, err);
	return r;
}

static int append(struct store *s, enum pack_form form, const void *bytes, size_t n,
	const struct pack_object *objects, uint32_t count, struct error *err)
{
	struct pack_frame frame;
	int r = ready_pack(s, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = pack_directory_reserve(&s->open->directory, count, err);
	pthread_mutex_unlock(&s->lock);
	if (r == 0)
		r = pack_write_frame(s->open, s->crypt, form, bytes, n, &frame, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = list_frame(s, &frame, objects, count, err);
	pthread_mutex_unlock(&s->lock);
	if (r == 0 && (s->open->size >= PACK_SIZE || s->open->directory.object_count >= PACK_OBJECTS))
		r = end_pack(s, err);
	return r;
}

static int publish(struct store *s, struct error *err);

int store_append(struct store *s, enum pack_form form, const void *bytes, size_t n,
	const struct pack_object *objects, uint32_t count, struct error *err)
{
	bool enough;
	int r;

	pthread_mutex_lock(&s->writing);
	r = append(s, form, bytes, n, objects, count, err);
	pthread_mutex_unlock(&s->writing);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	enough = s->closed_count >= STORE_CLOSED_ENOUGH ||
		 (s->closed_count && s->pending.size >= STORE_PENDING_ENOUGH);
	pthread_mutex_unlock(&s->lock);
	if (!enough)
		return 0;
	pthread_mutex_lock(&s->syncing);
	r = publish(s, err);
	pthread_mutex_unlock(&s->syncing);
	return r;
}

/* ---- closed packs: under `syncing` ------------------------------------------------------------------- */

static int sync_directory(struct store *s, const char *path, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(s->packs, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);

	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? error_errno(err, errno, "sync packs/%s", path) : 0;
}

/* After a sync that failed the system may call what it has lost written. */
static int broken(struct store *s, int r, const struct error *why, struct error *err)
{
	pthread_mutex_lock(&s->lock);
	error_set(&s->broken, (enum error_code) - r,
		"%s: nothing more is written until the repository is opened anew", why->text);
	pthread_mutex_unlock(&s->lock);
	return error_set(err, (enum error_code) - r, "%s", why->text);
}

static int sync_packs(struct store *s, struct pack *const *packs, unsigned count, struct error *err)
{
	struct error why;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < count; i++)
		r = pack_sync(packs[i], &why);
	return r < 0 ? broken(s, r, &why, err) : 0;
}

static int sync_directories(struct store *s, struct pack *const *packs, unsigned count, struct error *err)
{
	char path[PACK_PATH_SIZE];
	struct error why;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < count; i++) {
		pack_path(packs[i]->name, path);
		path[2] = 0;
		r = sync_directory(s, path, &why);
	}
	if (r == 0) /* one beneath may be new, and if only to another process that died */
		r = sync_directory(s, ".", &why);
	return r < 0 ? broken(s, r, &why, err) : 0;
}

static int name_packs(struct store *s, struct pack *const *packs, unsigned count, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < count; i++)
		if (*packs[i]->temporary)
			r = pack_publish(packs[i], s->packs, err);
	return r < 0 ? r : sync_directories(s, packs, count, err);
}

/* They are in the index: what is pending is no more, and they may be read as all others. Under `lock`. */
static void settle(struct store *s, struct pack *const *packs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct pack_directory *d = &packs[i]->directory;

		for (uint32_t k = 0; k < d->object_count; k++) {
			const uint8_t *id = d->objects[k].id.bytes;

			if (store_place_serial(map_get(&s->pending, id, OBJECT_ID_SIZE)) == packs[i]->serial)
				map_remove(&s->pending, id, OBJECT_ID_SIZE);
		}
		store_pack_keep(s, packs[i]);
	}
	s->closed_count -= count;
	for (unsigned i = 0; i < s->closed_count; i++)
		s->closed[i] = s->closed[i + count];
}

static int publish(struct store *s, struct error *err)
{
	struct pack *packs[STORE_CLOSED_MAX];
	_cleanup_fd_ int lock = -1;
	unsigned count;
	int r;

	pthread_mutex_lock(&s->lock);
	count = s->closed_count;
	for (unsigned i = 0; i < count; i++)
		packs[i] = s->closed[i];
	pthread_mutex_unlock(&s->lock);
	if (count == 0)
		return 0;
	r = sync_packs(s, packs, count, err);
	if (r == 0)
		r = store_lock_packs(s, false, &lock, err);
	if (r == 0)
		r = name_packs(s, packs, count, err);
	if (r == 0)
		r = index_add(s->index, packs, count, s->session.name, true, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	settle(s, packs, count);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int store_check_broken(struct store *s, struct error *err)
{
	struct error why;

	pthread_mutex_lock(&s->lock);
	why = s->broken;
	pthread_mutex_unlock(&s->lock);
	return why.code ? error_set(err, why.code, "%s", why.text) : 0;
}

/* One that has its name already is whole, and may be another's, too: it stays. */
void store_recover(struct store *s)
{
	struct error unused;

	if (store_check_broken(s, &unused) == 0)
		return;
	pthread_mutex_lock(&s->syncing);
	pthread_mutex_lock(&s->writing);
	if (s->open)
		drop_pack(s);
	pthread_mutex_lock(&s->lock);
	while (s->closed_count) {
		struct pack *p = s->closed[--s->closed_count];

		if (*p->temporary)
			unlinkat(s->packs, p->temporary, 0);
		store_pack_release(s, p);
	}
	map_free(&s->pending);
	s->broken = (struct error){0};
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->writing);
	pthread_mutex_unlock(&s->syncing);
}

int store_sync(struct store *s, struct error *err)
{
	int r;

	pthread_mutex_lock(&s->syncing);
	r = store_check_broken(s, err);
	pthread_mutex_lock(&s->writing);
	if (r == 0 && s->open && s->open->directory.frame_count)
		r = end_pack(s, err);
	pthread_mutex_unlock(&s->writing);
	if (r == 0)
		r = publish(s, err);
	pthread_mutex_unlock(&s->syncing);
	return r;
}
