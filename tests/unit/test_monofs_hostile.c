/* SPDX-License-Identifier: Apache-2.0 */
/* Packs that somebody made to harm: refused, with the object's id or the pack's name, in bounded memory. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "monofs/pack_file.h"
#include "monofs_place.h"

static struct store *open_store(int fd, const struct crypt *c)
{
	struct store *s;
	struct error err;

	CHECK_OK(store_open_at(fd, c, false, NULL, &s, &err));
	return s;
}

/* What a hostile writer puts into a pack. */
struct lie {
	enum pack_form form;
	const void *bytes;
	size_t size;
	struct pack_object objects[3];
	uint32_t count;
};

static void write_pack(int fd, const struct crypt *c, const struct lie *lies, unsigned count)
{
	int packs = openat(fd, "packs", O_RDONLY | O_DIRECTORY);
	struct pack *p;
	struct error err;

	CHECK(packs >= 0);
	CHECK_OK(pack_create(packs, "new.x", c, &p, &err));
	for (unsigned i = 0; i < count; i++) {
		struct pack_frame frame;

		CHECK_OK(pack_directory_reserve(&p->directory, lies[i].count, &err));
		CHECK_OK(pack_write_frame(p, c, lies[i].form, lies[i].bytes, lies[i].size, &frame, &err));
		pack_directory_add(&p->directory, &frame, lies[i].objects, lies[i].count);
	}
	CHECK_OK(pack_finish(p, c, &err));
	CHECK_OK(pack_publish(p, packs, &err));
	pack_close(p);
	close(packs);
}

static struct object_id id_of(const struct crypt *c, enum object_type type, const void *bytes, size_t n)
{
	struct object_id id;
	struct error err;

	CHECK_OK(crypt_id(c, type, bytes, n, &id, &err));
	return id;
}

static void refuses(struct store *s, enum object_type type, const struct object_id *id)
{
	char hex[OBJECT_HEX_SIZE];
	struct store_bytes bytes = {0};
	struct error err;

	CHECK_ERROR(store_get(s, type, id, &bytes, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, object_id_hex(id, hex)));
	CHECK(!bytes.held);
}

TEST(an_object_under_a_wrong_id_is_refused)
{
	for (uint8_t key = 0; key < 2; key++) {
		int fd = monofs_store_make(monofs_place(), "s");
		struct lie lie = {.form = PACK_RAW, .bytes = "evil good", .size = 9, .count = 2};
		struct store_bytes bytes;
		struct error err;
		struct crypt c;
		struct store *s;

		monofs_crypt(&c, key);
		lie.objects[0] = (struct pack_object){{{0}}, 5, OBJECT_CHUNK};
		lie.objects[0].id = id_of(&c, OBJECT_CHUNK, "right", 5);
		lie.objects[1] = (struct pack_object){id_of(&c, OBJECT_CHUNK, "good", 4), 4, OBJECT_CHUNK};
		write_pack(fd, &c, &lie, 1);
		s = open_store(fd, &c);
		refuses(s, OBJECT_CHUNK, &lie.objects[0].id);
		CHECK_OK(store_get(s, OBJECT_CHUNK, &lie.objects[1].id, &bytes, &err));
		store_release(s, &bytes);
		store_close(s);
		close(fd);
	}
}

TEST(an_object_of_another_type_is_refused)
{
	int fd = monofs_store_make(monofs_place(), "s");
	struct lie lie = {.form = PACK_RAW, .bytes = "tree", .size = 4, .count = 1};
	struct crypt c;
	struct store *s;

	monofs_crypt(&c, 0);
	lie.objects[0] = (struct pack_object){id_of(&c, OBJECT_CONTENT, "tree", 4), 4, OBJECT_CONTENT};
	write_pack(fd, &c, &lie, 1);
	s = open_store(fd, &c);
	refuses(s, OBJECT_CHUNK, &lie.objects[0].id);
	store_close(s);
	close(fd);
}

/* 1 GiB of zeroes, as 64 frames of 16 MiB. */
TEST(a_zip_bomb_is_refused_in_little_memory)
{
	const size_t size = 1u << 24;
	int fd = monofs_store_make(monofs_place(), "s");
	uint8_t *zeroes = calloc(1, size), *bomb = malloc(1u << 20);
	struct lie lie = {.form = PACK_ZSTD, .bytes = bomb, .count = 1};
	struct rusage before, after;
	struct object_id id = {{7}};
	struct crypt c;
	struct store *s;
	size_t one = ZSTD_compress(bomb, 1u << 20, zeroes, size, 3);

	CHECK(!ZSTD_isError(one) && one * 64 < 1u << 20);
	for (unsigned i = 0; i < 64; i++)
		memcpy(bomb + i * one, bomb, one);
	lie.size = 64 * one;
	free(zeroes);
	monofs_crypt(&c, 0);
	lie.objects[0] = (struct pack_object){id, 1u << 20, OBJECT_CHUNK};
	write_pack(fd, &c, &lie, 1);
	s = open_store(fd, &c);
	getrusage(RUSAGE_SELF, &before);
	for (unsigned i = 0; i < 50; i++)
		refuses(s, OBJECT_CHUNK, &id);
	getrusage(RUSAGE_SELF, &after);
	CHECK(after.ru_maxrss - before.ru_maxrss < 65536);
	store_close(s);
	free(bomb);
	close(fd);
}

