/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before anything else all objects that have several names come into memory, since a revision says only which
 * name stands for which other. So that this costs what has changed and not what the tree has, the names that
 * do so are kept in known/links, with the tree that has them, and those of another are found by what differs.
 * The file belongs to this copy, and may be lost:
 *
 *      0  8   "MFSLINK1"
 *      8  16  salt: crypt_salt()
 *     24  32  SHA-256 of the salt and what follows
 *     56      sealed (CRYPT_KNOWN, the salt, number 0): the id of the root directory's content map, then
 *             u32 size, path, u32 size, path that it stands for: of each
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/text.h"
#include "monofs/live_parts.h"
#include "monofs/mst_cursor.h"
#include "os/fs.h"

#define FILE_NAME   "known/links"
#define MAGIC       "MFSLINK1"
#define HEADER_SIZE (8u + CRYPT_SALT_SIZE + SHA256_SIZE)
#define FILE_MOST   (256u << 20)
#define LOOKED_MOST 64u /* names that are looked at again rather than the file be written */

struct links {
	struct live *live;
	struct object_id root; /* of the tree that they are of */
	struct map targets;    /* by path */
	struct buffer path;    /* of the directory that is looked at, with a '/' unless it is the root */
	unsigned depth;
	size_t looked; /* at names that differ */
	bool changed;
};

static void clear(struct links *k)
{
	struct map_slot *s;

	for (size_t at = 0; (s = map_next(&k->targets, &at));)
		free(s->value);
	map_free(&k->targets);
	k->root = (struct object_id){0};
}

static int set_target(struct links *k, const void *path, size_t path_size, const void *target, size_t size,
	struct error *err)
{
	char *copy = text_copy_bytes(target, size, err);
	void *old = NULL;
	int r = copy ? map_set(&k->targets, path, path_size, copy, &old, err) : -(int)ERROR_NO_MEMORY;

