/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tar_member.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/tar_block.h"

void tar_extensions_reset(struct tar_extensions *x)
{
	tar_pax_free(&x->local);
	free(x->long_path);
	free(x->long_link);
	x->long_path = x->long_link = NULL;
	x->extended = false;
}

bool tar_extensions_wait(const struct tar_extensions *x)
{
	return x->extended || x->long_path || x->long_link;
}

void tar_entry_free(struct tar_entry *e)
{
	free(e->path);
	free(e->link);
	for (size_t i = 0; i < e->xattr_count; i++) {
		free(e->xattrs[i].name);
		free(e->xattrs[i].value);
	}
	free(e->xattrs);
	*e = (struct tar_entry){0};
}

void tar_member_free(struct tar_member *m)
{
	tar_entry_free(&m->entry);
	tar_map_free(&m->map);
	*m = (struct tar_member){0};
}

/* Which extended header holds the key: the entry's own, the global one, or NULL. */
static const struct tar_pax *pax_with(const struct tar_extensions *x, unsigned key)
{
	if (x->local.have & key)
		return &x->local;
	return (x->global.have & key) && !(x->local.deleted & key) ? &x->global : NULL;
}

static int copy_bounded(char **to, const char *text, size_t n, const struct tar_limits *limits,
	const char *what, struct error *err)
{
	if (n > limits->path)
		return error_set(err, ERROR_LIMIT, "a %s of %zu bytes is over the limit of %zu", what, n,
			limits->path);
	*to = text_copy_bytes(text, n, err);
	return *to ? 0 : -ERROR_NO_MEMORY;
}

/* The name in the block, after the prefix where the dialect has one. */
static int block_path(char **path, const uint8_t *block, const struct tar_limits *limits, struct error *err)
{
	struct tar_field prefix = TAR_FIELD_PREFIX;
	enum tar_dialect dialect = tar_block_dialect(block);
	size_t n = tar_block_text_size(block, TAR_FIELD_NAME), before = 0;
	char text[100 + 155 + 1];

	if (dialect == TAR_DIALECT_STAR)
		prefix.size = 131;
	if (dialect == TAR_DIALECT_USTAR || dialect == TAR_DIALECT_STAR)
		before = tar_block_text_size(block, prefix);
	if (before) {
		memcpy(text, block + prefix.at, before);
		text[before++] = '/';
	}
	memcpy(text + before, block, n);
	return copy_bounded(path, text, before + n, limits, "path", err);
}

static int read_path(struct tar_entry *e, const uint8_t *block, const struct tar_extensions *x,
	const struct tar_limits *limits, bool *slash, struct error *err)
{
	const struct tar_pax *pax = pax_with(x, TAR_PAX_PATH);
	const char *text = x->local.have & TAR_PAX_SPARSE_NAME ? x->local.sparse_name
			   : pax                               ? pax->path
							       : x->long_path;
	int r = text ? copy_bounded(&e->path, text, strlen(text), limits, "path", err)
		     : block_path(&e->path, block, limits, err);
	size_t n;

	if (r < 0)
		return r;
	n = strlen(e->path);
	if (!n)
		return error_set(err, ERROR_INVALID, "the entry has no name");
	*slash = e->path[n - 1] == '/';
	while (n > 1 && e->path[n - 1] == '/')
		e->path[--n] = 0;
	return 0;
}

static int read_link(struct tar_entry *e, const uint8_t *block, const struct tar_extensions *x,
	const struct tar_limits *limits, struct error *err)
{
	const struct tar_pax *pax = pax_with(x, TAR_PAX_LINK);
	const struct tar_field field = TAR_FIELD_LINK;
	const char *text = pax ? pax->link : x->long_link;
	size_t n;

	if (e->type != TAR_HARD_LINK && e->type != TAR_SYMBOLIC_LINK)
		return 0;
	n = text ? strlen(text) : tar_block_text_size(block, field);
	if (!text)
		text = (const char *)block + field.at;
	if (!n)
		return error_set(err, ERROR_INVALID, "the link '%s' has no target", e->path);
	return copy_bounded(&e->link, text, n, limits, "link target", err);
}

static int read_type(struct tar_member *m, uint8_t type, bool slash, struct error *err)
{
	struct tar_entry *e = &m->entry;

	m->layout = TAR_LAYOUT_NONE;
	switch (type) {
	case 0:
	case '0':
	case '7': /* contiguous: a file like others */
	case 'S':
		m->layout = TAR_LAYOUT_PLAIN;
		e->type = slash ? TAR_DIRECTORY : TAR_FILE; /* v7 knows a directory by its slash only */
		return 0;
	case '1':
		e->type = TAR_HARD_LINK;
		return 0;
	case '2':
		e->type = TAR_SYMBOLIC_LINK;
		return 0;
	case '3':
		e->type = TAR_CHARACTER_DEVICE;
		return 0;
	case '4':
		e->type = TAR_BLOCK_DEVICE;
		return 0;
	case '5':
	case 'D': /* GNU: a directory whose data are a list of its files */
		e->type = TAR_DIRECTORY;
		return 0;
	case '6':
		e->type = TAR_FIFO;
		return 0;
	case 'V': /* GNU: the volume's label */
		m->hidden = true;
		return 0;
	case 'M':
		return error_set(err, ERROR_INVALID,
			"'%s' is continued from another volume: join the volumes first", e->path);
	default:
		return error_set(err, ERROR_INVALID,
			"'%s' has the unknown type %#x: write the archive with GNU tar or bsdtar", e->path,
			type);
	}
}

