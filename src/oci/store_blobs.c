/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: opened by digest, taken in, published. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "oci/store_parts.h"
#include "os/fs.h"

const char *store_path(const struct store *s)
{
	return s->path;
}

const char *store_home(const struct store *s)
{
	return s->home;
}

int store_hold_add(struct store_hold *hold, int fd, struct error *err)
{
	int *more = reallocarray(hold->fds, hold->count + 1, sizeof *more);

	if (!more) {
		close(fd);
		return error_no_memory(err, "hold a blob");
	}
	hold->fds = more;
	hold->fds[hold->count++] = fd;
	return 0;
}

void store_hold_free(struct store_hold *hold)
{
	for (size_t i = 0; i < hold->count; i++)
		close(hold->fds[i]);
	free(hold->fds);
	*hold = (struct store_hold){0};
}

int store_lock_sweep(const struct store *s, bool exclusive, int *fd, struct error *err)
{
	_cleanup_fd_ int directory = fs_open(AT_FDCWD, s->path, O_RDONLY | O_DIRECTORY, 0, err);

	if (directory < 0)
		return directory;
	return fs_lock(
		directory, "sweep.lock", exclusive ? FS_LOCK_EXCLUSIVE : FS_LOCK_SHARED, true, fd, err);
}

/* ---- read ------------------------------------------------------------------------------------------- */

int store_blob_open(const struct store *s, const char *digest, int *out, uint64_t *size, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	struct stat st;
	int r;

	if (!oci_digest_valid(digest))
		return error_set(err, ERROR_INVALID, "'%s' is not a digest", digest);
	fd = openat(s->blobs, store_blob_name(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return error_set(err, ERROR_NOT_FOUND, "the store has no blob %s", digest);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "open the blob %s", digest);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_CORRUPT, "the blob %s is not a file", digest);
	r = store_lock_shared(fd, err);
	if (r < 0)
		return r;
	if (!store_same_file(s->blobs, store_blob_name(digest), fd))
		return error_set(err, ERROR_NOT_FOUND, "the blob %s was removed this moment", digest);
	*size = (uint64_t)st.st_size;
	*out = TAKE_FD(fd);
	return 0;
}

