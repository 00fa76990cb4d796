/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "net/control.h"
#include "net/groups.h"
#include "os/fs.h"
#include "os/sparse.h"
#include "sandbox/draft.h"
#include "sandbox/json_file.h"
#include "sandbox/network.h"
#include "sandbox/snapshot_format.h"

#define INFO       "snapshot.json"
#define NEW_PREFIX ".new-"
#define OLD_PREFIX ".old-"
#define SMALL_MAX  (80u << 20)

/* Of what little is read at every start the bytes are checked; what is large has its time, or else its bytes.
 */
static const struct {
	const char *name;
	bool small, optional;
} parts[] = {{SNAPSHOT_MEMORY, false, true}, {SNAPSHOT_DISK, false, true}, {SNAPSHOT_VOLUMES, true, true},
	{SNAPSHOT_STATE, true}, {SNAPSHOT_HELLO, true}, {SNAPSHOT_WAITING, true}, {SNAPSHOT_MACHINE, true}};

/* ---- making ------------------------------------------------------------------------------------------- */

int snapshot_draft_open(const struct home *home, struct snapshot_draft *d, struct error *err)
{
	uint64_t random;
	int r;

	*d = SNAPSHOT_DRAFT_NONE;
	if (getrandom(&random, sizeof random, 0) < 0)
		return error_errno(err, errno, "get random bytes");
	snprintf(d->name, sizeof d->name, NEW_PREFIX "%016llx", (unsigned long long)random);
	r = draft_make(home->snapshots, d->name, &d->fd, &d->lock, err);
	return r < 0 ? error_prefix(err, "%s/snapshots", home->path) : 0;
}

static int digest(int fd, const char *name, char out[SHA256_HEX_SIZE], struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	uint8_t hash[SHA256_SIZE];
	int r = fs_read_file(fd, name, SMALL_MAX, &bytes, err);

	if (r == 0)
		r = sha256_of(bytes.data, bytes.size, hash, err);
	if (r == 0)
		sha256_hex(hash, out);
	return r;
}

static json_int_t mtime_of(const struct stat *st)
{
	return st->st_mtim.tv_sec * (json_int_t)NANOSECONDS_PER_SECOND + st->st_mtim.tv_nsec;
}

