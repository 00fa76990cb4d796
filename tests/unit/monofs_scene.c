/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs_scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "codec/sha256.h"
#include "monofs/import_tree.h"
#include "os/attributes.h"
#include "os/fs.h"
#include "test.h"

static const struct repository_secret secret = {.passphrase = "open"};

struct scene *scene_new(bool encrypted)
{
	const char *place = monofs_place();
	const struct repository_new o = {.secret = encrypted ? &secret : NULL,
		.sizes = {.min = 1024, .average = 4096, .max = 16384},
		.weak = true};
	struct scene *s = calloc(1, sizeof *s);
	struct error err;

	CHECK(s);
	monofs_path(place, "repository", s->repository);
	monofs_path(place, "host", s->host);
	monofs_path(place, "target", s->target);
	CHECK(mkdir(s->host, 0755) == 0);
	CHECK_OK(repository_create(s->repository, &o, &err));
	scene_reopen(s, encrypted);
	return s;
}

void scene_reopen(struct scene *s, bool encrypted)
{
	struct error err;

	if (s->r)
		repository_close(s->r);
	CHECK_OK(repository_open(s->repository, encrypted ? &secret : NULL, false, NULL, &s->r, &err));
}

void scene_free(struct scene *s)
{
	repository_close(s->r);
	free(s);
}

const char *scene_path(const struct scene *s, const char *path)
{
	static char out[4][8192];
	static unsigned at;
	char *to = out[at++ % 4];

	snprintf(to, sizeof out[0], "%s/%s", s->host, path);
	return to;
}