int store_blob_read(const struct store *s, const char *digest, size_t limit, struct buffer *out, int *held,
	struct error *err)
{
	_cleanup_fd_ int fd = -1;
	char found[SHA256_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	uint64_t size;
	int r = store_blob_open(s, digest, &fd, &size, err);

	buffer_clear(out);
	if (r == 0)
		r = fs_read_fd(fd, digest, limit, out, err);
	if (r == 0)
		r = sha256_of(out->data, out->size, hash, err);
	if (r < 0)
		return r;
	if (strcmp(sha256_digest(hash, found), digest) != 0)
		return error_set(err, ERROR_CORRUPT,
			"the blob %s is damaged (its digest is %s): run 'monocore image check --repair'",
			digest, found);
	if (held)
		*held = TAKE_FD(fd);
	return 0;
}

/* ---- take in ---------------------------------------------------------------------------------------- */

int store_ingest_start(const struct store *s, struct store_ingest *in, struct error *err)
{
	uint64_t random;
	int r;

	*in = (struct store_ingest){.store = s, .fd = -1};
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return error_set(err, ERROR_SYSTEM, "get random bytes");
	snprintf(in->name, sizeof in->name, "blob-%016llx", (unsigned long long)random);
	r = sha256_init(&in->hash, err);
	return r < 0 ? r : fs_lock(s->temporary, in->name, FS_LOCK_EXCLUSIVE, true, &in->fd, err);
}

int store_ingest_write(struct store_ingest *in, const void *bytes, size_t n, struct error *err)
{
	sha256_update(&in->hash, bytes, n);
	in->size += n;
	return fs_write_all(in->fd, bytes, n, "a blob of the store", err);
}

/* Whether the blob is there already, as large as `fd`: then fd becomes a descriptor of that one. It may have
 * come this moment, and who brought it has locked it and not this one: so it must not be replaced. */
static bool is_there_already(const struct store *s, const char *digest, int fd)
{
	_cleanup_fd_ int there = -1;
	struct stat st;
	uint64_t size;

	return store_blob_open(s, digest, &there, &size, NULL) == 0 && fstat(fd, &st) == 0 &&
	       (uint64_t)st.st_size == size && dup3(there, fd, O_CLOEXEC) == fd;
}

static int rename_new(int from, const char *name, int to, const char *other)
{
	if (renameat2(from, name, to, other, RENAME_NOREPLACE) == 0)
		return 0;
	/* File systems that do not know the flag have links. */
	if (errno != EINVAL || linkat(from, name, to, other, 0) < 0)
		return -1;
	unlinkat(from, name, 0);
	return 0;
}

/* Syncs fd, which is directory/name, renames it to its digest and makes it read-only: in this order, since
 * what is killed in between must be able to be opened for writing again. fd may be a descriptor of another
 * file afterwards, that of the blob. */
static int place(
	const struct store *s, int directory, const char *name, const char *digest, int fd, struct error *err)
{
	const char *blob = store_blob_name(digest);
	_cleanup_fd_ int sweep = -1;
	int r;

	if (fsync(fd) < 0)
		return error_errno(err, errno, "sync the blob %s", digest);
	r = store_lock_sweep(s, false, &sweep, err);
	if (r < 0)
		return r;
	if (rename_new(directory, name, s->blobs, blob) < 0) {
		if (errno == EEXIST && is_there_already(s, digest, fd)) {
			unlinkat(directory, name, 0);
			return 0;
		}
		if (errno != EEXIST || renameat(directory, name, s->blobs, blob) < 0)
			return error_errno(err, errno, "keep the blob %s", digest);
	}
	if (fchmod(fd, 0400) < 0 || fsync(s->blobs) < 0)
		return error_errno(err, errno, "keep the blob %s", digest);
	return store_lock_shared(fd, err);
}

int store_ingest_finish(struct store_ingest *in, const char *expected, char digest[OCI_DIGEST_SIZE], int *fd,
	struct error *err)
{
	uint8_t hash[SHA256_SIZE];
	uint64_t size;
	int r = sha256_final(&in->hash, hash, err);

	if (r < 0)
		return r;
	sha256_digest(hash, digest);
	if (expected && strcmp(expected, digest) != 0)
		return error_set(err, ERROR_CORRUPT, "blob %s: its digest is %s: it was damaged or replaced",
			expected, digest);
	/* One that is there and whole in size is as good, and somebody may be reading it. */
	if (store_blob_open(in->store, digest, fd, &size, NULL) == 0) {
		if (size == in->size)
			return 0;
		close(*fd);
	}
	r = place(in->store, in->store->temporary, in->name, digest, in->fd, err);
	if (r == 0)
		*fd = TAKE_FD(in->fd);
	return r;
}

void store_ingest_free(struct store_ingest *in)
{
	sha256_free(&in->hash);
	if (in->fd < 0)
		return;
	unlinkat(in->store->temporary, in->name, 0);
	close(in->fd);
	in->fd = -1;
}

int store_blob_put(const struct store *s, const void *bytes, size_t n, const char *expected,
	char digest[OCI_DIGEST_SIZE], int *fd, struct error *err)
{
	_cleanup_ingest_ struct store_ingest in = {.fd = -1};
	int r = store_ingest_start(s, &in, err);

	if (r == 0)
		r = store_ingest_write(&in, bytes, n, err);
	return r < 0 ? r : store_ingest_finish(&in, expected, digest, fd, err);
}

/* ---- fetched ---------------------------------------------------------------------------------------- */

int store_partial_open(const struct store *s, const char *digest, bool wait, int *fd, struct error *err)
{
	return fs_lock(s->partial, store_blob_name(digest), FS_LOCK_EXCLUSIVE, wait, fd, err);
}

void store_partial_drop(const struct store *s, const char *digest)
{
	unlinkat(s->partial, store_blob_name(digest), 0);
}

int store_partial_publish(const struct store *s, const char *digest, int fd, struct error *err)
{
	return place(s, s->partial, store_blob_name(digest), digest, fd, err);
}