	if (r < 0)
		free(copy);
	free(old);
	return r;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static bool is_sum(const uint8_t *salt, const void *bytes, size_t n, const uint8_t sum[SHA256_SIZE])
{
	_cleanup_sha256_ struct sha256 hash = {0};
	uint8_t found[SHA256_SIZE];

	if (sha256_init(&hash, NULL) < 0)
		return false;
	sha256_update(&hash, salt, CRYPT_SALT_SIZE);
	sha256_update(&hash, bytes, n);
	return sha256_final(&hash, found, NULL) == 0 && memcmp(found, sum, SHA256_SIZE) == 0;
}

static bool parse(struct links *k, const uint8_t *plain, size_t n)
{
	struct cursor c = cursor_of(plain, n);
	const uint8_t *id = cursor_take(&c, OBJECT_ID_SIZE);

	if (!id)
		return false;
	memcpy(k->root.bytes, id, OBJECT_ID_SIZE);
	while (c.left && !c.failed) {
		uint32_t path_size = cursor_u32(&c), target_size;
		const uint8_t *path = cursor_take(&c, path_size), *target;

		target_size = cursor_u32(&c);
		target = cursor_take(&c, target_size);
		if (c.failed || !path_size || !target_size || memchr(path, 0, path_size) ||
			memchr(target, 0, target_size) ||
			set_target(k, path, path_size, target, target_size, NULL) < 0)
			return false;
	}
	return cursor_done(&c);
}

/* What is not to be had is an empty tree's. */
static void load(struct links *k)
{
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_free_ uint8_t *plain = NULL;
	const struct live *l = k->live;
	size_t n, size = 0;

	if (fs_read_regular(repository_directory(l->repository), FILE_NAME, FILE_MOST, &b, NULL) < 0 ||
		b.size < HEADER_SIZE || memcmp(b.data, MAGIC, 8) != 0)
		return;
	n = b.size - HEADER_SIZE;
	plain = malloc(n + 1);
	if (!plain || !is_sum(b.data + 8, b.data + HEADER_SIZE, n, b.data + 8 + CRYPT_SALT_SIZE) ||
		crypt_open(l->crypt, CRYPT_KNOWN, b.data + 8, 0, NULL, 0, b.data + HEADER_SIZE, n, plain,
			&size, NULL) < 0 ||
		!parse(k, plain, size))
		clear(k);
}

static int encode(struct links *k, struct buffer *out)
{
	_cleanup_buffer_ struct buffer plain = {0}, sealed = {0};
	_cleanup_sha256_ struct sha256 hash = {0};
	uint8_t salt[CRYPT_SALT_SIZE], sum[SHA256_SIZE];
	struct map_slot *s;

	buffer_append(&plain, k->root.bytes, OBJECT_ID_SIZE);
	for (size_t at = 0; (s = map_next(&k->targets, &at));) {
		buffer_bytes(&plain, s->key, s->key_size);
		buffer_bytes(&plain, s->value, strlen(s->value));
	}
	crypt_salt(k->live->crypt, salt);
	if (plain.failed || plain.size > FILE_MOST - 2 * HEADER_SIZE ||
		crypt_seal(k->live->crypt, CRYPT_KNOWN, salt, 0, NULL, 0, plain.data, plain.size, &sealed,
			NULL) < 0 ||
		sha256_init(&hash, NULL) < 0)
		return -1;
	sha256_update(&hash, salt, sizeof salt);
	sha256_update(&hash, sealed.data, sealed.size);
	if (sha256_final(&hash, sum, NULL) < 0)
		return -1;
	buffer_append(out, MAGIC, 8);
	buffer_append(out, salt, sizeof salt);
	buffer_append(out, sum, sizeof sum);
	return buffer_append(out, sealed.data, sealed.size) ? 0 : -1;
}

/* Who is not able to only looks longer the next time. */
static void save(struct links *k)
{
	_cleanup_buffer_ struct buffer b = {0};
	int directory = repository_directory(k->live->repository);
	_cleanup_fd_ int fd = -1;

	if (encode(k, &b) < 0)
		return;
	fd = fs_open(directory, FILE_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, NULL);
	if (fd < 0 || fs_write_all(fd, b.data, b.size, FILE_NAME, NULL) < 0 ||
		renameat(directory, FILE_NAME ".new", directory, FILE_NAME) < 0)
		unlinkat(directory, FILE_NAME ".new", 0);
}

/* ---- what differs -------------------------------------------------------------------------------------- */

static int look(struct links *k, const struct object_id *old, const struct object_id *new, struct error *err);

static int take(struct links *k, const struct mst_item *a, const struct mst_item *b, struct error *err)
{
	const struct mst_item *name = b ? b : a;
	_cleanup_entry_ struct entry old = {0}, new = {0};
	size_t before = k->path.size;
	int r = a ? entry_decode(a->value, a->value_size, &old, err) : 0;

	if (r == 0 && b)
		r = entry_decode(b->value, b->value_size, &new, err);
	if (r < 0)
		return r;
	k->looked++;
	if (!buffer_append(&k->path, name->name, name->name_size))
		return error_no_memory(err, "look for hard links");
	if (old.kind == ENTRY_LINK) {
		k->changed = true;
		free(map_remove(&k->targets, k->path.data, k->path.size));
	}
	if (new.kind == ENTRY_LINK) {
		k->changed = true;
		r = set_target(k, k->path.data, k->path.size, new.target, new.target_size, err);
	}
	if (r == 0 && (old.kind == ENTRY_DIRECTORY || new.kind == ENTRY_DIRECTORY) &&
		!object_id_equal(&old.children, &new.children)) {
		buffer_append(&k->path, "/", 1);
		r = k->path.failed ? error_no_memory(err, "look for hard links")
				   : look(k, &old.children, &new.children, err);
	}
	k->path.size = before;
	return r;
}

static int look(struct links *k, const struct object_id *old, const struct object_id *new, struct error *err)
{
	struct mst_difference *d;
	int r = 0;

	if (k->depth >= ENTRY_DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "directories lie more than %u deep", ENTRY_DEPTH_MAX);
	d = malloc(sizeof *d);
	if (!d)
		return error_no_memory(err, "look for hard links");
	k->depth++;
	mst_difference_begin(d, &k->live->content_map, old, new);
	while (r == 0 && (r = mst_difference_next(d, err)) == 1)
		r = take(k, d->a, d->b, err);
	mst_difference_end(d);
	k->depth--;
	free(d);
	return r;
}

/* The tree that the file is of may be gone, as that of a draft is: then all is new. */
static int find_all(struct links *k, const struct object_id *root, struct error *err)
{
	struct error unused;
	int r;

	load(k);
	r = look(k, &k->root, root, &unused);
	if (r < 0) {
		clear(k);
		k->changed = true;
		buffer_clear(&k->path);
		k->depth = 0;
		r = look(k, &k->root, root, err);
	}
	k->root = *root;
	return r;
}

/* A name that is bound is no longer seen to be a link. */
static int bind_link(struct links *k, const char *path, const char *target, struct error *err)
{
	if (map_get(&k->targets, target, strlen(target)))
		return error_set(err, ERROR_CORRUPT, "the hard link %s leads to another, %s", path, target);
	return live_bind_link(k->live, path, target, err);
}

int live_load_links(struct live *l, bool keep, struct error *err)
{
	struct links k = {.live = l};
	struct map_slot *s;
	int r = find_all(&k, &l->root->directory.content, err);

	for (size_t at = 0; r == 0 && (s = map_next(&k.targets, &at));) {
		_cleanup_free_ char *path = text_copy_bytes(s->key, s->key_size, err);

		r = path ? bind_link(&k, path, s->value, err) : -(int)ERROR_NO_MEMORY;
	}
	if (r == 0 && keep && (k.changed || k.looked > LOOKED_MOST))
		save(&k);
	/* Whatever is wrong, it is not to be so for ever. */
	if (r < 0 && keep)
		unlinkat(repository_directory(l->repository), FILE_NAME, 0);
	clear(&k);
	buffer_free(&k.path);
	return r;
}
