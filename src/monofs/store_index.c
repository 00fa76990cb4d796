/* SPDX-License-Identifier: Apache-2.0 */
/* The index that a store goes by: opened, made where it is missing, made anew where it is damaged. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "monofs/store_parts.h"
#include "os/fs.h"

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
	struct stat there;
	int r = fs_path_of(s->directory, &directory, err);

	if (r < 0)
		return r;
	if (fstatat(s->directory, "index.db", &there, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(there.st_mode))
		return error_set(err, ERROR_INVALID,
			"%s/index.db is no file: remove it, and it is made again from the packs", directory);
	path = text_format(err, "%s/index.db", directory);
	if (!path)
		return -ERROR_NO_MEMORY;
	r = index_open(path, false, &s->index, err);
	return r == -ERROR_CORRUPT ? mend_index(s, path, err) : r;
}

/* Of a repository that cannot be written to, nobody but this process has it. */
static int open_scratch(struct store *s, struct error *err)
{
	const char *base = getenv("TMPDIR");
	_cleanup_free_ char *path = NULL;

	s->scratch = text_format(err, "%s/monofs-XXXXXX", base && *base == '/' ? base : "/tmp");
	if (!s->scratch)
		return -ERROR_NO_MEMORY;
	if (!mkdtemp(s->scratch)) {
		free(TAKE_PTR(s->scratch));
		return error_set(
			err, ERROR_SYSTEM, "make a place for the index of a repository that is read-only");
	}
	path = text_format(err, "%s/index.db", s->scratch);
	return path ? index_open(path, false, &s->index, err) : -ERROR_NO_MEMORY;
}

/* Where the index is this process's own, nobody else makes it meanwhile. */
static int lock_index(struct store *s, int *fd, struct error *err)
{
	return s->scratch ? 0 : fs_lock(s->directory, "locks/index", FS_LOCK_EXCLUSIVE, true, fd, err);
}

int store_lock_packs(struct store *s, bool alone, int *fd, struct error *err)
{
	*fd = -1;
	return s->scratch ? 0
			  : fs_lock(s->directory, "locks/packs", alone ? FS_LOCK_EXCLUSIVE : FS_LOCK_SHARED,
				    true, fd, err);
}

static bool is_there(const struct store *s, const struct pack *p)
{
	char path[PACK_PATH_SIZE];

	return faccessat(s->packs, pack_path(p->name, path), F_OK, 0) == 0;
}

int store_index_there(
	struct store *s, struct pack *const *packs, unsigned count, const char *session, struct error *err)
{
	int r = 0;

	for (unsigned first = 0, n; r == 0 && first < count; first += n + 1) {
		for (n = 0; first + n < count && is_there(s, packs[first + n]);)
			n++;
		if (n)
			r = index_add(s->index, packs + first, n, session, false, err);
	}
	return r;
}

int store_index_packs(
	struct store *s, struct pack *const *packs, unsigned count, const char *session, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	int r = store_lock_packs(s, false, &lock, err);

	return r < 0 ? r : store_index_there(s, packs, count, session, err);
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
	r = lock_index(s, &fd, err);
	if (r == 0)
		r = index_complete(s->index, err);
	if (r == 0 || r == -ERROR_CORRUPT)
		return fill_index(s, r < 0, progress, err);
	return r < 0 ? r : 0;
}

int store_renew_index(struct store *s, const struct progress *progress, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = lock_index(s, &fd, err);

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

static int open_any(struct store *s, const struct progress *progress, struct error *err)
{
	int r = open_index(s, err);

	return r < 0 ? r : complete_index(s, progress, err);
}

int store_index_open(struct store *s, const struct progress *progress, struct error *err)
{
	int r = open_any(s, progress, err);

	if (r == 0 || !s->read_only || r == -ERROR_NO_MEMORY)
		return r;
	index_close(TAKE_PTR(s->index));
	r = open_scratch(s, err);
	return r < 0 ? r : complete_index(s, progress, err);
}

void store_index_close(struct store *s)
{
	index_close(s->index);
	if (s->scratch)
		(void)fs_remove_tree(AT_FDCWD, s->scratch, NULL);
	free(s->scratch);
}
