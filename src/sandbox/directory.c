/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/fs.h"
#include "sandbox/draft.h"
#include "sandbox/event_log.h"

#define NEW_PREFIX   ".new-"
#define TRASH_PREFIX ".trash-"

void directory_close(struct directory *d)
{
	if (d->fd >= 0)
		close(TAKE_FD(d->fd));
	if (d->lock >= 0)
		close(TAKE_FD(d->lock));
}

bool sandbox_name_valid(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strlen(name);

	return n > 0 && n <= 63 && strchr(first, name[0]) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

static int random_id(char id[SANDBOX_ID_SIZE], struct error *err)
{
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) < 0)
		return error_errno(err, errno, "get random bytes");
	snprintf(id, SANDBOX_ID_SIZE, "%015llx", (unsigned long long)(random >> 4));
	return 0;
}

int directory_create(const struct home *home, struct directory *d, struct error *err)
{
	char name[SANDBOX_ID_SIZE + sizeof NEW_PREFIX];
	int r = random_id(d->id, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof name, NEW_PREFIX "%s", d->id);
	r = draft_make(home->sandboxes, name, &d->fd, &d->lock, err);
	return r < 0 ? error_prefix(err, "%s/sandboxes", home->path) : 0;
}

/* Reads what a name leads to. False: nothing, or nothing that is there. */
static bool name_resolve(const struct home *home, const char *name, char id[SANDBOX_ID_SIZE])
{
	char target[SANDBOX_ID_SIZE];
	ssize_t n = readlinkat(home->names, name, target, sizeof target);

	if (n != SANDBOX_ID_SIZE - 1)
		return false;
	target[n] = 0;
	memcpy(id, target, sizeof target);
	return faccessat(home->sandboxes, id, F_OK, 0) == 0;
}

static int name_take(const struct home *home, const char *name, const char *id, struct error *err)
{
	char other[SANDBOX_ID_SIZE];

	if (symlinkat(id, home->names, name) == 0)
		return 0;
	if (errno != EEXIST)
		return error_errno(err, errno, "name the sandbox %s", name);
	if (name_resolve(home, name, other))
		return error_set(err, ERROR_EXISTS,
			"a sandbox named '%s' is there already: choose another name, or remove it with "
			"'monocore rm %s'",
			name, name);
	unlinkat(home->names, name, 0);
	if (symlinkat(id, home->names, name) < 0)
		return error_errno(err, errno, "name the sandbox %s", name);
	return 0;
}

int directory_publish(
	const struct home *home, struct directory *d, const char *name, bool durable, struct error *err)
{
	char temporary[SANDBOX_ID_SIZE + sizeof NEW_PREFIX];
	_cleanup_fd_ int names_lock = -1;
	int r = fs_lock(home->names, ".lock", FS_LOCK_EXCLUSIVE, true, &names_lock, err);

	snprintf(temporary, sizeof temporary, NEW_PREFIX "%s", d->id);
	if (r == 0 && renameat(home->sandboxes, temporary, home->sandboxes, d->id) < 0)
		r = error_errno(err, errno, "make sandbox %s", d->id);
	if (r == 0 && (r = name_take(home, name, d->id, err)) < 0)
		fs_remove_tree(home->sandboxes, d->id, NULL);
	if (r < 0)
		fs_remove_tree(home->sandboxes, temporary, NULL);
	else if (durable && (fsync(d->fd) < 0 || fsync(home->sandboxes) < 0 || fsync(home->names) < 0))
		r = error_errno(err, errno, "sync %s/sandboxes", home->path);
	return r;
}

static bool is_id_prefix(const char *text)
{
	size_t n = strlen(text);

	return n >= 4 && n < SANDBOX_ID_SIZE && strspn(text, "0123456789abcdef") == n;
}

static int find_by_prefix(
	const struct home *home, const char *prefix, char id[SANDBOX_ID_SIZE], struct error *err)
{
	_cleanup_text_list_ char **ids = NULL;
	size_t found = 0;
	int r = directory_list(home, &ids, err);

	for (size_t i = 0; r == 0 && ids && ids[i]; i++)
		if (text_starts(ids[i], prefix) && ++found == 1)
			snprintf(id, SANDBOX_ID_SIZE, "%s", ids[i]);
	if (found > 1)
		return error_set(
			err, ERROR_INVALID, "'%s' is the start of %zu ids: write more of it", prefix, found);
	return r < 0 ? r : found ? 0 : -ERROR_NOT_FOUND;
}