static int read_id(const uint8_t *block, struct tar_field field, const struct tar_pax *pax, uint64_t value,
	uint32_t *id, struct error *err)
{
	int64_t number = 0;
	int r = 0;

	if (!pax)
		r = tar_block_number(block, field, 0, UINT32_MAX, &number, err);
	*id = pax ? (uint32_t)value : (uint32_t)number;
	return r;
}

static int read_time(
	struct tar_entry *e, const uint8_t *block, const struct tar_extensions *x, struct error *err)
{
	const struct tar_pax *pax = pax_with(x, TAR_PAX_MTIME);

	if (!pax)
		return tar_block_number(block, TAR_FIELD_MTIME, INT64_MIN, INT64_MAX, &e->mtime, err);
	e->mtime = pax->mtime;
	e->mtime_nanoseconds = pax->mtime_nanoseconds;
	return 0;
}

static int read_numbers(
	struct tar_entry *e, const uint8_t *block, const struct tar_extensions *x, struct error *err)
{
	const struct tar_pax *uid = pax_with(x, TAR_PAX_UID), *gid = pax_with(x, TAR_PAX_GID);
	int64_t mode;
	int r;

	if ((r = tar_block_number(block, TAR_FIELD_MODE, 0, INT64_MAX, &mode, err)) < 0 ||
		(r = read_id(block, TAR_FIELD_UID, uid, uid ? uid->uid : 0, &e->uid, err)) < 0 ||
		(r = read_id(block, TAR_FIELD_GID, gid, gid ? gid->gid : 0, &e->gid, err)) < 0 ||
		(r = read_time(e, block, x, err)) < 0)
		return r;
	e->mode = (uint32_t)mode & 07777;
	return 0;
}

static int read_device(
	struct tar_entry *e, const uint8_t *block, const struct tar_extensions *x, struct error *err)
{
	const struct tar_pax *major = pax_with(x, TAR_PAX_MAJOR), *minor = pax_with(x, TAR_PAX_MINOR);
	int r;

	if (e->type != TAR_CHARACTER_DEVICE && e->type != TAR_BLOCK_DEVICE)
		return 0;
	if (tar_block_dialect(block) == TAR_DIALECT_V7)
		return error_set(err, ERROR_INVALID,
			"the device '%s' stands in a v7 header, which has no number for it", e->path);
	r = read_id(block, TAR_FIELD_MAJOR, major, major ? major->major : 0, &e->device_major, err);
	if (r < 0)
		return r;
	return read_id(block, TAR_FIELD_MINOR, minor, minor ? minor->minor : 0, &e->device_minor, err);
}

/* Bytes of data behind the header, and what they are, sparse files left aside. A link, device or directory
 * may give a size that counts nothing (POSIX lets directories do so). */
static int read_size(
	struct tar_member *m, const uint8_t *block, const struct tar_extensions *x, struct error *err)
{
	const struct tar_pax *pax = pax_with(x, TAR_PAX_SIZE);
	int64_t size = 0;
	uint8_t type = block[TAR_AT_TYPE];
	int r;

	if (!pax && (r = tar_block_number(block, TAR_FIELD_SIZE, 0, INT64_MAX, &size, err)) < 0)
		return r;
	m->stored = pax ? pax->size : (uint64_t)size;
	if (m->layout == TAR_LAYOUT_PLAIN) {
		m->entry.size = m->stored;
		if (m->entry.type == TAR_DIRECTORY && m->stored)
			return error_set(err, ERROR_INVALID,
				"the file '%s/' has data, but a directory's name", m->entry.path);
	} else if (type == '1' && m->stored) {
		/* Data for sure only where the link's own extended header counts them. */
		m->layout = x->local.have & TAR_PAX_SIZE ? TAR_LAYOUT_PLAIN : TAR_LAYOUT_EITHER;
		m->entry.size = m->stored;
	} else if (type != 'D' && type != 'V') {
		m->stored = 0;
	}
	return 0;
}

static int read_old_sparse(
	struct tar_member *m, const uint8_t *block, const struct tar_limits *limits, struct error *err)
{
	bool ended = false, more = block[TAR_AT_EXTENDED];
	int64_t real;
	int r;