void scene_write(const struct scene *s, const char *path, const void *bytes, size_t n)
{
	_cleanup_fd_ int fd = open(scene_path(s, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct error err;

	CHECK(fd >= 0);
	CHECK_OK(fs_write_all(fd, bytes, n, path, &err));
}

void scene_text(const struct scene *s, const char *path, const char *text)
{
	scene_write(s, path, text, strlen(text));
}

void scene_directory(const struct scene *s, const char *path)
{
	CHECK(mkdir(scene_path(s, path), 0755) == 0);
}

void scene_settle(void)
{
	const struct timespec tick = {.tv_nsec = 40000000};

	nanosleep(&tick, NULL);
}

struct object_id scene_main(const struct scene *s)
{
	struct object_id id;
	struct error err;

	CHECK_OK(repository_resolve(s->r, "main", &id, &err));
	return id;
}

struct object_id scene_commit(
	struct scene *s, const struct object_id *content, const struct object_id *identity)
{
	struct commit c = {.parents = {scene_main(s)},
		.parent_count = 1,
		.content = *content,
		.identity = *identity,
		.author = "",
		.message = ""};
	struct store_writer *w;
	struct object_id id;
	struct error err;

	CHECK_OK(store_writer_new(repository_store(s->r), &w, &err));
	CHECK_OK(repository_commit(s->r, w, &c, &id, &err));
	store_writer_free(w);
	return id;
}

struct object_id scene_import(struct scene *s)
{
	struct object_id parent = scene_main(s);
	struct import_options o = {.parent = &parent};
	struct error err = {0};

	CHECK_OK(import_directory(s->r, s->host, &o, &s->result, &err));
	return scene_commit(s, &s->result.content, &s->result.identity);
}

/* ---- lists ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void hash_of(const char *path, char hex[SHA256_HEX_SIZE])
{
	_cleanup_buffer_ struct buffer bytes = {0};
	uint8_t hash[SHA256_SIZE];
	struct error err;

	CHECK_OK(fs_read_file(AT_FDCWD, path, 1u << 30, &bytes, &err));
	CHECK_OK(sha256_of(bytes.data, bytes.size, hash, &err));
	sha256_hex(hash, hex);
}

static void list_xattrs(struct buffer *out, const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buffer_ struct buffer names = {0};
	struct error err;

	if (fd < 0)
		return;
	CHECK_OK(fs_xattr_list(fd, path, &names, &err));
	for (size_t at = 0; at < names.size; at += strlen((char *)names.data + at) + 1) {
		const char *name = (char *)names.data + at;
		_cleanup_buffer_ struct buffer value = {0};

		if (strncmp(name, "user.", 5) != 0)
			continue;
		CHECK_INT(fs_xattr_get(fd, path, name, &value, &err), 1);
		buffer_format(out, " %s=%.*s", name, (int)value.size, (char *)value.data);
	}
}

static void list_one(struct buffer *out, const char *root, const char *path)
{
	char full[8192], target[4096] = "", hex[SHA256_HEX_SIZE] = "";
	struct stat s;

	snprintf(full, sizeof full, "%s/%s", root, path);
	CHECK(lstat(full, &s) == 0);
	if (S_ISREG(s.st_mode))
		hash_of(full, hex);
	if (S_ISLNK(s.st_mode))
		CHECK(readlink(full, target, sizeof target - 1) >= 0);
	buffer_format(out, "%s %o %u:%u %lld.%09ld %llu %u %s%s", path,
		S_ISLNK(s.st_mode) ? S_IFLNK : s.st_mode, s.st_uid, s.st_gid, (long long)s.st_mtim.tv_sec,
		s.st_mtim.tv_nsec, S_ISREG(s.st_mode) ? (unsigned long long)s.st_size : 0,
		S_ISDIR(s.st_mode) ? 0 : (unsigned)s.st_nlink, hex, target);
	if (S_ISREG(s.st_mode) || S_ISDIR(s.st_mode))
		list_xattrs(out, full);
	buffer_append_text(out, "\n");
}

static void list_directory(struct buffer *out, const char *root, const char *path)
{
	char full[8192], child[4096];
	_cleanup_free_ char **names = NULL;
	size_t count = 0;
	struct dirent *e;
	DIR *list;

	list_one(out, root, *path ? path : ".");
	snprintf(full, sizeof full, "%s/%s", root, path);
	list = opendir(full);
	CHECK(list);
	while ((e = readdir(list))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		names = realloc(names, (count + 1) * sizeof *names);
		CHECK(names);
		names[count++] = strdup(e->d_name);
	}
	closedir(list);
	if (count)
		qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++) {
		struct stat s;

		snprintf(child, sizeof child, "%s%s%s", path, *path ? "/" : "", names[i]);
		snprintf(full, sizeof full, "%s/%s", root, child);
		CHECK(lstat(full, &s) == 0);
		if (S_ISDIR(s.st_mode))
			list_directory(out, root, child);
		else
			list_one(out, root, child);
		free(names[i]);
	}
}

char *scene_list(const char *path)
{
	struct buffer out = {0};

	list_directory(&out, path, "");
	return buffer_take_text(&out);
}

/* ---- trees by hand ---- */

static size_t depth_of(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n + 1;
}

static void put_item(struct import_tree *t, const struct scene_item *i, const char *name)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct import_id id = {.set = i->id != 0, .bytes = {(uint8_t)i->id}};
	struct entry e = {
		.kind = i->kind, .mode = i->mode ? i->mode : 0644, .uid = getuid(), .gid = getgid()};
	struct error err;

	if (i->kind == ENTRY_LINK)
		e = (struct entry){.kind = ENTRY_LINK};
	if (i->kind == ENTRY_FILE) {
		e.content.bytes = (const uint8_t *)i->text;
		e.content.size = strlen(i->text);
	} else if (i->text) {
		e.target = i->text;
		e.target_size = strlen(i->text);
	}
	CHECK_OK(entry_encode(&e, &bytes, &err));
	CHECK_OK(import_tree_put(t, name, bytes.data, bytes.size, &id, &err));
}

static void leave(struct import_tree *t, uint32_t mode, struct known_roots *roots)
{
	struct entry e = {
		.kind = ENTRY_DIRECTORY, .mode = mode ? mode : 0755, .uid = getuid(), .gid = getgid()};
	struct error err;

	CHECK_OK(import_tree_leave(t, &e, roots, &err));
}

struct object_id scene_tree(struct scene *s, const struct scene_item *items, size_t count)
{
	struct store_writer *w, *ids;
	struct object_id parent = scene_main(s);
	struct import_tree *t;
	struct known_roots roots;
	uint32_t modes[64];
	size_t depth = 1;
	struct error err;

	CHECK_OK(store_writer_new(repository_store(s->r), &w, &err));
	CHECK_OK(store_writer_new(repository_store(s->r), &ids, &err));
	CHECK_OK(import_tree_new(s->r, &parent, NULL, w, ids, &t, &err));
	CHECK_OK(import_tree_enter(t, "", false, &err));
	for (size_t i = 0; i < count; i++) {
		const char *slash = strrchr(items[i].path, '/'), *name = slash ? slash + 1 : items[i].path;

		for (; depth > depth_of(items[i].path); depth--)
			leave(t, modes[depth - 1], &roots);
		if (items[i].kind == ENTRY_DIRECTORY) {
			CHECK_OK(import_tree_enter(t, name, false, &err));
			modes[depth++] = items[i].mode;
		} else {
			put_item(t, &items[i], name);
		}
	}
	for (; depth > 0; depth--)
		leave(t, depth > 1 ? modes[depth - 1] : 0, &roots);
	CHECK_OK(store_writer_flush(w, &err));
	CHECK_OK(store_writer_flush(ids, &err));
	import_tree_free(t);
	store_writer_free(w);
	store_writer_free(ids);
	return scene_commit(s, &roots.content, &roots.identity);
}