static int no_such_sandbox(const struct home *home, const char *name, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	_cleanup_list_ DIR *list = NULL;
	const char *nearest;

	fs_list_open(home->names, ".", &list, NULL);
	for (const char *other; (other = fs_list_next(list));)
		if (other[0] != '.')
			text_list_add(&names, other, NULL);
	nearest = names ? text_nearest(name, (const char *const *)names) : NULL;
	if (nearest)
		return error_set(err, ERROR_NOT_FOUND, "no sandbox '%s': did you mean '%s'?", name, nearest);
	return error_set(
		err, ERROR_NOT_FOUND, "no sandbox '%s': 'monocore ps -a' lists those there are", name);
}

int directory_find(const struct home *home, const char *name, struct directory *d, struct error *err)
{
	int r = 0;

	if (!sandbox_name_valid(name))
		return error_set(err, ERROR_INVALID, "'%s' is not a sandbox's name", name);
	if (!name_resolve(home, name, d->id)) {
		r = is_id_prefix(name) ? find_by_prefix(home, name, d->id, err) : -ERROR_NOT_FOUND;
		if (r == -ERROR_NOT_FOUND)
			return no_such_sandbox(home, name, err);
	}
	if (r < 0)
		return r;
	d->fd = openat(home->sandboxes, d->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0 && errno == ENOENT)
		return no_such_sandbox(home, name, err);
	return d->fd < 0 ? error_errno(err, errno, "open sandbox %s", name) : 0;
}

int directory_lock(struct directory *d, bool wait, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	int r = 0;

	/* Whoever asks "is it locked?" holds a shared lock for an instant: that is not "in use". */
	for (int i = 0; i < 20; i++) {
		r = fs_lock(d->fd, "lock", FS_LOCK_EXCLUSIVE, wait, &d->lock, err);
		if (r != -ERROR_BUSY)
			break;
		nanosleep(&pause, NULL);
	}
	return r;
}

bool directory_is_locked(const struct directory *d)
{
	return fs_is_locked(d->fd, "lock");
}

int directory_remove(const struct home *home, struct directory *d, const char *name, struct error *err)
{
	char trash[SANDBOX_ID_SIZE + sizeof TRASH_PREFIX], id[SANDBOX_ID_SIZE];
	_cleanup_record_ struct record record = {0};
	_cleanup_fd_ int names_lock = -1;
	bool known = record_read(d->fd, &record, NULL) == 0;
	int r = fs_lock(home->names, ".lock", FS_LOCK_EXCLUSIVE, true, &names_lock, err);

	if (r < 0)
		return r;
	snprintf(trash, sizeof trash, TRASH_PREFIX "%s", d->id);
	if (name && name_resolve(home, name, id) && !strcmp(id, d->id))
		unlinkat(home->names, name, 0);
	r = renameat(home->sandboxes, d->id, home->sandboxes, trash);
	if (r < 0 && errno != ENOENT)
		return error_errno(err, errno, "remove sandbox %s", d->id);
	if (r == 0 && known)
		event_tell_sandbox(home, d->id, &record, "remove", NULL, NULL);
	return fs_remove_tree(home->sandboxes, trash, err);
}

int directory_list(const struct home *home, char ***ids, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(home->sandboxes, ".", &list, err);

	for (const char *id; r == 0 && (id = fs_list_next(list));)
		if (id[0] != '.')
			r = text_list_add(ids, id, err);
	return r;
}

/* A throw-away sandbox whose supervisor is gone. */
static void sweep_discarded(const struct home *home, const char *id)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};

	d.fd = openat(home->sandboxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d.fd < 0 || faccessat(d.fd, "discard", F_OK, 0) < 0 || directory_lock(&d, false, NULL) < 0)
		return;
	snprintf(d.id, sizeof d.id, "%s", id);
	directory_remove(home, &d, record_read(d.fd, &record, NULL) == 0 ? record.name : NULL, NULL);
}

static void sweep_names(const struct home *home)
{
	_cleanup_fd_ int lock = -1;
	_cleanup_list_ DIR *list = NULL;
	char id[SANDBOX_ID_SIZE];

	if (fs_lock(home->names, ".lock", FS_LOCK_EXCLUSIVE, true, &lock, NULL) < 0)
		return;
	fs_list_open(home->names, ".", &list, NULL);
	for (const char *name; (name = fs_list_next(list));)
		if (name[0] != '.' && !name_resolve(home, name, id))
			unlinkat(home->names, name, 0);
}

int directory_sweep(const struct home *home, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(home->sandboxes, ".", &list, err);

	if (r < 0)
		return r;
	for (const char *name; (name = fs_list_next(list));)
		if (text_starts(name, NEW_PREFIX) || text_starts(name, TRASH_PREFIX))
			draft_sweep(home->sandboxes, name);
		else if (name[0] != '.')
			sweep_discarded(home, name);
	sweep_names(home);
	return 0;
}