static int describe_part(int fd, size_t i, bool durable, json_t *list, struct error *err)
{
	_cleanup_fd_ int part = openat(fd, parts[i].name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char hash[SHA256_HEX_SIZE] = "";
	struct stat st;
	int r = 0;

	if (part < 0)
		return errno == ENOENT && parts[i].optional ? 0
							    : error_errno(err, errno, "%s", parts[i].name);
	if (fchmod(part, 0400) < 0 || fstat(part, &st) < 0 || (durable && fsync(part) < 0))
		return error_errno(err, errno, "write a snapshot's %s", parts[i].name);
	if (parts[i].small)
		r = digest(fd, parts[i].name, hash, err);
	else if (durable)
		r = sparse_digest(part, parts[i].name, hash, err);
	if (r == 0 && json_object_set_new(list, parts[i].name,
			      json_pack("{s:I, s:I, s:s}", "size", (json_int_t)st.st_size, "mtime",
				      mtime_of(&st), "sha256", hash)) < 0)
		r = error_no_memory(err, "describe a snapshot");
	return r;
}

static int describe(int fd, bool durable, struct error *err)
{
	_cleanup_json_ json_t *list = json_object(), *info = NULL;
	int r = list ? 0 : error_no_memory(err, "describe a snapshot");

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = describe_part(fd, i, durable, list, err);
	if (r < 0)
		return r;
	info = json_pack("{s:i, s:I, s:O}", "version", SNAPSHOT_VERSION, "created",
		(json_int_t)clock_realtime(), "files", list);
	return info ? json_file_write(fd, INFO, info, durable, err)
		    : error_no_memory(err, "describe a snapshot");
}

int snapshot_draft_finish(
	struct snapshot_draft *d, int sandbox, const struct record *record, bool durable, struct error *err)
{
	_cleanup_network_ struct network network = {0};
	int r = record_write(d->fd, record, durable, err);

	if (r == 0)
		r = network_read(sandbox, &network, err);
	if (r == 0)
		r = network_write(d->fd, &network, durable, err);
	return r == 0 ? describe(d->fd, durable, err) : r;
}

int snapshot_draft_publish(
	const struct home *home, struct snapshot_draft *d, const char *tag, struct error *err)
{
	if (renameat2(home->snapshots, d->name, home->snapshots, tag, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? error_set(err, ERROR_EXISTS,
						 "a snapshot '%s' is there already: choose another tag, or "
						 "remove it with 'monocore snapshots rm %s'",
						 tag, tag)
				       : error_errno(err, errno, "name a snapshot '%s'", tag);
	d->name[0] = '\0';
	return fsync(home->snapshots) < 0 ? error_errno(err, errno, "name a snapshot '%s'", tag) : 0;
}

void snapshot_draft_close(const struct home *home, struct snapshot_draft *d)
{
	if (d->fd >= 0 && *d->name)
		fs_remove_tree(home->snapshots, d->name, NULL);
	if (d->fd >= 0)
		close(d->fd);
	if (d->lock >= 0)
		close(d->lock);
	*d = SNAPSHOT_DRAFT_NONE;
}

/* ---- finding ------------------------------------------------------------------------------------------ */

static int no_such_snapshot(const struct home *home, const char *tag, struct error *err)
{
	_cleanup_text_list_ char **tags = NULL;
	const char *nearest = NULL;

	if (snapshot_list(home, &tags, NULL) == 0 && tags)
		nearest = text_nearest(tag, (const char *const *)tags);
	if (nearest)
		return error_set(err, ERROR_NOT_FOUND, "no snapshot '%s': did you mean '%s'?", tag, nearest);
	return error_set(
		err, ERROR_NOT_FOUND, "no snapshot '%s': 'monocore snapshots ls' lists those there are", tag);
}

int snapshot_open(const struct home *home, const char *tag, int *fd, struct error *err)
{
	if (!sandbox_name_valid(tag))
		return error_set(err, ERROR_INVALID, "'%s' is not a snapshot's tag", tag);
	*fd = openat(home->snapshots, tag, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	return errno == ENOENT ? no_such_snapshot(home, tag, err)
			       : error_errno(err, errno, "open snapshot '%s'", tag);
}

void snapshot_info_free(struct snapshot_info *info)
{
	free(info->sandbox);
	free(info->image);
	*info = (struct snapshot_info){0};
}

static uint64_t size_on_disk(int fd)
{
	uint64_t sum = 0;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (fstatat(fd, parts[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += (uint64_t)st.st_blocks * 512;
	return sum;
}

static int read_info(int fd, json_t **info, struct error *err)
{
	int r = json_file_read(fd, INFO, info, err);

	if (r < 0)
		return error_prefix(err, "the snapshot");
	if (json_integer_value(json_object_get(*info, "version")) != SNAPSHOT_VERSION)
		return error_set(err, ERROR_CORRUPT, "the snapshot is of another version");
	return 0;
}

int snapshot_examine(int fd, struct snapshot_info *info, struct error *err)
{
	_cleanup_json_ json_t *json = NULL;
	_cleanup_record_ struct record record = {0};
	int r = read_info(fd, &json, err);

	*info = (struct snapshot_info){0};
	if (r == 0)
		r = record_read(fd, &record, err);
	if (r < 0)
		return r;
	*info = (struct snapshot_info){.sandbox = TAKE_PTR(record.name),
		.image = TAKE_PTR(record.image),
		.created = (uint64_t)json_integer_value(json_object_get(json, "created")),
		.memory = record.memory,
		.size = size_on_disk(fd)};
	return 0;
}

int snapshot_list(const struct home *home, char ***tags, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(home->snapshots, ".", &list, err);

	for (const char *tag; r == 0 && (tag = fs_list_next(list));)
		if (tag[0] != '.')
			r = text_list_add(tags, tag, err);
	return r;
}

int snapshot_remove(const struct home *home, const char *tag, struct error *err)
{
	_cleanup_free_ char *old = text_format(err, OLD_PREFIX "%s", tag);
	_cleanup_fd_ int fd = -1;
	int r = old ? snapshot_open(home, tag, &fd, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = fs_remove_tree(home->snapshots, old, err);
	if (r < 0)
		return r;
	if (renameat(home->snapshots, tag, home->snapshots, old) < 0)
		return error_errno(err, errno, "remove snapshot '%s'", tag);
	return fs_remove_tree(home->snapshots, old, err);
}

void snapshot_sweep(const struct home *home)
{
	_cleanup_list_ DIR *list = NULL;

	if (fs_list_open(home->snapshots, ".", &list, NULL) < 0)
		return;
	for (const char *name; (name = fs_list_next(list));)
		if (text_starts(name, NEW_PREFIX) || text_starts(name, OLD_PREFIX))
			draft_sweep(home->snapshots, name);
}

/* ---- what a sandbox gets of it ------------------------------------------------------------------------ */

static int not_whole(const char *part, struct error *err)
{
	return error_set(err, ERROR_CORRUPT, "the snapshot is not whole: its %s is damaged or missing", part);
}

/* A large one that was not written since, or, as in a copy of all, has the same bytes. */
static bool is_same(int fd, size_t i, const struct stat *st, const json_t *entry)
{
	const char *wanted = json_string_value(json_object_get(entry, "sha256"));
	_cleanup_fd_ int part = -1;
	char hash[SHA256_HEX_SIZE];

	if (mtime_of(st) == json_integer_value(json_object_get(entry, "mtime")))
		return true;
	part = openat(fd, parts[i].name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return part >= 0 && sparse_digest(part, parts[i].name, hash, NULL) == 0 && !strcmp(hash, wanted);
}

static int check_part(int fd, size_t i, const json_t *files, struct error *err)
{
	const json_t *entry = json_object_get(files, parts[i].name);
	const char *wanted = json_string_value(json_object_get(entry, "sha256"));
	char hash[SHA256_HEX_SIZE] = "";
	struct stat st;
	bool there = fstatat(fd, parts[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (!entry && !there && parts[i].optional)
		return 0;
	if (!there || !S_ISREG(st.st_mode) || !wanted ||
		st.st_size != json_integer_value(json_object_get(entry, "size")) ||
		(parts[i].small && (digest(fd, parts[i].name, hash, NULL) < 0 || strcmp(hash, wanted))) ||
		(!parts[i].small && !is_same(fd, i, &st, entry)))
		return not_whole(parts[i].name, err);
	return 0;
}

int snapshot_check(int fd, const struct record *record, struct error *err)
{
	_cleanup_json_ json_t *info = NULL;
	const json_t *files;
	int r = read_info(fd, &info, err);

	files = json_object_get(info, "files");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = check_part(fd, i, files, err);
	if (r == 0 && (!json_object_get(files, SNAPSHOT_MEMORY) ||
			      (record_has_disk(record) && !json_object_get(files, SNAPSHOT_DISK))))
		r = not_whole("memory or disk", err);
	return r;
}

/* fresh: it may boot instead. */
static int link_parts(int fd, const struct directory *d, bool fresh, struct error *err)
{
	_cleanup_fd_ int to = -1, marker = -1;

	if (mkdirat(d->fd, SNAPSHOT_RESUME, 0700) < 0)
		return error_errno(err, errno, "make a sandbox of a snapshot");
	to = fs_open(d->fd, SNAPSHOT_RESUME, O_RDONLY | O_DIRECTORY, 0, err);
	if (to < 0)
		return to;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strcmp(parts[i].name, SNAPSHOT_DISK) &&
			linkat(fd, parts[i].name, to, parts[i].name, 0) < 0 &&
			!(errno == ENOENT && parts[i].optional))
			return error_errno(err, errno, "take over a snapshot's %s", parts[i].name);
	if (fresh)
		marker = fs_open(to, SNAPSHOT_FRESH, O_WRONLY | O_CREAT, 0600, err);
	return fresh && marker < 0 ? marker : 0;
}

static int copy_disk(int fd, const struct directory *d, struct error *err)
{
	_cleanup_fd_ int from = fs_open(fd, SNAPSHOT_DISK, O_RDONLY | O_NOFOLLOW, 0, err);
	_cleanup_fd_ int to = -1;

	if (from < 0)
		return from;
	to = fs_open(d->fd, "disk", O_RDWR | O_CREAT | O_EXCL, 0600, err);
	return to < 0 ? to : sparse_copy(from, to, "a snapshot's disk", err);
}

/* The memory goes with the disk as it is now. */
static int mark_disk(const struct directory *d, struct error *err)
{
	_cleanup_fd_ int resume = fs_open(d->fd, SNAPSHOT_RESUME, O_RDONLY | O_DIRECTORY, 0, err);
	_cleanup_json_ json_t *mark = NULL;
	struct stat st;

	if (resume < 0)
		return resume;
	if (fstatat(d->fd, "disk", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "look at the sandbox's disk");
	mark = json_pack("{s:I}", "mtime", mtime_of(&st));
	return mark ? json_file_write(resume, SNAPSHOT_MARK, mark, false, err)
		    : error_no_memory(err, "make a sandbox of a snapshot");
}

bool snapshot_disk_is_same(int sandbox, int resume)
{
	_cleanup_json_ json_t *mark = NULL;
	struct stat st;

	return json_file_read(resume, SNAPSHOT_MARK, &mark, NULL) == 0 &&
	       fstatat(sandbox, "disk", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       json_integer_value(json_object_get(mark, "mtime")) == mtime_of(&st);
}

int snapshot_give(
	int fd, const struct record *record, bool fresh, const struct directory *d, struct error *err)
{
	int r = link_parts(fd, d, fresh, err);

	if (r < 0 || !record_has_disk(record))
		return r;
	r = copy_disk(fd, d, err);
	return r == 0 ? mark_disk(d, err) : r;
}
