/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/repository.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "monofs/repository_parts.h"
#include "os/fs.h"

int repository_prepare(const struct format *f, struct repository_secrets *s, struct error *err)
{
	int r = crypt_init(&s->crypt, f->encrypted ? s->keys.base : NULL, &f->sizes, err);

	for (uint32_t i = 0; r == 0 && f->encrypted && i < s->keys.root_count; i++)
		r = crypt_add_epoch(&s->crypt, s->keys.roots[i], err);
	return r;
}

/* ---- open and close --------------------------------------------------------------------------------- */

static int open_format(struct repository *r, struct error *err)
{
	int result = format_read(r->directory, &r->format, err);

	if (result == -ERROR_NOT_FOUND)
		return error_set(err, ERROR_NOT_FOUND, "%s is no monofs repository", r->path);
	if (result == 0 && r->format.sizes.max > object_type_most(OBJECT_CHUNK))
		result = error_set(err, ERROR_UNAVAILABLE,
			"its chunks have up to %u bytes, at most %u are read", r->format.sizes.max,
			object_type_most(OBJECT_CHUNK));
	return result;
}

static int open_secrets(struct repository *r, const struct repository_secret *secret, struct error *err)
{
	int result = 0;

	if (sodium_init() < 0)
		return error_set(err, ERROR_SYSTEM, "use libsodium: it found no source of randomness");
	r->secrets = sodium_malloc(sizeof *r->secrets);
	if (!r->secrets)
		return error_no_memory(err, "open a repository");
	memset(r->secrets, 0, sizeof *r->secrets);
	if (r->format.encrypted)
		result = keys_open(r->directory, r->format.id, secret, &r->secrets->keys, err);
	return result < 0 ? result : repository_prepare(&r->format, r->secrets, err);
}

static int open_parts(struct repository *r, const struct repository_secret *secret, bool read_only,
	const struct progress *progress, struct error *err)
{
	int result;

	r->directory = fs_open(AT_FDCWD, r->path, O_RDONLY | O_DIRECTORY, 0, err);
	if (r->directory < 0)
		return r->directory;
	result = open_format(r, err);
	if (result == 0)
		result = open_secrets(r, secret, err);
	if (result == 0)
		result = format_replica(r->directory, !read_only, &r->replica, err);
	if (result == 0)
		result = store_open_at(r->directory, &r->secrets->crypt, read_only, progress, &r->store, err);
	return result;
}

int repository_open(const char *path, const struct repository_secret *secret, bool read_only,
	const struct progress *progress, struct repository **out, struct error *err)
{
	_cleanup_(cleanup_repository) struct repository *r = calloc(1, sizeof *r);
	int result;

	if (!r)
		return error_no_memory(err, "open a repository");
	r->directory = -1;
	r->path = realpath(path, NULL);
	if (!r->path && errno == ENOENT)
		return error_set(err, ERROR_NOT_FOUND, "there is no repository %s", path);
	if (!r->path)
		return error_errno(err, errno, "open the repository %s", path);
	result = open_parts(r, secret, read_only, progress, err);
	if (result < 0)
		return result == -ERROR_NOT_FOUND ? result
						  : error_prefix(err, "open the repository %s", path);
	*out = TAKE_PTR(r);
	return 0;
}

void repository_close(struct repository *r)
{
	if (!r)
		return;
	store_close(r->store);
	if (r->secrets)
		sodium_free(r->secrets);
	if (r->directory >= 0)
		close(r->directory);
	free(r->path);
	free(r);
}

int repository_is_encrypted(const char *path, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	struct format f;
	int r;

	if (fd < 0)
		return fd;
	r = format_read(fd, &f, err);
	if (r == -ERROR_NOT_FOUND)
		return error_set(err, ERROR_NOT_FOUND, "%s is no monofs repository", path);
	return r < 0 ? error_prefix(err, "open the repository %s", path) : f.encrypted;
}

/* ---- what it has ------------------------------------------------------------------------------------ */

struct store *repository_store(struct repository *r)
{
	return r->store;
}

const struct crypt *repository_crypt(struct repository *r)
{
	return &r->secrets->crypt;
}

int repository_directory(struct repository *r)
{
	return r->directory;
}

const char *repository_path(struct repository *r)
{
	return r->path;
}

uint64_t repository_replica(struct repository *r)
{
	return r->replica;
}

const uint8_t *repository_id(struct repository *r)
{
	return r->format.id;
}

const uint8_t *repository_master(struct repository *r)
{
	return r->format.encrypted ? r->secrets->keys.master : NULL;
}

/* ---- the clock -------------------------------------------------------------------------------------- */

uint64_t repository_clock(struct repository *r)
{
	uint64_t now = clock_realtime() / MILLISECONDS(1) << 16;
	uint64_t last = atomic_load(&r->clock), next;

	do
		next = now > last ? now : last + 1;
	while (!atomic_compare_exchange_weak(&r->clock, &last, next));
	return next;
}

void repository_saw(struct repository *r, uint64_t clock)
{
	uint64_t last = atomic_load(&r->clock);

	while (clock > last && !atomic_compare_exchange_weak(&r->clock, &last, clock))
		;
}

/* ---- main ------------------------------------------------------------------------------------------- */

#define WHO_MAX 256u

static int say_who(struct repository *r, struct error *err)
{
	_cleanup_buffer_ struct buffer who = {0};

	(void)fs_read_regular(r->directory, "locks/main", WHO_MAX, &who, NULL);
	return error_set(err, ERROR_BUSY, "the repository %s is in use: %.*s", r->path,
		who.size ? (int)who.size : 16, who.size ? (const char *)who.data : "by somebody else");
}

int repository_claim(struct repository *r, const char *who, int *fd, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	int result = fs_lock(r->directory, "locks/main", FS_LOCK_EXCLUSIVE, false, &lock, err);

	if (result == -ERROR_BUSY)
		return say_who(r, err);
	if (result < 0)
		return result;
	if (ftruncate(lock, 0) < 0)
		return error_errno(err, errno, "claim the repository %s", r->path);
	result = fs_write_all(lock, who, strnlen(who, WHO_MAX), "locks/main", err);
	if (result == 0)
		*fd = TAKE_FD(lock);
	return result;
}
