/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/tar.h"
#include "os/fs.h"

#define MEMBERS_MAX    100000u
#define READ_BYTES     16384u
#define SKIP_BYTES     262144u
#define LINKS_FOLLOWED 8u

struct member {
	uint64_t offset, size;
	char *link; /* of a symbolic or hard link: the member's name */
	bool holes;
};

CLEANUP_DEFINE(reader, struct tar_reader, tar_reader_free);

static void member_free(struct member *m)
{
	if (!m)
		return;
	free(m->link);
	free(m);
}

void blobs_close(struct blobs *b)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&b->members, &at)))
		member_free(slot->value);
	map_free(&b->members);
	if (b->fd >= 0)
		close(b->fd);
	free(b->path);
	*b = (struct blobs){.fd = -1};
}

static const char *plain_name(const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		name += 2 + strspn(name + 2, "/");
	return name;
}

/* ---- the headers of an archive ---------------------------------------------------------------------- */

/* The target of a link as a member's name: docker's "../ID/layer.tar" is relative to the link. */
static char *link_name(const struct tar_entry *e, struct error *err)
{
	const char *target = plain_name(e->link), *slash = strrchr(plain_name(e->path), '/');
	const char *base = plain_name(e->path);
	size_t n = slash ? (size_t)(slash - base) : 0;

	if (e->type == TAR_HARD_LINK)
		return text_copy(target, err);
	while (text_starts(target, "../")) {
		target += 3;
		while (n > 0 && base[n - 1] != '/')
			n--;
		n -= n > 0;
	}
	return n ? text_format(err, "%.*s/%s", (int)n, base, target) : text_copy(target, err);
}

static int add_member(
	struct blobs *b, const struct tar_entry *e, uint64_t offset, struct member **out, struct error *err)
{
	const char *name = plain_name(e->path);
	struct member *m = calloc(1, sizeof *m);
	void *old = NULL;
	int r;

	if (!m)
		return error_no_memory(err, b->path);
	m->offset = offset;
	m->size = e->size;
	if (e->link && (e->type == TAR_HARD_LINK || e->type == TAR_SYMBOLIC_LINK)) {
		m->link = link_name(e, err);
		if (!m->link) {
			free(m);
			return -ERROR_NO_MEMORY;
		}
	}
	if (b->members.size >= MEMBERS_MAX) {
		member_free(m);
		return error_set(err, ERROR_LIMIT, "over %u members", MEMBERS_MAX);
	}
	r = map_set(&b->members, name, strlen(name), m, &old, err);
	member_free(r < 0 ? m : old);
	*out = r < 0 ? NULL : m;
	return r;
}

/* Leads the reader over the data of the member that it stands at with zeroes in their place, which costs no
 * reading, as far as the archive goes. *at moves on to where the next header is looked for. */
static int skip_data(struct tar_reader *reader, const uint8_t *zeroes, uint64_t size, struct member *m,
	uint64_t *at, struct error *err)
{
	enum tar_event event = TAR_MORE;
	const uint8_t *in = zeroes;
	size_t n = 0;
	uint64_t seen = 0;

	for (;;) {
		size_t before = n;
		int r = tar_reader_step(reader, &in, &n, &event, err);

		if (r < 0)
			return r;
		*at += before - n;
		if (event == TAR_DATA)
			seen += tar_reader_data(reader)->size;
		if (event == TAR_ENTRY_END || event == TAR_END)
			break;
		if (*at > size)
			return error_set(err, ERROR_INVALID, "the archive is cut");
		if (event == TAR_MORE) {
			in = zeroes;
			n = SKIP_BYTES;
		}
	}
	m->holes = !m->link && seen != m->size;
	return 0;
}

static int read_headers(struct blobs *b, struct tar_reader *reader, uint8_t *bytes, struct error *err)
{
	const uint8_t *zeroes = bytes + READ_BYTES, *in = bytes;
	enum tar_event event = TAR_MORE;
	uint64_t at = 0;
	size_t n = 0;

	for (;;) {
		size_t before;
		int r;

		if (n == 0) {
			ssize_t got = pread(b->fd, bytes, READ_BYTES, (off_t)at);

			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				return error_errno(err, errno, "read");
			if (got == 0)
				return tar_reader_finish(reader, err);
			in = bytes;
			n = (size_t)got;
		}
		before = n;
		r = tar_reader_step(reader, &in, &n, &event, err);
		at += before - n;
		if (r < 0 || event == TAR_END)
			return r;
		if (event == TAR_ENTRY) {
			const struct tar_entry *e = tar_reader_entry(reader);
			struct member *m = NULL;

			r = add_member(b, e, at, &m, err);
			if (r == 0)
				r = skip_data(reader, zeroes, b->size, m, &at, err);
			if (r < 0)
				return r;
			n = 0;
		}
	}
}

