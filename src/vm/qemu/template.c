/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/qemu/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/fs.h"
#include "os/sparse.h"

#define FORMAT_VERSION 1
#define NEW_PREFIX     ".new-"
#define OLD_PREFIX     ".old-"
#define LOCK_SUFFIX    ".lock"
#define STATE_MAX      (64u << 20)
#define HELLO_MAX      65536
#define INFO_MAX       65536

enum part { PART_MEMORY, PART_STATE, PART_HELLO, PART_COUNT };

static const char *const part_names[PART_COUNT] = {"memory", "state", "hello"};

int template_directory(const char *home, int *fd, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/" TEMPLATES, home);

	if (!path)
		return -ERROR_NO_MEMORY;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make %s", path);
	*fd = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	return *fd < 0 ? *fd : 0;
}

void template_close(struct template *t)
{
	if (t->memory >= 0)
		close(t->memory);
	if (t->state >= 0)
		close(t->state);
	free(t->hello);
	*t = TEMPLATE_NONE;
}

static int digest_bytes(
	int fd, size_t limit, struct buffer *bytes, char out[SHA256_HEX_SIZE], struct error *err)
{
	uint8_t hash[SHA256_SIZE];
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, errno, "read a template");
	r = fs_read_fd(fd, "a template's file", limit, bytes, err);
	if (r == 0)
		r = sha256_of(bytes->data, bytes->size, hash, err);
	if (r == 0)
		sha256_hex(hash, out);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = error_errno(err, errno, "read a template");
	return r;
}

/* Checking */

static int corrupt(const char *key, const char *what, struct error *err)
{
	return error_set(err, ERROR_CORRUPT, "template %.12s: its %s is damaged", key, what);
}

/* One file against its entry in info.json. bytes: where its contents are wanted and digested. */
static int check_part(const json_t *info, enum part part, int fd, const char *key, struct buffer *bytes,
	bool thorough, struct error *err)
{
	const json_t *entry = json_object_get(info, part_names[part]);
	const char *wanted = json_string_value(json_object_get(entry, "sha256"));
	json_int_t size = json_integer_value(json_object_get(entry, "size"));
	json_int_t mtime = json_integer_value(json_object_get(entry, "mtime"));
	char digest[SHA256_HEX_SIZE] = "";
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "look at template %.12s", key);
	if (!wanted || st.st_size != size ||
		(json_int_t)(st.st_mtim.tv_sec * (int64_t)NANOSECONDS_PER_SECOND + st.st_mtim.tv_nsec) !=
			mtime)
		return corrupt(key, part_names[part], err);
	if (bytes)
		r = digest_bytes(fd, part == PART_STATE ? STATE_MAX : HELLO_MAX, bytes, digest, err);
	else if (thorough)
		r = sparse_digest(fd, "a template's memory", digest, err);
	if (r == 0 && *digest && strcmp(digest, wanted))
		r = corrupt(key, part_names[part], err);
	return r;
}

