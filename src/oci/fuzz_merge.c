/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Up to three layers out of the input, merged into an EROFS image, which is then read back. The bytes mean
 * entries of few names, so that layers, links and whiteouts meet:
 *
 *   - the image is well-formed: names sorted, links counted, every directory in one place, no marks left;
 *   - every file has the data that came with its entry (the owner's id tells which that was);
 *   - the same layers give the same bytes, whatever the seed of the tree.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/erofs_reader.h"
#include "oci/merge.h"
#include "oci/spool.h"

#define LAYERS_MAX  3u
#define FILES_MAX   2000u
#define SPARSE_FROM 65536u /* such files have data at their ends only */
#define SPARSE_PART 77u
#define DEPTH_MAX   4000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t sizes[] = {0, 1, 1024, 1025, 5000, 65536, 65537, 200001};

struct made { /* of the entry whose owner is its index */
	enum tar_type type;
	uint32_t size;
	char link[64];
};

struct input {
	struct cursor bytes;
	uint32_t count;
	struct made made[FILES_MAX];
};

/* ---- entries out of the input ----------------------------------------------------------------------- */

static uint8_t data_byte(uint32_t id, uint64_t offset)
{
	return (uint8_t)(id * 31 + offset * 7 + (offset >> 12) + 1);
}

static bool has_data(uint32_t size, uint64_t offset)
{
	return size < SPARSE_FROM || offset < SPARSE_PART || offset >= size - SPARSE_PART;
}

static void take_path(struct input *in, char *out, size_t room, const char *prefix)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "..", ".", "a/b"};
	uint8_t shape = cursor_u8(&in->bytes);
	unsigned count = shape % 4;
	size_t at = 0;

	if (shape & 0x80)
		out[at++] = '/';
	for (unsigned i = 0; i < count; i++) {
		uint8_t which = cursor_u8(&in->bytes) % 32;

		/* The odd ones seldom. */
		at += (size_t)snprintf(out + at, room - at, "%s/", names[which < 8 ? which : which % 5]);
	}
	snprintf(out + at, room - at, "%s%s", prefix, names[cursor_u8(&in->bytes) % 4]);
}

/* False: the layer ends. */
static bool take_entry(
	struct input *in, struct tar_entry *e, char *path, size_t path_room, char *link, size_t link_room)
{
	static const enum tar_type types[] = {TAR_FILE, TAR_FILE, TAR_FILE, TAR_FILE, TAR_DIRECTORY,
		TAR_DIRECTORY, TAR_DIRECTORY, TAR_SYMBOLIC_LINK, TAR_SYMBOLIC_LINK, TAR_HARD_LINK,
		TAR_HARD_LINK, TAR_HARD_LINK, TAR_FIFO, TAR_CHARACTER_DEVICE};
	uint8_t op = cursor_u8(&in->bytes), which = op % 20;
	struct made *made = &in->made[in->count];

	if (in->bytes.failed || in->count == FILES_MAX || which == 19)
		return false;
	*e = (struct tar_entry){.path = path, .mode = op, .uid = in->count++, .mtime = -(int64_t)op};
	e->type = which < sizeof types / sizeof *types ? types[which] : TAR_FILE;
	take_path(in, path, path_room, which == 15 || which == 16 ? ".wh." : "");
	if (which == 17)
		strcpy(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, ".wh..wh..opq");
	if (e->type == TAR_FILE)
		e->size = sizes[op / 20 % 8];
	if (e->type == TAR_HARD_LINK || e->type == TAR_SYMBOLIC_LINK) {
		take_path(in, link, link_room, "");
		e->link = link;
		snprintf(made->link, sizeof made->link, "%s", link);
	}
	made->type = e->type;
	made->size = (uint32_t)e->size;
	return true;
}

static int put_data(struct merge *m, const struct tar_entry *e, struct error *err)
{
	uint8_t bytes[1000];
	int r = 0;

	for (uint64_t at = 0, n; r == 0 && at < e->size; at += n) {
		if (!has_data((uint32_t)e->size, at))
			at = e->size - SPARSE_PART;
		for (n = 0; n < sizeof bytes && at + n < e->size && has_data((uint32_t)e->size, at + n); n++)
			bytes[n] = data_byte(e->uid, at + n);
		r = merge_data(m, at, bytes, (size_t)n, err);
	}
	return r;
}

