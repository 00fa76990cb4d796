/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/build_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/text.h"
#include "codec/decompress.h"
#include "oci/layer_path.h"
#include "os/fs.h"

#define PIECE       65536
#define HEAD        512
#define MAGIC_AT    257 /* of "ustar" in a tar's first block */
#define BYTES_MAX   (UINT64_C(32) << 30)
#define MEMBERS_MAX 1000000u

CLEANUP_DEFINE(unpacked, struct build_unpacked, build_unpacked_free);
CLEANUP_DEFINE(tar, struct tar_reader, tar_reader_free);

struct unpacking {
	struct build_unpacked *out;
	struct decompress *decompress;
	struct tar_reader *tar;
	struct map names; /* path → number plus one, for hard links */
	uint8_t *room;
};

void build_unpacked_free(struct build_unpacked *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->members[i].path);
		free(u->members[i].link);
	}
	free(u->members);
	if (u->fd >= 0)
		close(u->fd);
	free(u);
}

/* ---- is it one? -------------------------------------------------------------------------------------- */

struct head {
	uint8_t plain[HEAD];
	size_t size;
	struct decompress *decompress;
};

/* The first block, as it is when nothing compresses it; 1 once that is there, to end the reading. */
static int take_head(void *context, const void *data, size_t n, struct error *err)
{
	struct head *h = context;
	const uint8_t *in = data;

	while (n && h->size < HEAD) {
		size_t made = 0;

		if (decompress_step(h->decompress, &in, &n, h->plain + h->size, HEAD - h->size, &made, err) <
			0)
			return 1;
		h->size += made;
		if (!made && !n)
			break;
	}
	return h->size == HEAD;
}

static int look(const struct build_source *s, const char *path, const struct build_facts *facts,
	bool *is_archive, struct error *err)
{
	_cleanup_(cleanup_decompress) struct decompress *d = NULL;
	struct head head = {0};
	int r = decompress_new(NULL, &d, err);

	head.decompress = d;
	if (r == 0)
		r = build_source_read(s, path, facts, take_head, &head, err);
	*is_archive = head.size == HEAD && !memcmp(head.plain + MAGIC_AT, "ustar", 5);
	return r < 0 ? r : 0;
}

/* ---- members ----------------------------------------------------------------------------------------- */

static int add_member(struct unpacking *x, const struct tar_entry *e, struct error *err)
{
	struct build_unpacked *u = x->out;
	_cleanup_buffer_ struct buffer path = {0};
	struct build_member *m;
	enum layer_name kind;
	int r = layer_path(e->path, &path, &kind, err);

	if (r == 0 && kind != LAYER_NAME_PLAIN)
		return error_set(
			err, ERROR_INVALID, "entry '%s': a name that means something in layers", e->path);
	if (r == 0 && u->count == MEMBERS_MAX)
		return error_set(err, ERROR_LIMIT, "the archive has over %u members", MEMBERS_MAX);
	if (r == 0 && u->count == u->room) {
		size_t room = u->room ? 2 * u->room : 64;
		struct build_member *grown = realloc(u->members, room * sizeof *grown);

		if (!grown)
			return error_no_memory(err, "unpack an archive");
		u->members = grown;
		u->room = room;
	}
	if (r < 0)
		return r;
	m = &u->members[u->count++];
	*m = (struct build_member){.path = text_copy((const char *)path.data, err),
		.fd = u->fd,
		.offset = u->size,
		.facts = {.type = e->type,
			.mode = e->mode,
			.uid = e->uid,
			.gid = e->gid,
			.size = e->type == TAR_FILE ? e->size : 0,
			.mtime = e->mtime,
			.mtime_nanoseconds = e->mtime_nanoseconds,
			.device_major = e->device_major,
			.device_minor = e->device_minor}};
	if (e->link)
		m->link = text_copy(e->link, err);
	if (!m->path || (e->link && !m->link))
		return -ERROR_NO_MEMORY;
	return map_set(&x->names, m->path, strlen(m->path), (void *)(uintptr_t)u->count, NULL, err);
}

/* A hard link is its target once more. */
static int resolve_link(struct unpacking *x, struct error *err)
{
	struct build_member *m = &x->out->members[x->out->count - 1], *target;
	_cleanup_buffer_ struct buffer path = {0};
	enum layer_name kind;
	size_t number;
	int r;

	if (m->facts.type != TAR_HARD_LINK)
		return 0;
	r = layer_path(m->link, &path, &kind, err);
	if (r < 0)
		return r;
	number = (size_t)(uintptr_t)map_get(&x->names, path.data, path.size - 1);
	target = number && number < x->out->count ? &x->out->members[number - 1] : NULL;
	if (!target)
		return error_set(err, ERROR_INVALID,
			"entry '%s': a hard link to '%s', which did not come before", m->path, m->link);
	free(m->link);
	m->link = target->link ? text_copy(target->link, err) : NULL;
	m->facts = target->facts;
	m->offset = target->offset;
	return target->link && !m->link ? -ERROR_NO_MEMORY : 0;
}

