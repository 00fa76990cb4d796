/* SPDX-License-Identifier: Apache-2.0 */
/* Files' contents: the same bytes are the same parts however they were written; holes; lists; what lies. */
#include <stdlib.h>

#include "memory_store.h"
#include "monofs/content_list.h"
#include "test.h"

#define FILE_MAX (6u << 20)

static struct crypt crypt_of_test;
static struct store *store;
static struct store_writer *writer;
static struct content_writer *files, *updates;
static struct error err;

static void begin(void)
{
	memory_store_crypt(&crypt_of_test);
	store = memory_store_new(&crypt_of_test);
	CHECK_OK(store_writer_new(store, &writer, &err));
	CHECK_OK(content_writer_new(writer, &crypt_of_test, &files, &err));
	CHECK_OK(content_writer_new(writer, &crypt_of_test, &updates, &err));
}

static void end(void)
{
	content_writer_free(files);
	content_writer_free(updates);
	store_writer_free(writer);
	store_close(store);
}

/* ---- a file in memory ---- */

struct file {
	uint8_t *bytes;
	uint64_t size, at;
	bool tells_holes;
	uint64_t read; /* bytes that were asked for and given */
};

static uint64_t zeroes_at(const struct file *f, uint64_t at)
{
	uint64_t n = 0;

	while (at + n < f->size && f->bytes[at + n] == 0)
		n++;
	return n;
}

static ssize_t read_at(void *context, void *to, size_t n, uint64_t offset, uint64_t *hole, struct error *e)
{
	struct file *f = context;
	uint64_t zeroes;

	(void)e;
	if (offset >= f->size)
		return 0;
	zeroes = f->tells_holes ? zeroes_at(f, offset) : 0;
	if (zeroes > 4096) {
		*hole = zeroes;
		return 0;
	}
	if (n > f->size - offset)
		n = (size_t)(f->size - offset);
	memcpy(to, f->bytes + offset, n);
	f->read += n;
	return (ssize_t)n;
}

static ssize_t read_next(void *context, void *to, size_t n, uint64_t *hole, struct error *e)
{
	struct file *f = context;
	ssize_t got = read_at(f, to, n, f->at, hole, e);

	f->at += *hole ? *hole : (uint64_t)got;
	return got;
}

static void write_file(struct content_writer *w, struct file *f, struct content *out)
{
	struct content_source source = {.read = read_next, .context = f};

	f->at = 0;
	CHECK_OK(content_write(w, &source, out, &err));
}

static void fill(uint8_t *bytes, size_t n)
{
	uint32_t state = (uint32_t)rand();

	for (size_t i = 0; i < n; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(state >> 24);
	}
}

static void file_init(struct file *f, uint64_t size)
{
	*f = (struct file){.bytes = calloc(1, FILE_MAX), .size = size};
	CHECK(f->bytes);
	fill(f->bytes, (size_t)size);
}

static bool same(const struct content *a, const struct content *b)
{
	if (a->size != b->size || a->depth != b->depth || a->ref_count != b->ref_count)
		return false;
	if (a->ref_count == 0)
		return a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0;
	for (size_t i = 0; i < a->ref_count; i++) {
		if (a->refs[i].size != b->refs[i].size || !object_id_equal(&a->refs[i].id, &b->refs[i].id))
			return false;
	}
	return true;
}

/* As an entry has it: refs of its own. */
static struct content copy_of(const struct content *c)
{
	struct content out = *c;

	out.refs = malloc(c->ref_count * sizeof *c->refs + 1);
	CHECK(out.refs);
	if (c->ref_count)
		memcpy(out.refs, c->refs, c->ref_count * sizeof *c->refs);
	out.bytes = malloc(ENTRY_INLINE_MAX);
	CHECK(out.bytes);
	if (!c->ref_count && c->size)
		memcpy((uint8_t *)out.bytes, c->bytes, c->size);
	return out;
}

static void copy_free(struct content *c)
{
	free(c->refs);
	free((uint8_t *)c->bytes);
}

static void check_read(const struct content *c, const struct file *f)
{
	uint8_t *got = malloc(FILE_MAX);

	CHECK(got);
	CHECK_INT(c->size, f->size);
	for (uint64_t at = 0; at < f->size;) {
		size_t n = (size_t)rand() % 300000 + 1;
		ssize_t r = content_read(store, c, got, n, at, &err);

		CHECK_OK((int)r);
		CHECK_INT(r, n < f->size - at ? n : f->size - at);
		CHECK(memcmp(got, f->bytes + at, (size_t)r) == 0);
		at += (uint64_t)r;
	}
	CHECK_INT(content_read(store, c, got, 1, f->size, &err), 0);
	free(got);
}

