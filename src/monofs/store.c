/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "monofs/store_parts.h"
#include "os/fs.h"

/* ---- the index -------------------------------------------------------------------------------------- */

/* Under the lock it is looked at once more: somebody else may have mended it. */
static int mend_index(struct store *s, const char *path, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = fs_lock(s->directory, "locks/index", FS_LOCK_EXCLUSIVE, true, &fd, err);

	if (r == 0)
		r = index_open(path, false, &s->index, err);
	return r == -ERROR_CORRUPT ? index_open(path, true, &s->index, err) : r;
}

static int open_index(struct store *s, struct error *err)
{
	_cleanup_free_ char *directory = NULL, *path = NULL;
	int r = fs_path_of(s->directory, &directory, err);

	if (r < 0)
		return r;
	path = text_format(err, "%s/index.db", directory);
	if (!path)
		return -ERROR_NO_MEMORY;
	r = index_open(path, false, &s->index, err);
	return r == -ERROR_CORRUPT ? mend_index(s, path, err) : r;
}

static int fill_index(struct store *s, bool renew, const struct progress *progress, struct error *err)
{
	unsigned added;
	int r = renew ? index_renew(s->index, err) : 0;

	if (r == 0)
		r = store_scan(s, progress, &added, err);
	return r < 0 ? r : index_set_complete(s->index, err);
}

/* Under a lock, so that of two who find the index missing one makes it. */
static int complete_index(struct store *s, const struct progress *progress, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = index_complete(s->index, err);

	if (r > 0)
		return 0;
	r = fs_lock(s->directory, "locks/index", FS_LOCK_EXCLUSIVE, true, &fd, err);
	if (r == 0)
		r = index_complete(s->index, err);
	if (r == 0 || r == -ERROR_CORRUPT)
		return fill_index(s, r < 0, progress, err);
	return r < 0 ? r : 0;
}

int store_renew_index(struct store *s, const struct progress *progress, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = fs_lock(s->directory, "locks/index", FS_LOCK_EXCLUSIVE, true, &fd, err);

	return r < 0 ? r : fill_index(s, true, progress, err);
}

/* Of several that find it damaged one makes it anew. */
static int heal(struct store *s, struct error *err)
{
	int r;

	pthread_mutex_lock(&s->syncing);
	r = index_verify(s->index, err);
	if (r == -ERROR_CORRUPT)
		r = store_renew_index(s, NULL, err);
	pthread_mutex_unlock(&s->syncing);
	return r;
}

int store_lookup(struct store *s, const struct object_id *id, struct index_place *place, struct error *err)
{
	int r = index_find(s->index, id, place, err);

	if (r != -ERROR_CORRUPT)
		return r;
	r = heal(s, err);
	return r < 0 ? r : index_find(s->index, id, place, err);
}

/* ---- open and close --------------------------------------------------------------------------------- */

static int open_parts(struct store *s, const struct progress *progress, struct error *err)
{
	int r;

	s->packs = fs_open(s->directory, "packs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (s->packs < 0)
		return error_prefix(err, "open the repository's packs");
	r = session_begin(s->directory, &s->session, err);
	if (r == 0)
		r = open_index(s, err);
	if (r == 0)
		r = complete_index(s, progress, err);
	if (r == 0 && !s->read_only)
		r = store_clean(s, err);
	return r;
}

int store_open_at(int directory, const struct crypt *crypt, bool read_only, const struct progress *progress,
	struct store **out, struct error *err)
{
	_cleanup_(cleanup_store) struct store *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_no_memory(err, "open a repository");
	s->directory = directory;
	s->packs = -1;
	s->session = (struct session)SESSION_NONE;
	s->crypt = crypt;
	s->read_only = read_only;
	pthread_mutex_init(&s->syncing, NULL);
	pthread_mutex_init(&s->writing, NULL);
	pthread_mutex_init(&s->lock, NULL);
	r = open_parts(s, progress, err);
	if (r < 0)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

static void discard(struct store *s, struct pack *p)
{
	if (*p->temporary)
		unlinkat(s->packs, p->temporary, 0);
	store_pack_release(s, p);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->open)
		discard(s, s->open);
	for (unsigned i = 0; i < s->closed_count; i++)
		discard(s, s->closed[i]);
	store_cache_free(s);
	map_free(&s->pending);
	index_close(s->index);
	session_end(&s->session);
	if (s->packs >= 0)
		close(s->packs);
	pthread_mutex_destroy(&s->syncing);
	pthread_mutex_destroy(&s->writing);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void store_written(struct store *s, struct store_written *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->written;
	pthread_mutex_unlock(&s->lock);
}
