/* SPDX-License-Identifier: Apache-2.0 */
/* A new repository: made under another name beside its own, which it gets when it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "monofs/entry.h"
#include "monofs/repository_parts.h"
#include "os/fs.h"

static int make_directories(int directory, struct error *err)
{
	static const char *const names[] = {"keys", "packs", "journal", "known", "locks", "sessions", NULL};

	for (const char *const *name = names; *name; name++)
		if (mkdirat(directory, *name, 0700) < 0)
			return error_errno(err, errno, "make %s", *name);
	return 0;
}

static struct chunker_sizes sizes_of(const struct repository_new *o)
{
	if (o->sizes.average)
		return o->sizes;
	return (struct chunker_sizes){
		.min = REPOSITORY_MIN, .average = REPOSITORY_AVERAGE, .max = REPOSITORY_MAX};
}

/* All but the first commit. */
static int make_files(
	int directory, const struct repository_new *o, struct repository_secrets *s, struct error *err)
{
	struct format f = {.sizes = sizes_of(o), .encrypted = o->secret};
	int r = make_directories(directory, err);

	randombytes_buf(f.id, sizeof f.id);
	if (r == 0 && f.sizes.max > object_type_most(OBJECT_CHUNK))
		r = error_set(err, ERROR_INVALID, "chunks of %u bytes: at most %u are possible", f.sizes.max,
			object_type_most(OBJECT_CHUNK));
	if (r == 0 && o->secret)
		r = keys_create(directory, f.id, o->secret, o->weak, &s->keys, err);
	if (r == 0)
		r = repository_prepare(&f, s, err);
	if (r == 0)
		r = format_write(directory, &f, err);
	return r;
}

/* ---- the first revision ------------------------------------------------------------------------------ */

static int put_roots(struct repository *r, struct store_writer *w, struct commit *c, struct error *err)
{
	struct entry root = {.kind = ENTRY_DIRECTORY,
		.mode = 0755,
		.uid = (uint32_t)getuid(),
		.gid = (uint32_t)getgid(),
		.mtime = c->time};
	struct identity identity = {.replica = repository_replica(r), .clock = repository_clock(r)};
	int result;

	randombytes_buf(identity.id, sizeof identity.id);
	result = root_put_content(w, &root, &c->content, err);
	return result < 0 ? result : root_put_identity(w, &identity, &c->identity, err);
}

static int first_commit(struct repository *r, struct error *err)
{
	_cleanup_(cleanup_store_writer) struct store_writer *w = NULL;
	uint64_t now = clock_realtime();
	char none[] = "", message[] = "The empty tree";
	struct commit c = {.automatic = true,
		.author = none,
		.message = message,
		.time = {.seconds = (int64_t)(now / NANOSECONDS_PER_SECOND),
			.nanoseconds = (uint32_t)(now % NANOSECONDS_PER_SECOND)}};
	struct object_id id;
	int result = store_writer_new(repository_store(r), &w, err);

	if (result == 0)
		result = put_roots(r, w, &c, err);
	if (result == 0)
		result = repository_commit(r, w, &c, &id, err);
	return result;
}

static int commit_first(
	const char *path, const struct repository_secrets *s, bool encrypted, struct error *err)
{
	_cleanup_(cleanup_repository) struct repository *r = NULL;
	struct repository_secret secret = {.master = s->keys.master};
	int result = repository_open(path, encrypted ? &secret : NULL, false, NULL, &r, err);

	return result < 0 ? result : first_commit(r, err);
}

static int make(const char *path, const struct repository_new *o, struct error *err)
{
	_cleanup_fd_ int directory = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	struct repository_secrets *s;
	int r;

	if (directory < 0)
		return directory;
	if (sodium_init() < 0)
		return error_set(err, ERROR_SYSTEM, "use libsodium: it found no source of randomness");
	s = sodium_malloc(sizeof *s);
	if (!s)
		return error_no_memory(err, "make a repository");
	memset(s, 0, sizeof *s);
	r = make_files(directory, o, s, err);
	if (r == 0)
		r = commit_first(path, s, o->secret, err);
	if (r == 0)
		r = fsync(directory) < 0 ? error_errno(err, errno, "sync %s", path) : 0;
	sodium_free(s);
	return r;
}

/* ---- its name --------------------------------------------------------------------------------------- */

static int split(const char *path, char **parent, char **name, struct error *err)
{
	_cleanup_free_ char *copy = text_copy(path, err);
	char *slash;

	if (!copy)
		return -ERROR_NO_MEMORY;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/';)
		copy[--n] = 0;
	slash = strrchr(copy, '/');
	*name = text_copy(slash ? slash + 1 : copy, err);
	if (slash)
		slash[slash == copy] = 0;
	*parent = text_copy(slash ? copy : ".", err);
	if (!*name || !*parent)
		return -ERROR_NO_MEMORY;
	return **name ? 0 : error_set(err, ERROR_INVALID, "'%s' is no name of a repository", path);
}

/* A directory takes the place of an empty one alone. */
static int give_name(int parent, const char *temporary, const char *name, const char *path, struct error *err)
{
	if (renameat(parent, temporary, parent, name) < 0)
		return errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR
			       ? error_set(err, ERROR_EXISTS, "%s is there already, and not empty", path)
			       : error_errno(err, errno, "make %s", path);
	return fsync(parent) < 0 ? error_errno(err, errno, "sync what %s is in", path) : 0;
}

int repository_create(const char *path, const struct repository_new *o, struct error *err)
{
	_cleanup_free_ char *parent = NULL, *name = NULL, *temporary = NULL, *full = NULL;
	_cleanup_fd_ int fd = -1;
	int r = split(path, &parent, &name, err);

	if (r < 0)
		return r;
	if (sodium_init() < 0)
		return error_set(err, ERROR_SYSTEM, "use libsodium: it found no source of randomness");
	fd = fs_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return error_prefix(err, "make %s", path);
	temporary = text_format(err, ".%.200s.%08x.new", name, randombytes_random());
	full = temporary ? text_format(err, "%s/%s", parent, temporary) : NULL;
	if (!full)
		return -ERROR_NO_MEMORY;
	if (mkdirat(fd, temporary, 0700) < 0)
		return error_errno(err, errno, "make %s", path);
	r = make(full, o, err);
	if (r == 0)
		r = give_name(fd, temporary, name, path, err);
	if (r < 0)
		(void)fs_remove_tree(fd, temporary, NULL);
	return r < 0 ? error_prefix(err, "make the repository %s", path) : 0;
}
