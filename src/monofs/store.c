/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "monofs/store_parts.h"
#include "os/fs.h"

/* ---- open and close --------------------------------------------------------------------------------- */

static int open_parts(struct store *s, const struct progress *progress, struct error *err)
{
	int r;

	s->packs = fs_open(s->directory, "packs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (s->packs < 0)
		return error_prefix(err, "open the repository's packs");
	r = session_begin(s->directory, &s->session, err);
	if (r < 0 && s->read_only) /* nobody sweeps where nobody can write */
		r = 0;
	if (r == 0)
		r = store_index_open(s, progress, err);
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
	pthread_cond_init(&s->loaded, NULL);
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
	store_index_close(s);
	session_end(&s->session);
	if (s->packs >= 0)
		close(s->packs);
	pthread_mutex_destroy(&s->syncing);
	pthread_mutex_destroy(&s->writing);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->loaded);
	free(s);
}

void store_written(struct store *s, struct store_written *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->written;
	pthread_mutex_unlock(&s->lock);
}