static int scan_archive(struct blobs *b, struct error *err)
{
	_cleanup_(cleanup_reader) struct tar_reader *reader = tar_reader_new(NULL, err);
	_cleanup_free_ uint8_t *bytes = calloc(1, READ_BYTES + SKIP_BYTES);
	uint8_t magic[4] = {0};

	if (!reader || !bytes)
		return error_no_memory(err, b->path);
	if (pread(b->fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
		(!memcmp(magic, "\x1f\x8b", 2) || !memcmp(magic, "\x28\xb5\x2f\xfd", 4)))
		return error_set(
			err, ERROR_UNAVAILABLE, "the archive itself is compressed: uncompress it first");
	return read_headers(b, reader, bytes, err);
}

int blobs_open(const char *path, struct blobs *b, struct error *err)
{
	struct stat s;
	int r = 0;

	*b = (struct blobs){.fd = -1};
	b->path = text_copy(path, err);
	b->fd = b->path ? fs_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err)
			: -ERROR_NO_MEMORY;
	if (b->fd < 0)
		r = b->fd;
	else if (fstat(b->fd, &s) < 0)
		r = error_errno(err, errno, "open %s", path);
	else if (!S_ISDIR(s.st_mode) && !S_ISREG(s.st_mode))
		r = error_set(err, ERROR_INVALID, "%s is neither a directory nor a file", path);
	else if (S_ISREG(s.st_mode)) {
		b->archive = true;
		b->size = (uint64_t)s.st_size;
		r = scan_archive(b, err);
		if (r < 0)
			error_prefix(err, "read the archive %s", path);
	}
	if (r < 0)
		blobs_close(b);
	return r;
}

/* ---- by name ---------------------------------------------------------------------------------------- */

static const struct member *find_member(const struct blobs *b, const char *name)
{
	const struct member *m = NULL;

	for (unsigned i = 0; name && i <= LINKS_FOLLOWED; i++) {
		name = plain_name(name);
		m = map_get(&b->members, name, strlen(name));
		name = m ? m->link : NULL;
	}
	return name ? NULL : m;
}

bool blobs_has(const struct blobs *b, const char *name)
{
	return b->archive ? find_member(b, name) != NULL : faccessat(b->fd, name, F_OK, 0) == 0;
}

static int find_in_archive(const struct blobs *b, const char *name, struct blob *blob, struct error *err)
{
	const struct member *m = find_member(b, name);

	if (!m)
		return error_set(err, ERROR_NOT_FOUND, "%s: the archive has no %s", b->path, name);
	if (m->holes)
		return error_set(err, ERROR_UNAVAILABLE, "%s: %s is stored as a sparse file", b->path, name);
	blob->fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 3);
	if (blob->fd < 0)
		return error_errno(err, errno, "open %s", b->path);
	blob->offset = m->offset;
	blob->size = m->size;
	return 0;
}

int blobs_find(const struct blobs *b, const char *name, struct blob *blob, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	struct stat s;
	int r = b->source ? b->source->find(b->source->context, name, blob, err) : -ERROR_NOT_FOUND;

	if (r != -ERROR_NOT_FOUND)
		return r;
	*blob = (struct blob){.fd = -1};
	if (b->archive)
		return find_in_archive(b, name, blob, err);
	fd = fs_open(b->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
	if (fd < 0)
		return error_prefix(err, "%s", b->path);
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "open %s/%s", b->path, name);
	if (!S_ISREG(s.st_mode))
		return error_set(err, ERROR_INVALID, "%s/%s is not a file", b->path, name);
	*blob = (struct blob){.fd = TAKE_FD(fd), .size = (uint64_t)s.st_size};
	return 0;
}

int blobs_read(const struct blobs *b, const char *name, size_t limit, struct buffer *out, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	struct blob blob;
	int r = blobs_find(b, name, &blob, err);

	if (r < 0)
		return r;
	fd = blob.fd;
	if (blob.size > limit)
		return error_set(err, ERROR_LIMIT, "%s: %s is over %zu bytes", b->path, name, limit);
	if (!buffer_reserve(out, (size_t)blob.size))
		return error_no_memory(err, name);
	while (blob.size > 0) {
		ssize_t n = pread(fd, out->data + out->size, (size_t)blob.size, (off_t)blob.offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read %s/%s", b->path, name);
		if (n == 0)
			return error_set(err, ERROR_INVALID, "%s: %s is cut", b->path, name);
		out->size += (size_t)n;
		blob.offset += (uint64_t)n;
		blob.size -= (uint64_t)n;
	}
	return 0;
}