static int write_at(
	struct build_unpacked *u, const struct build_member *m, const struct tar_data *d, struct error *err)
{
	for (size_t done = 0; done < d->size;) {
		ssize_t n =
			pwrite(u->fd, d->bytes + done, d->size - done, (off_t)(m->offset + d->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "unpack an archive");
		done += (size_t)n;
	}
	return 0;
}

static int take_event(struct unpacking *x, enum tar_event event, struct error *err)
{
	struct build_unpacked *u = x->out;
	const struct build_member *m = u->count ? &u->members[u->count - 1] : NULL;
	int r;

	if (event == TAR_ENTRY) {
		r = add_member(x, tar_reader_entry(x->tar), err);
		return r < 0 ? r : resolve_link(x, err);
	}
	if (event == TAR_DATA && tar_reader_entry(x->tar)->type == TAR_FILE)
		return write_at(u, m, tar_reader_data(x->tar), err);
	if (event == TAR_ENTRY_END && tar_reader_entry(x->tar)->type == TAR_FILE) {
		if (m->facts.size > BYTES_MAX - u->size)
			return error_set(err, ERROR_LIMIT, "the archive's files are too large");
		u->size += m->facts.size;
	}
	return 0;
}

static int take_plain(struct unpacking *x, const uint8_t *in, size_t n, struct error *err)
{
	for (;;) {
		enum tar_event event;
		int r = tar_reader_step(x->tar, &in, &n, &event, err);

		if (r == 0)
			r = take_event(x, event, err);
		if (r < 0 || event == TAR_MORE || (event == TAR_END && !n))
			return r;
	}
}

static int take_packed(void *context, const void *data, size_t n, struct error *err)
{
	struct unpacking *x = context;
	const uint8_t *in = data;
	size_t made;
	int r;

	do {
		made = 0;
		r = decompress_step(x->decompress, &in, &n, x->room, PIECE, &made, err);
		if (r == 0 && made)
			r = take_plain(x, x->room, made, err);
	} while (r == 0 && (n || made == PIECE));
	return r;
}

static int unpack(struct unpacking *x, const struct build_source *s, const char *path,
	const struct build_facts *facts, struct error *err)
{
	const struct decompress_options options = {.output = BYTES_MAX};
	int r = decompress_new(&options, &x->decompress, err);

	x->room = malloc(PIECE);
	x->tar = tar_reader_new(NULL, err);
	if (!x->room || !x->tar)
		return error_no_memory(err, "unpack an archive");
	if (r == 0)
		r = build_source_read(s, path, facts, take_packed, x, err);
	if (r == 0)
		r = decompress_finish(x->decompress, err);
	if (r == 0)
		r = tar_reader_finish(x->tar, err);
	/* What ends in a hole is as long as it says. */
	if (r == 0 && ftruncate(x->out->fd, (off_t)x->out->size) < 0)
		r = error_errno(err, errno, "unpack an archive");
	return r;
}

int build_unpack(const char *directory, const struct build_source *s, const char *path,
	const struct build_facts *facts, struct build_unpacked **out, struct error *err)
{
	_cleanup_(cleanup_unpacked) struct build_unpacked *u = NULL;
	struct unpacking x = {0};
	bool is_archive;
	int r = look(s, path, facts, &is_archive, err);

	if (r < 0 || !is_archive)
		return r;
	u = calloc(1, sizeof *u);
	if (!u)
		return error_no_memory(err, "unpack an archive");
	u->fd = fs_open(AT_FDCWD, directory, O_TMPFILE | O_RDWR, 0600, err);
	x.out = u;
	r = u->fd < 0 ? u->fd : unpack(&x, s, path, facts, err);
	map_free(&x.names);
	free(x.room);
	tar_reader_free(x.tar);
	decompress_free(x.decompress);
	if (r < 0)
		return error_prefix(err, "unpack '%s'", path);
	*out = TAKE_PTR(u);
	return 0;
}

int build_member_read(const struct build_member *m, build_taker *take, void *context, struct error *err)
{
	_cleanup_free_ char *piece = malloc(PIECE);
	uint64_t at = 0;
	int r = piece ? 0 : error_no_memory(err, "copy files");

	while (r == 0 && at < m->facts.size) {
		uint64_t left = m->facts.size - at;
		ssize_t n = pread(m->fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)(m->offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, ERROR_SYSTEM, "an unpacked file cannot be read");
		at += (uint64_t)n;
		r = take(context, piece, (size_t)n, err);
	}
	return r;
}