static int put_layer(struct input *in, struct merge *m, struct error *err)
{
	struct tar_xattr xattr = {.name = (char *)(uintptr_t) "user.id"};
	char path[64], link[64];
	struct tar_entry e;
	int r = 0;

	while (r == 0 && take_entry(in, &e, path, sizeof path, link, sizeof link)) {
		if (e.mode & 1) {
			xattr.value = (uint8_t *)&e.uid;
			xattr.size = sizeof e.uid;
			e.xattrs = &xattr;
			e.xattr_count = 1;
		}
		r = merge_entry(m, &e, err);
		if (r == 0 && e.type == TAR_FILE)
			r = put_data(m, &e, err);
		if (r == 0)
			r = merge_entry_end(m, err);
	}
	return r;
}

static int put_layers(struct input *in, struct merge *m, struct error *err)
{
	int r = 0;

	for (uint32_t layer = LAYERS_MAX; r == 0 && layer-- > 0;) {
		r = merge_layer_begin(m, layer, err);
		if (r == 0)
			r = put_layer(in, m, err);
		if (r == 0)
			r = merge_layer_end(m, err);
	}
	return r;
}

static int build(struct input *in, int fd, uint64_t seed)
{
	struct erofs_options options = {.name = "image"};
	struct merge_options merge = {.entries = 3000, .seed = seed};
	struct erofs_inode *root;
	struct erofs_writer *w;
	struct merge_sink sink;
	struct error err = {0};
	struct spool *spool;
	struct merge *m;
	int r;

	assert(ftruncate(fd, 0) == 0);
	assert(erofs_writer_new(fd, &options, &w, &err) == 0 && spool_new(w, -1, &spool, &err) == 0);
	sink = spool_sink(spool);
	assert(merge_new(&merge, &sink, &m, &err) == 0);
	r = put_layers(in, m, &err);
	if (r == 0)
		r = merge_finish(m, &root, &err);
	if (r == 0) {
		r = erofs_writer_finish(w, root, &err);
		assert(r == 0);
	}
	assert(r == 0 || ((r == -ERROR_INVALID || r == -ERROR_LIMIT) && r == -(int)err.code && *err.text));
	merge_free(m);
	spool_free(spool);
	erofs_writer_free(w);
	return r;
}

/* ---- what came of it -------------------------------------------------------------------------------- */

struct seen {
	uint64_t nid;
	uint32_t names, links;
};

struct check {
	const struct input *in;
	struct erofs_reader reader;
	struct seen *seen;
	size_t count;
	unsigned depth;
	/* of the directory at hand */
	uint64_t here, parent;
	char last[EROFS_NAME_MAX + 1];
	size_t last_size;
	bool first;
};

static struct seen *see(struct check *c, const struct erofs_stat *s, bool *again)
{
	*again = true;
	for (size_t i = 0; i < c->count; i++)
		if (c->seen[i].nid == s->nid)
			return &c->seen[i];
	*again = false;
	assert(c->count < c->reader.inodes);
	c->seen[c->count] = (struct seen){.nid = s->nid, .links = s->links};
	return &c->seen[c->count++];
}

static void check_data(struct check *c, const struct erofs_stat *s)
{
	const struct made *made = &c->in->made[s->uid];
	static uint8_t bytes[1 << 18];
	struct error err;

	assert(made->type == TAR_FILE && made->size == s->size);
	assert(erofs_reader_read(&c->reader, s, 0, bytes, sizeof bytes, &err) == (int64_t)s->size);
	for (uint64_t i = 0; i < s->size; i++) {
		if (!has_data(made->size, i)) {
			uint64_t hole = s->size - SPARSE_PART - i;

			assert(bytes[i] == 0 && memcmp(bytes + i, bytes + i + 1, hole - 1) == 0);
			i += hole;
		}
		assert(bytes[i] == data_byte(s->uid, i));
	}
}

static void check_target(struct check *c, const struct erofs_stat *s)
{
	const struct made *made = &c->in->made[s->uid];
	char target[sizeof made->link] = {0};
	struct error err;

	assert(made->type == TAR_SYMBOLIC_LINK && s->size == strlen(made->link));
	assert(erofs_reader_read(&c->reader, s, 0, target, sizeof target, &err) == (int64_t)s->size);
	assert(memcmp(target, made->link, (size_t)s->size) == 0);
}

