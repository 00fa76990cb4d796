/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/restore_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/attributes.h"
#include "os/fs.h"

#define PRIVATE 0600 /* until it is whole */

/* ---- metadata ---- */

static int value_of(struct store *s, const struct entry_xattr *x, struct store_bytes *held, struct error *err)
{
	int r;

	*held = (struct store_bytes){.bytes = x->value, .size = x->value_size};
	if (object_id_is_none(&x->object))
		return 0;
	r = store_get(s, OBJECT_VALUE, &x->object, held, err);
	if (r == 0 && held->size != x->value_size) {
		char hex[OBJECT_HEX_SIZE];

		store_release(s, held);
		return error_set(err, ERROR_CORRUPT, "value %s: it is of another size than its entry says",
			object_id_hex(&x->object, hex));
	}
	return r;
}

static bool has_xattr(const struct entry *e, const char *name)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		if (strcmp(e->xattrs[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Attributes that others than the file's owner set are left. */
static int remove_xattrs(int fd, const char *name, const struct entry *e, struct error *err)
{
	_cleanup_buffer_ struct buffer names = {0};
	int r = fs_xattr_list(fd, name, &names, err);

	for (size_t at = 0; r == 0 && at < names.size;) {
		const char *attribute = (const char *)names.data + at;

		if (strncmp(attribute, "user.", 5) == 0 && !has_xattr(e, attribute))
			r = fs_xattr_remove(fd, name, attribute, err);
		at += strlen(attribute) + 1;
	}
	return r;
}

static int set_xattrs(
	const struct restore_maker *m, int fd, const char *name, const struct entry *e, struct error *err)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		struct store_bytes held;
		int r = value_of(m->s, &e->xattrs[i], &held, err);

		if (r == 0)
			r = fs_xattr_set(fd, name, e->xattrs[i].name, held.bytes, held.size, err);
		if (held.held)
			store_release(m->s, &held);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Who gets a file that is not of the user or group that it had does not get the rights of these. */
static mode_t mode_for(const struct stat *s, const struct entry *e)
{
	mode_t mode = e->mode;

	if (s->st_uid != e->uid)
		mode &= ~(mode_t)S_ISUID;
	if (s->st_gid != e->gid)
		mode &= ~(mode_t)S_ISGID;
	return mode;
}

static void times_of(const struct entry *e, struct timespec out[2])
{
	out[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	out[1] = (struct timespec){.tv_sec = (time_t)e->mtime.seconds, .tv_nsec = (long)e->mtime.nanoseconds};
}

int restore_metadata(const struct restore_maker *m, int fd, const char *name, const struct entry *e,
	bool extra, struct error *err)
{
	struct timespec times[2];
	struct stat s;
	int r = 0;

	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at %s", name);
	if (m->owners && (s.st_uid != e->uid || s.st_gid != e->gid)) {
		if (fchown(fd, e->uid, e->gid) < 0)
			return error_errno(err, errno, "set the owner of %s", name);
		s.st_uid = e->uid;
		s.st_gid = e->gid;
	}
	if (extra)
		r = remove_xattrs(fd, name, e, err);
	if (r == 0)
		r = set_xattrs(m, fd, name, e, err);
	if (r < 0)
		return r;
	/* Behind owner and attributes, both of which take rights away. */
	if (fchmod(fd, mode_for(&s, e)) < 0)
		return error_errno(err, errno, "set the mode of %s", name);
	times_of(e, times);
	if (futimens(fd, times) < 0)
		return error_errno(err, errno, "set the time of %s", name);
	return 0;
}

bool restore_is_same(const struct stat *s, const struct entry *e)
{
	return S_ISREG(s->st_mode) && e->kind == ENTRY_FILE && (uint64_t)s->st_size == e->content.size &&
	       s->st_mtim.tv_sec == e->mtime.seconds && (uint64_t)s->st_mtim.tv_nsec == e->mtime.nanoseconds;
}

/* ---- files ---- */

struct writing {
	const struct restore_maker *m;
	int fd;
	const char *name;
};

static int write_at(const struct writing *w, const void *bytes, size_t n, uint64_t offset, struct error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = pwrite(w->fd, (const uint8_t *)bytes + done, n - done, (off_t)(offset + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return error_errno(err, errno, "write %s", w->name);
		done += (size_t)r;
	}
	if (w->m->written)
		__atomic_fetch_add(w->m->written, n, __ATOMIC_RELAXED);
	return 0;
}

static int write_chunk(void *context, uint64_t offset, const struct content_ref *ref, struct error *err)
{
	const struct writing *w = context;
	struct store_bytes chunk = {0};
	int r;

	if (object_id_is_none(&ref->id))
		return 0;
	r = content_chunk(w->m->s, ref, &chunk, err);
	if (r < 0)
		return r;
	r = write_at(w, chunk.bytes, chunk.size, offset, err);
	store_release(w->m->s, &chunk);
	return r;
}

/* Holes are what is not written; the size is set first, so that one at the end is there, too. */
static int write_content(const struct writing *w, const struct content *c, struct error *err)
{
	if (c->ref_count == 0)
		return write_at(w, c->bytes, (size_t)c->size, 0, err);
	if (object_id_is_none(&c->refs[c->ref_count - 1].id) || c->depth > 0) {
		if (ftruncate(w->fd, (off_t)c->size) < 0)
			return error_errno(
				err, errno, "write %s: %llu bytes", w->name, (unsigned long long)c->size);
	}
	return content_walk(w->m->s, c, write_chunk, NULL, (void *)w, err);
}

int restore_file(const struct restore_maker *m, int directory, const char *name, const struct entry *e,
	struct error *err)
{
	_cleanup_fd_ int fd =
		openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, PRIVATE);
	struct writing w = {.m = m, .fd = fd, .name = name};
	int r;

	if (fd < 0)
		return error_errno(err, errno, "make %s", name);
	r = write_content(&w, &e->content, err);
	if (r == 0)
		r = restore_metadata(m, fd, name, e, false, err);
	if (r < 0)
		unlinkat(directory, name, 0);
	return r;
}

/* ---- the others ---- */

static int make_node(int directory, const char *name, const struct entry *e)
{
	char target[ENTRY_PATH_MAX + 1];

	switch (e->kind) {
	case ENTRY_SYMLINK:
		memcpy(target, e->target, e->target_size);
		target[e->target_size] = 0;
		return symlinkat(target, directory, name);
	case ENTRY_FIFO:
		return mkfifoat(directory, name, PRIVATE);
	case ENTRY_SOCKET:
		return mknodat(directory, name, S_IFSOCK | PRIVATE, 0);
	case ENTRY_CHARACTER:
		return mknodat(directory, name, S_IFCHR | PRIVATE, fs_device(e->major, e->minor));
	case ENTRY_BLOCK:
		return mknodat(directory, name, S_IFBLK | PRIVATE, fs_device(e->major, e->minor));
	case ENTRY_FILE:
	case ENTRY_DIRECTORY:
	case ENTRY_LINK:
		break;
	}
	errno = EINVAL;
	return -1;
}

/* By its name, as it is not to be opened. */
static int set_by_name(const struct restore_maker *m, int directory, const char *name, const struct entry *e,
	struct error *err)
{
	struct timespec times[2];
	struct stat s;
	int r = 0;

	if (m->owners && fchownat(directory, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "set the owner of %s", name);
	if (fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "look at %s", name);
	if (e->kind != ENTRY_SYMLINK)
		r = fs_set_mode(directory, name, mode_for(&s, e), err);
	if (r < 0)
		return r;
	times_of(e, times);
	if (utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "set the time of %s", name);
	return 0;
}

int restore_other(const struct restore_maker *m, int directory, const char *name, const struct entry *e,
	struct error *err)
{
	int r;

	if (make_node(directory, name, e) < 0)
		return error_errno(err, errno, "make %s", name);
	r = set_by_name(m, directory, name, e, err);
	if (r < 0)
		unlinkat(directory, name, 0);
	return r;
}