static int read_info(int directory, const char *key, json_t **info, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};
	int r = fs_read_file(directory, "info.json", INFO_MAX, &text, err);

	if (r < 0)
		return corrupt(key, "info.json", err);
	*info = json_loadb((char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
	if (!*info || json_integer_value(json_object_get(*info, "version")) != FORMAT_VERSION)
		return corrupt(key, "info.json", err);
	return 0;
}

static int open_checked(int directory, const char *key, bool thorough, struct template *t, struct error *err)
{
	_cleanup_buffer_ struct buffer state = {0}, hello = {0};
	_cleanup_fd_ int hello_fd = openat(directory, "hello", O_RDONLY | O_CLOEXEC);
	json_t *info = NULL;
	int r = read_info(directory, key, &info, err);

	t->memory = openat(directory, "memory", O_RDONLY | O_CLOEXEC);
	t->state = openat(directory, "state", O_RDONLY | O_CLOEXEC);
	if (r == 0 && (t->memory < 0 || t->state < 0 || hello_fd < 0))
		r = corrupt(key, "directory", err);
	if (r == 0)
		r = check_part(info, PART_MEMORY, t->memory, key, NULL, thorough, err);
	if (r == 0)
		r = check_part(info, PART_STATE, t->state, key, &state, true, err);
	if (r == 0)
		r = check_part(info, PART_HELLO, hello_fd, key, &hello, true, err);
	json_decref(info);
	if (r == 0) {
		t->hello_size = hello.size;
		t->hello = TAKE_PTR(hello.data);
	}
	return r;
}

int template_open(const char *home, const char *key, bool thorough, struct template *t, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/" TEMPLATES "/%s", home, key);
	_cleanup_fd_ int directory = -1;
	struct stat st;
	int r;

	*t = TEMPLATE_NONE;
	snprintf(t->key, sizeof t->key, "%s", key);
	if (!path)
		return -ERROR_NO_MEMORY;
	directory = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (directory < 0)
		return directory;
	if (fstat(directory, &st) < 0)
		return error_errno(err, errno, "look at template %.12s", key);
	t->inode = st.st_ino;
	r = open_checked(directory, key, thorough, t, err);
	if (r < 0) {
		template_close(t);
		t->inode = st.st_ino;
		return r;
	}
	futimens(directory, NULL); /* when it was last used */
	return 0;
}

/* Making */

/* A name that hides the directory from all readers until it is removed. */
static int bury(int templates, const char *key, struct error *err)
{
	char old[sizeof OLD_PREFIX + SHA256_HEX_SIZE];

	snprintf(old, sizeof old, OLD_PREFIX "%s", key);
	if (renameat(templates, key, templates, old) < 0 && errno != ENOENT)
		return error_errno(err, errno, "replace template %.12s", key);
	return fs_remove_tree(templates, old, err);
}

static int lock_key(int templates, const char *key, bool wait, int *lock, struct error *err)
{
	char name[SHA256_HEX_SIZE + sizeof LOCK_SUFFIX];

	snprintf(name, sizeof name, "%s" LOCK_SUFFIX, key);
	return fs_lock(templates, name, FS_LOCK_EXCLUSIVE, wait, lock, err);
}

static int open_file(struct template_draft *d, const char *name, int *fd, struct error *err)
{
	*fd = fs_open(d->directory, name, O_RDWR | O_CREAT | O_EXCL, 0600, err);
	return *fd < 0 ? *fd : 0;
}

int template_draft_restart(struct template_draft *d, struct error *err)
{
	off_t size = lseek(d->memory, 0, SEEK_END);

	if (size < 0 || ftruncate(d->memory, 0) < 0 || ftruncate(d->memory, size) < 0 ||
		ftruncate(d->state, 0) < 0 || lseek(d->state, 0, SEEK_SET) < 0)
		return error_errno(err, errno, "make a template");
	return 0;
}

static int draft_files(struct template_draft *d, uint64_t memory, struct error *err)
{
	char name[sizeof NEW_PREFIX + SHA256_HEX_SIZE];
	int r;

	snprintf(name, sizeof name, NEW_PREFIX "%s", d->key);
	r = fs_remove_tree(d->templates, name, err);
	if (r == 0)
		r = bury(d->templates, d->key, err);
	if (r == 0 && mkdirat(d->templates, name, 0700) < 0)
		r = error_errno(err, errno, "make a template");
	if (r == 0)
		r = d->directory = fs_open(d->templates, name, O_RDONLY | O_DIRECTORY, 0, err);
	if (r >= 0)
		r = open_file(d, "memory", &d->memory, err);
	if (r == 0)
		r = open_file(d, "state", &d->state, err);
	if (r == 0 && ftruncate(d->memory, (off_t)memory) < 0)
		r = error_errno(err, errno, "make a template's memory");
	return r;
}

int template_draft_open(
	const char *home, const char *key, uint64_t memory, struct template_draft *d, struct error *err)
{
	struct template now = TEMPLATE_NONE;
	int r;

	*d = TEMPLATE_DRAFT_NONE;
	snprintf(d->key, sizeof d->key, "%s", key);
	r = template_directory(home, &d->templates, err);
	if (r == 0)
		r = lock_key(d->templates, key, true, &d->lock, err);
	if (r == 0 && template_open(home, key, false, &now, NULL) == 0) {
		template_close(&now);
		r = error_set(err, ERROR_EXISTS, "template %.12s is there", key);
	}
	if (r == 0)
		r = draft_files(d, memory, err);
	if (r < 0)
		template_draft_close(d);
	return r;
}

/* Gives the file its last mode and time, puts it on the disk, and adds what a check will want to info. */
static int seal(int fd, enum part part, const char *digest, json_t *info, struct error *err)
{
	struct stat st;

	if (fchmod(fd, 0400) < 0 || fsync(fd) < 0 || futimens(fd, NULL) < 0 || fsync(fd) < 0 ||
		fstat(fd, &st) < 0)
		return error_errno(err, errno, "write a template's %s", part_names[part]);
	if (json_object_set_new(info, part_names[part],
		    json_pack("{s:I, s:I, s:s}", "size", (json_int_t)st.st_size, "mtime",
			    (json_int_t)(st.st_mtim.tv_sec * (int64_t)NANOSECONDS_PER_SECOND +
					 st.st_mtim.tv_nsec),
			    "sha256", digest)) < 0)
		return error_no_memory(err, "write a template");
	return 0;
}

static int seal_all(struct template_draft *d, int hello, json_t *info, struct error *err)
{
	_cleanup_buffer_ struct buffer state = {0}, words = {0};
	char digest[SHA256_HEX_SIZE];
	int r = sparse_punch(d->memory, "a template's memory", err);

	if (r == 0)
		r = sparse_digest(d->memory, "a template's memory", digest, err);

	if (r == 0)
		r = seal(d->memory, PART_MEMORY, digest, info, err);
	if (r == 0)
		r = digest_bytes(d->state, STATE_MAX, &state, digest, err);
	if (r == 0)
		r = seal(d->state, PART_STATE, digest, info, err);
	if (r == 0)
		r = digest_bytes(hello, HELLO_MAX, &words, digest, err);
	return r == 0 ? seal(hello, PART_HELLO, digest, info, err) : r;
}

static int publish(struct template_draft *d, const json_t *info, struct error *err)
{
	_cleanup_free_ char *text = json_dumps(info, JSON_INDENT(1) | JSON_SORT_KEYS);
	char name[sizeof NEW_PREFIX + SHA256_HEX_SIZE];
	int r = text ? fs_write_atomic(d->directory, "info.json", text, strlen(text), 0400, err)
		     : error_no_memory(err, "write a template");

	snprintf(name, sizeof name, NEW_PREFIX "%s", d->key);
	if (r == 0 && renameat(d->templates, name, d->templates, d->key) < 0)
		r = error_errno(err, errno, "publish a template");
	if (r == 0 && fsync(d->templates) < 0)
		r = error_errno(err, errno, "publish a template");
	return r;
}

int template_draft_commit(
	struct template_draft *d, const uint8_t *hello, size_t hello_size, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	json_t *info = json_pack("{s:i}", "version", FORMAT_VERSION);
	int r = info ? open_file(d, "hello", &fd, err) : error_no_memory(err, "write a template");

	if (r == 0)
		r = fs_write_all(fd, hello, hello_size, "hello", err);
	if (r == 0)
		r = seal_all(d, fd, info, err);
	if (r == 0)
		r = publish(d, info, err);
	json_decref(info);
	return r;
}

void template_draft_close(struct template_draft *d)
{
	char name[sizeof NEW_PREFIX + SHA256_HEX_SIZE];
	int *all[] = {&d->memory, &d->state, &d->directory};

	snprintf(name, sizeof name, NEW_PREFIX "%s", d->key);
	if (d->directory >= 0)
		fs_remove_tree(d->templates, name, NULL); /* one that was committed has another name */
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (*all[i] >= 0)
			close(*all[i]);
	if (d->lock >= 0)
		close(d->lock);
	if (d->templates >= 0)
		close(d->templates);
	*d = TEMPLATE_DRAFT_NONE;
}

int template_remove(const char *home, const char *key, ino_t inode, struct error *err)
{
	_cleanup_fd_ int templates = -1, lock = -1;
	struct stat st;
	int r = template_directory(home, &templates, err);

	if (r == 0)
		r = lock_key(templates, key, true, &lock, err);
	if (r < 0)
		return r;
	if (fstatat(templates, key, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != inode)
		return 0;
	return bury(templates, key, err);
}

static void sweep_one(int templates, const char *name)
{
	const char *key = name + sizeof NEW_PREFIX - 1;
	_cleanup_fd_ int lock = -1;

	_Static_assert(sizeof NEW_PREFIX == sizeof OLD_PREFIX, "one length for both");
	if (strlen(key) == SHA256_HEX_SIZE - 1 && lock_key(templates, key, false, &lock, NULL) == 0)
		fs_remove_tree(templates, name, NULL);
}

void template_sweep(const char *home)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/" TEMPLATES, home);
	DIR *list = path ? opendir(path) : NULL;
	struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (text_starts(entry->d_name, NEW_PREFIX) || text_starts(entry->d_name, OLD_PREFIX))
			sweep_one(dirfd(list), entry->d_name);
	if (list)
		closedir(list);
}

int template_list(const char *home, char ***keys, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/" TEMPLATES, home);
	DIR *list = path ? opendir(path) : NULL;
	struct dirent *entry;
	int r = path ? 0 : -ERROR_NO_MEMORY;

	while (list && r == 0 && (entry = readdir(list)))
		if (strlen(entry->d_name) == SHA256_HEX_SIZE - 1 && !strchr(entry->d_name, '.'))
			r = text_list_add(keys, entry->d_name, err);
	if (list)
		closedir(list);
	return r;
}