	if (tar_block_dialect(block) != TAR_DIALECT_GNU)
		return error_set(err, ERROR_INVALID, "the sparse file '%s' is not as GNU tar writes it",
			m->entry.path);
	m->map.limit = limits->sparse_parts;
	if ((r = tar_block_number(block, TAR_FIELD_REALSIZE, 0, INT64_MAX, &real, err)) < 0 ||
		(r = tar_map_add_slots(&m->map, block + TAR_AT_SPARSE, 4, &ended, err)) < 0)
		return r;
	if (ended && more)
		return error_set(err, ERROR_INVALID,
			"the map of the sparse file '%s' ends before its last block", m->entry.path);
	m->entry.size = (uint64_t)real;
	m->layout = more ? TAR_LAYOUT_BLOCKS : TAR_LAYOUT_SPARSE;
	return 0;
}

static int read_pax_sparse(
	struct tar_member *m, struct tar_pax *p, const struct tar_limits *limits, struct error *err)
{
	uint64_t major = p->have & TAR_PAX_SPARSE_MAJOR ? p->sparse_major : 0;
	uint64_t minor = p->have & TAR_PAX_SPARSE_MINOR ? p->sparse_minor : 0;
	bool lines = major == 1 && minor == 0;

	if (!lines && (major != 0 || minor > 1))
		return error_set(err, ERROR_INVALID, "the sparse file '%s' has the unknown format %llu.%llu",
			m->entry.path, (unsigned long long)major, (unsigned long long)minor);
	if (!(p->have & TAR_PAX_REAL_SIZE) || (lines && (p->have & TAR_PAX_SPARSE_MAP)))
		return error_set(
			err, ERROR_INVALID, "the sparse file '%s' has no size, or two maps", m->entry.path);
	if (!lines && (p->have & TAR_PAX_SPARSE_BLOCKS) && p->sparse_blocks != p->map.given)
		return error_set(err, ERROR_INVALID,
			"the map of the sparse file '%s' has %zu parts instead of %llu", m->entry.path,
			p->map.given, (unsigned long long)p->sparse_blocks);
	m->entry.size = p->real_size;
	m->layout = lines ? TAR_LAYOUT_LINES : TAR_LAYOUT_SPARSE;
	m->map = p->map;
	p->map = (struct tar_map){0};
	m->map.limit = limits->sparse_parts;
	return 0;
}

static int read_sparse(struct tar_member *m, const uint8_t *block, struct tar_pax *p,
	const struct tar_limits *limits, struct error *err)
{
	const unsigned any = TAR_PAX_REAL_SIZE | TAR_PAX_SPARSE_NAME | TAR_PAX_SPARSE_MAJOR |
			     TAR_PAX_SPARSE_MINOR | TAR_PAX_SPARSE_BLOCKS | TAR_PAX_SPARSE_MAP;
	bool old = block[TAR_AT_TYPE] == 'S';
	int r = 0;

	if ((p->have & any) && (old || m->entry.type != TAR_FILE))
		return error_set(
			err, ERROR_INVALID, "'%s' is no plain file, but has a sparse map", m->entry.path);
	if (old && m->entry.type == TAR_DIRECTORY)
		return error_set(
			err, ERROR_INVALID, "the sparse file '%s/' has a directory's name", m->entry.path);
	if (old)
		r = read_old_sparse(m, block, limits, err);
	else if (p->have & any)
		r = read_pax_sparse(m, p, limits, err);
	if (r < 0)
		return r;
	if (m->layout == TAR_LAYOUT_SPARSE)
		r = tar_map_check(&m->map, m->entry.size, m->stored, err);
	/* star keeps a map of its own kind in the data, which nobody else writes. */
	else if (m->entry.type == TAR_FILE && (p->have & TAR_PAX_STAR_SIZE) && p->star_size != m->entry.size)
		return error_set(err, ERROR_INVALID,
			"'%s' is sparse in star's format: write the archive with GNU tar", m->entry.path);
	return r;
}

int tar_member_read(struct tar_member *m, const uint8_t *block, struct tar_extensions *x,
	const struct tar_limits *limits, struct error *err)
{
	struct tar_entry *e = &m->entry;
	bool slash = false;
	int r;

	if ((r = read_path(e, block, x, limits, &slash, err)) < 0 ||
		(r = read_type(m, block[TAR_AT_TYPE], slash, err)) < 0 ||
		(r = read_link(e, block, x, limits, err)) < 0 || (r = read_numbers(e, block, x, err)) < 0 ||
		(r = read_device(e, block, x, err)) < 0 || (r = read_size(m, block, x, err)) < 0 ||
		(r = read_sparse(m, block, &x->local, limits, err)) < 0)
		return r;
	e->xattrs = TAKE_PTR(x->local.xattrs);
	e->xattr_count = x->local.xattr_count;
	x->local.xattr_count = 0;
	return 0;
}