static int check_xattr(void *context, const char *name, const uint8_t *value, size_t n)
{
	const struct erofs_stat *s = context;
	uint32_t id;

	assert(strcmp(name, "user.id") == 0 && n == sizeof id);
	memcpy(&id, value, sizeof id);
	assert(id == s->uid);
	return 0;
}

static void check_directory(struct check *c, const struct erofs_stat *s, uint64_t parent);

static void check_order(struct check *c, const char *name, size_t n)
{
	size_t least = n < c->last_size ? n : c->last_size;
	int order = memcmp(c->last, name, least);

	assert(n > 0 && n <= EROFS_NAME_MAX && !memchr(name, '/', n) && !memchr(name, 0, n));
	assert(c->first || order < 0 || (order == 0 && c->last_size < n));
	assert(n < 4 || memcmp(name, ".wh.", 4) != 0);
	memcpy(c->last, name, n);
	c->last_size = n;
	c->first = false;
}

static int check_name(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	static const mode_t types[] = {0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};
	struct check *c = context;
	struct erofs_stat s;
	struct error err;
	struct seen *seen;
	bool again;

	check_order(c, name, n);
	if (n <= 2 && memcmp(name, "..", n) == 0) {
		assert(nid == (n == 1 ? c->here : c->parent));
		return 0;
	}
	assert(erofs_reader_stat(&c->reader, nid, &s, &err) == 0);
	assert(type < 8 && (s.mode & S_IFMT) == types[type]);
	seen = see(c, &s, &again);
	seen->names++;
	assert(s.uid < FILES_MAX && (!again || !S_ISDIR(s.mode)));
	assert(erofs_reader_xattrs(&c->reader, &s, check_xattr, &s, &err) == 0);
	if (S_ISREG(s.mode))
		check_data(c, &s);
	else if (S_ISLNK(s.mode))
		check_target(c, &s);
	else if (S_ISDIR(s.mode))
		check_directory(c, &s, c->here);
	return 0;
}

/* The state of the directory above is put back at the end. */
static void check_directory(struct check *c, const struct erofs_stat *s, uint64_t parent)
{
	struct check above = *c;
	struct error err;

	assert(c->depth < DEPTH_MAX);
	c->depth++;
	c->here = s->nid;
	c->parent = parent;
	c->first = true;
	assert(erofs_reader_list(&c->reader, s, check_name, c, &err) == 0 && !c->first);
	above.count = c->count;
	*c = above;
}

static void check_image(const struct input *in, int fd)
{
	struct check c = {.in = in};
	struct erofs_stat s;
	struct error err;
	bool again;

	assert(erofs_reader_open(fd, &c.reader, &err) == 0 && c.reader.inodes <= FILES_MAX * 8);
	c.seen = calloc((size_t)c.reader.inodes, sizeof *c.seen);
	assert(c.seen && erofs_reader_stat(&c.reader, c.reader.root, &s, &err) == 0 && S_ISDIR(s.mode));
	see(&c, &s, &again);
	check_directory(&c, &s, s.nid);
	assert(c.count == c.reader.inodes);
	for (size_t i = 0; i < c.count; i++) {
		assert(erofs_reader_stat(&c.reader, c.seen[i].nid, &s, &err) == 0);
		assert(S_ISDIR(s.mode) ? s.links >= 2 : s.links == c.seen[i].names);
	}
	free(c.seen);
}

static void must_equal(int a, int b)
{
	struct stat s, t;
	void *x, *y;

	assert(fstat(a, &s) == 0 && fstat(b, &t) == 0 && s.st_size == t.st_size);
	x = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_SHARED, a, 0);
	y = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_SHARED, b, 0);
	assert(x != MAP_FAILED && y != MAP_FAILED && memcmp(x, y, (size_t)s.st_size) == 0);
	munmap(x, (size_t)s.st_size);
	munmap(y, (size_t)s.st_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;
	static int fds[2];
	int r;

	if (!fds[1]) {
		fds[0] = memfd_create("one", 0);
		fds[1] = memfd_create("other", 0);
	}
	in.count = 0;
	in.bytes = cursor_of(data, size);
	r = build(&in, fds[0], 1);
	if (r == 0)
		check_image(&in, fds[0]);
	in.count = 0;
	in.bytes = cursor_of(data, size);
	assert(build(&in, fds[1], UINT64_MAX / 3) == r);
	if (r == 0)
		must_equal(fds[0], fds[1]);
	return 0;
}