TEST(what_was_written_is_read_whatever_its_size)
{
	static const uint64_t sizes[] = {
		0, 1, 255, 256, 257, 1023, 1024, 1025, 16384, 16385, 100000, 1048576, FILE_MAX};
	struct file f;
	struct content c;

	begin();
	srand(1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		file_init(&f, sizes[i]);
		write_file(files, &f, &c);
		CHECK((c.ref_count == 0) == (sizes[i] <= ENTRY_INLINE_MAX));
		CHECK(c.ref_count <= ENTRY_REFS_MAX);
		check_read(&c, &f);
		free(f.bytes);
	}
	end();
}

TEST(a_large_file_has_lists_and_is_walked_in_order)
{
	struct file f;
	struct content c;

	begin();
	srand(2);
	file_init(&f, FILE_MAX);
	write_file(files, &f, &c);
	CHECK(c.depth > 0);
	check_read(&c, &f);
	free(f.bytes);
	end();
}

/* ---- updates ---- */

struct edit {
	struct content_range ranges[8];
	size_t count;
};

static int by_offset(const void *a, const void *b)
{
	const struct content_range *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Ranges that are near each other are one, as they may not meet. */
static void sort_ranges(struct edit *e)
{
	size_t n = 0;

	qsort(e->ranges, e->count, sizeof *e->ranges, by_offset);
	for (size_t i = 0; i < e->count; i++) {
		struct content_range *last = n ? &e->ranges[n - 1] : NULL;
		uint64_t end = e->ranges[i].offset + e->ranges[i].size;

		if (!last || last->offset + last->size < e->ranges[i].offset) {
			e->ranges[n++] = e->ranges[i];
			continue;
		}
		if (end > last->offset + last->size)
			last->size = end - last->offset;
	}
	e->count = n;
}

static void edit_range(struct file *f, struct edit *e)
{
	uint64_t offset = (uint64_t)rand() % FILE_MAX, most = rand() % 3 ? 5000 : 900000, n;

	if (offset >= f->size && rand() % 2)
		offset = f->size;
	n = (uint64_t)rand() % most + 1;
	if (n > FILE_MAX - offset)
		n = FILE_MAX - offset;
	if (n == 0)
		return;
	if (rand() % 3 == 0)
		memset(f->bytes + offset, 0, (size_t)n);
	else
		fill(f->bytes + offset, (size_t)n);
	if (offset + n > f->size)
		f->size = offset + n;
	e->ranges[e->count++] = (struct content_range){.offset = offset, .size = n};
}

/* What is cut off is a change: there may be other bytes again before the file is stored. */
static void edit_size(struct file *f, struct edit *e)
{
	uint64_t size = rand() % 4 ? (uint64_t)rand() % FILE_MAX : (uint64_t)rand() % 3000;

	if (size < f->size) {
		memset(f->bytes + size, 0, (size_t)(f->size - size));
		e->ranges[e->count++] = (struct content_range){.offset = size, .size = f->size - size};
	}
	f->size = size;
}

static void random_edit(struct file *f, struct edit *e)
{
	unsigned n = (unsigned)rand() % 5;

	e->count = 0;
	if (rand() % 5 == 0)
		edit_size(f, e);
	for (unsigned i = 0; i < n; i++)
		edit_range(f, e);
	if (rand() % 7 == 0)
		edit_size(f, e);
	sort_ranges(e);
}

TEST(a_file_that_was_changed_is_as_one_that_was_written_so)
{
	struct content base, whole, updated;
	struct file f;
	struct edit e;

	begin();
	srand(3);
	file_init(&f, 3000000);
	write_file(files, &f, &whole);
	base = copy_of(&whole);
	for (unsigned round = 0; round < 100; round++) {
		struct content_reader_at source = {.read = read_at, .context = &f};

		random_edit(&f, &e);
		f.tells_holes = rand() % 2;
		CHECK_OK(content_update(updates, &base, e.ranges, e.count, f.size, &source, &updated, &err));
		f.tells_holes = rand() % 2;
		write_file(files, &f, &whole);
		if (!same(&updated, &whole))
			test_fail(__FILE__, __LINE__, "round %u: not the same, size %llu", round,
				(unsigned long long)f.size);
		copy_free(&base);
		base = copy_of(&updated);
	}
	check_read(&base, &f);
	copy_free(&base);
	free(f.bytes);
	end();
}

TEST(a_small_change_of_a_large_file_reads_little)
{
	struct content base, updated;
	struct content_range range = {.offset = 4000000, .size = 1};
	struct file f;
	struct content_reader_at source = {.read = read_at, .context = &f};

	begin();
	srand(4);
	file_init(&f, FILE_MAX);
	write_file(files, &f, &updated);
	base = copy_of(&updated);
	f.bytes[4000000] ^= 1;
	f.read = 0;
	size_t objects = memory_store_objects(store);
	CHECK_OK(content_update(updates, &base, &range, 1, f.size, &source, &updated, &err));
	CHECK(f.read <= 3u << 20);
	CHECK(memory_store_objects(store) - objects < 8);
	copy_free(&base);
	free(f.bytes);
	end();
}

/* ---- holes ---- */

#define HUGE (1ull << 50)

/* One byte in the middle of so much that nobody could read it. */
static ssize_t read_huge(void *context, void *to, size_t n, uint64_t offset, uint64_t *hole, struct error *e)
{
	(void)context;
	(void)n;
	(void)e;
	if (offset >= HUGE)
		return 0;
	if (offset == HUGE / 2) {
		*(uint8_t *)to = 'x';
		/* Fewer bytes than were asked for would be the end. */
		memset((uint8_t *)to + 1, 0, n - 1);
		return (ssize_t)n;
	}
	*hole = (offset < HUGE / 2 ? HUGE / 2 : HUGE) - offset;
	return 0;
}

struct huge {
	uint64_t at;
};

static ssize_t read_huge_next(void *context, void *to, size_t n, uint64_t *hole, struct error *e)
{
	struct huge *h = context;
	ssize_t got = read_huge(NULL, to, n, h->at, hole, e);

	h->at += *hole ? *hole : (uint64_t)got;
	return got;
}

TEST(a_petabyte_of_holes_costs_three_parts)
{
	struct huge h = {0};
	struct content_source source = {.read = read_huge_next, .context = &h};
	struct content_ref ref;
	struct content c;
	uint64_t begins;
	uint8_t byte = 0;

	begin();
	CHECK_OK(content_write(files, &source, &c, &err));
	CHECK_INT(c.size, HUGE);
	CHECK_INT(c.ref_count, 3);
	CHECK(object_id_is_none(&c.refs[0].id) && object_id_is_none(&c.refs[2].id));
	CHECK_INT(content_read(store, &c, &byte, 1, HUGE / 2, &err), 1);
	CHECK_INT(byte, 'x');
	CHECK_INT(content_read(store, &c, &byte, 1, HUGE / 2 - 1, &err), 1);
	CHECK_INT(byte, 0);
	CHECK_OK(content_find(store, &c, HUGE - 1, &ref, &begins, &err));
	CHECK(object_id_is_none(&ref.id));
	CHECK_ERROR(content_find(store, &c, HUGE, &ref, &begins, &err), ERROR_NOT_FOUND);
	end();
}

TEST(a_change_in_a_petabyte_of_holes_costs_little)
{
	struct huge h = {0};
	struct content_source source = {.read = read_huge_next, .context = &h};
	struct content_reader_at reader = {.read = read_huge};
	struct content_range range = {.offset = HUGE / 2, .size = 1};
	struct content base = {.size = HUGE, .ref_count = 1};
	struct content_ref hole = {.size = HUGE};
	struct content whole, updated;

	begin();
	base.refs = &hole;
	CHECK_OK(content_write(files, &source, &whole, &err));
	CHECK_OK(content_update(updates, &base, &range, 1, HUGE, &reader, &updated, &err));
	CHECK(same(&whole, &updated));
	end();
}

TEST(zeroes_are_a_hole_whether_they_are_told_or_read)
{
	struct content told, read;
	struct file f;

	begin();
	srand(5);
	file_init(&f, 2000000);
	memset(f.bytes + 300000, 0, 900000);
	f.tells_holes = true;
	write_file(files, &f, &told);
	f.tells_holes = false;
	write_file(updates, &f, &read);
	CHECK(same(&told, &read));
	free(f.bytes);
	end();
}

TEST(a_source_that_fails_or_ends_early_is_an_error)
{
	struct content base, out;
	struct content_range range = {.offset = 0, .size = 10};
	struct file f;
	struct content_reader_at source = {.read = read_at, .context = &f};

	begin();
	file_init(&f, 100000);
	write_file(files, &f, &out);
	base = copy_of(&out);
	CHECK_ERROR(content_update(updates, &base, &range, 1, 200000, &source, &out, &err), ERROR_INVALID);
	copy_free(&base);
	free(f.bytes);
	end();
}

/* ---- what lies ---- */

static void put_ref(struct buffer *b, uint8_t id, uint64_t size)
{
	struct object_id out = {.bytes = {id}};

	buffer_append(b, out.bytes, OBJECT_ID_SIZE);
	buffer_u64(b, size);
}

static int take_any(void *context, uint64_t offset, const struct content_ref *ref, struct error *e)
{
	(void)context;
	(void)offset;
	(void)ref;
	(void)e;
	return 0;
}

static void check_list(struct buffer *b, uint64_t size, const char *why)
{
	struct content_ref ref = {.size = size};
	struct content c = {.size = size, .depth = 1, .refs = &ref, .ref_count = 1};
	char hex[OBJECT_HEX_SIZE];
	uint8_t byte;

	memory_store_plant(store, OBJECT_LIST, b->data, b->size, &ref.id);
	err = (struct error){0};
	CHECK_ERROR(content_walk(store, &c, take_any, NULL, NULL, &err), ERROR_CORRUPT);
	if (!strstr(err.text, why) || !strstr(err.text, object_id_hex(&ref.id, hex)))
		test_fail(__FILE__, __LINE__, "'%s' is said, not '%s'", err.text, why);
	CHECK_ERROR((int)content_read(store, &c, &byte, 1, size - 1, &err), ERROR_CORRUPT);
	buffer_clear(b);
}

static void begin_list(struct buffer *b, unsigned depth, unsigned count)
{
	buffer_u8(b, (uint8_t)depth);
	buffer_u16(b, (uint16_t)count);
}

TEST(a_list_that_no_writer_makes_is_refused_by_its_id)
{
	_cleanup_buffer_ struct buffer b = {0};

	begin();
	begin_list(&b, 0, 0);
	check_list(&b, 500, "wrong length");
	begin_list(&b, 0, 65535);
	put_ref(&b, 1, 500);
	check_list(&b, 500, "wrong length");
	begin_list(&b, 1, 1);
	put_ref(&b, 1, 500);
	check_list(&b, 500, "depth");
	begin_list(&b, 0, 1);
	put_ref(&b, 1, 499);
	check_list(&b, 500, "less");
	begin_list(&b, 0, 2);
	put_ref(&b, 1, 500);
	put_ref(&b, 0, UINT64_MAX);
	check_list(&b, 500, "more");
	begin_list(&b, 0, 2);
	put_ref(&b, 0, 250);
	put_ref(&b, 0, 250);
	check_list(&b, 500, "hole");
	begin_list(&b, 0, 2);
	put_ref(&b, 1, 500);
	put_ref(&b, 2, 0);
	check_list(&b, 500, "without bytes");
	begin_list(&b, 0, 1);
	put_ref(&b, 1, 2u << 20);
	check_list(&b, 2u << 20, "too large");
	end();
}

TEST(a_chunk_of_another_size_than_is_said_is_refused)
{
	uint8_t bytes[600] = {1};
	struct content_ref ref = {.size = 601};
	struct content c = {.size = 601, .refs = &ref, .ref_count = 1};

	begin();
	memory_store_plant(store, OBJECT_CHUNK, bytes, sizeof bytes, &ref.id);
	CHECK_ERROR((int)content_read(store, &c, bytes, 1, 0, &err), ERROR_CORRUPT);
	end();
}

TEST(each_failure_of_the_store_is_told)
{
	struct content out;
	struct file f;
	struct content_source source = {.read = read_next, .context = &f};

	begin();
	file_init(&f, 300000);
	for (unsigned n = 1;; n++) {
		int r;

		f.at = 0;
		memory_store_fail(store, n);
		r = content_write(files, &source, &out, &err);
		if (!memory_store_failed(store))
			break;
		CHECK_INT(r, -(int)ERROR_NO_SPACE);
	}
	memory_store_fail(store, 0);
	free(f.bytes);
	end();
}