TEST(a_frame_that_gives_less_than_it_says_is_refused)
{
	int fd = monofs_store_make(monofs_place(), "s");
	struct lie lies[2] = {{.form = PACK_RAW, .bytes = "abc", .size = 3, .count = 1},
		{.form = PACK_ZSTD, .bytes = "no zstd at all", .size = 14, .count = 1}};
	struct crypt c;
	struct store *s;

	monofs_crypt(&c, 0);
	lies[0].objects[0] = (struct pack_object){{{1}}, 1000, OBJECT_CHUNK};
	lies[1].objects[0] = (struct pack_object){{{2}}, 1000, OBJECT_CHUNK};
	write_pack(fd, &c, lies, 2);
	s = open_store(fd, &c);
	refuses(s, OBJECT_CHUNK, &lies[0].objects[0].id);
	refuses(s, OBJECT_CHUNK, &lies[1].objects[0].id);
	store_close(s);
	close(fd);
}

TEST(sizes_and_types_that_no_object_has_make_no_pack)
{
	static const struct pack_object bad[] = {{{{1}}, 0, OBJECT_CHUNK}, {{{1}}, 4, 0}, {{{1}}, 4, 99},
		{{{1}}, (1u << 20) + 1, OBJECT_CHUNK}, {{{1}}, UINT32_MAX, OBJECT_CONTENT}};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		int fd = monofs_store_make(monofs_place(), "s");
		struct lie lie = {
			.form = PACK_RAW, .bytes = "abcd", .size = 4, .objects = {bad[i]}, .count = 1};
		struct store_bytes bytes;
		struct error err;
		struct crypt c;
		struct store *s;

		monofs_crypt(&c, 0);
		write_pack(fd, &c, &lie, 1);
		s = open_store(fd, &c); /* which leaves it out */
		CHECK_ERROR(store_get(s, OBJECT_CHUNK, &bad[i].id, &bytes, &err), ERROR_NOT_FOUND);
		store_close(s);
		close(fd);
	}
}

TEST(counts_that_cannot_be_are_refused_before_memory_is_taken)
{
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_pack_directory_ struct pack_directory d = {0};
	struct error err;

	buffer_u32(&b, UINT32_MAX);
	buffer_u32(&b, UINT32_MAX);
	CHECK_ERROR(pack_directory_decode(b.data, b.size, 1000, &d, &err), ERROR_CORRUPT);
	buffer_clear(&b);
	buffer_u32(&b, 1);
	buffer_u32(&b, PACK_OBJECTS_MAX + 1);
	CHECK_ERROR(pack_directory_decode(b.data, b.size, 1000, &d, &err), ERROR_CORRUPT);
	CHECK_ERROR(pack_directory_decode(b.data, 3, 1000, &d, &err), ERROR_CORRUPT);
}

/* ---- of other repositories --------------------------------------------------------------------------- */

static void note_file(void *context, const struct object_id *id, const char *file, const char *what)
{
	unsigned *files = context;

	(void)what;
	*files += id == NULL && strncmp(file, "packs/", 6) == 0;
}

TEST(another_repositorys_packs_are_strangers)
{
	static const uint8_t keys[][2] = {{1, 2}, {0, 1}, {1, 0}};

	for (unsigned i = 0; i < 3; i++) {
		int fd = monofs_store_make(monofs_place(), "s");
		struct lie lie = {.form = PACK_RAW, .bytes = "abcd", .size = 4, .count = 1};
		unsigned files = 0;
		struct store_check check = {.damaged = note_file, .context = &files};
		struct store_bytes bytes;
		struct crypt theirs, ours;
		struct error err;
		struct store *s;

		monofs_crypt(&theirs, keys[i][0]);
		monofs_crypt(&ours, keys[i][1]);
		lie.objects[0] = (struct pack_object){id_of(&ours, OBJECT_CHUNK, "abcd", 4), 4, OBJECT_CHUNK};
		write_pack(fd, &theirs, &lie, 1);
		s = open_store(fd, &ours);
		CHECK_ERROR(store_get(s, OBJECT_CHUNK, &lie.objects[0].id, &bytes, &err), ERROR_NOT_FOUND);
		CHECK_OK(store_check(s, &check, &err));
		CHECK_INT(files, 1);
		store_close(s);
		close(fd);
	}
}

TEST(names_in_packs_that_are_no_packs_are_passed_over)
{
	int fd = monofs_store_make(monofs_place(), "s"), packs = openat(fd, "packs", O_RDONLY | O_DIRECTORY);
	struct crypt c;

	CHECK(mkdirat(packs, "zz", 0700) == 0 && mkdirat(packs, "ab", 0700) == 0);
	CHECK(symlinkat("/etc/passwd", packs, "ab/passwd") == 0);
	CHECK(mkfifoat(packs,
		      "ab/"
		      "ab00000000000000000000000000000000000000000000000000000000000000",
		      0600) == 0);
	CHECK(symlinkat("/dev/zero", packs,
		      "ab/ab11111111111111111111111111111111111111111111111111111111111111") == 0);
	monofs_crypt(&c, 0);
	store_close(open_store(fd, &c));
	close(packs);
	close(fd);
}
