/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, identities and roots: the same bytes back, and no other bytes taken for them. */
#include <stdlib.h>

#include "memory_store.h"
#include "monofs/entry.h"
#include "test.h"

static struct error err;

/* A file with all that it can have. */
static void make_file(struct entry *e, struct content_ref refs[3], struct entry_xattr xattrs[2])
{
	refs[0] = (struct content_ref){.id = {.bytes = {1, 2, 3}}, .size = 100000};
	refs[1] = (struct content_ref){.size = 1ull << 40};
	refs[2] = (struct content_ref){.id = {.bytes = {4}}, .size = 7};
	xattrs[0] =
		(struct entry_xattr){.name = "user.a", .value = (const uint8_t *)"value", .value_size = 5};
	xattrs[1] = (struct entry_xattr){.name = "user.b", .value_size = 5000, .object = {.bytes = {9}}};
	*e = (struct entry){.kind = ENTRY_FILE,
		.mode = 04755,
		.uid = 1000,
		.gid = UINT32_MAX,
		.mtime = {.seconds = -5, .nanoseconds = 999999999},
		.xattrs = xattrs,
		.xattr_count = 2,
		.content = {.size = 100000 + (1ull << 40) + 7, .refs = refs, .ref_count = 3}};
}

static struct entry make(enum entry_kind kind)
{
	struct entry e = {.kind = kind, .mode = 0644, .mtime = {.seconds = 1}};

	if (kind == ENTRY_LINK)
		e = (struct entry){.kind = kind};
	if (kind == ENTRY_SYMLINK || kind == ENTRY_LINK) {
		e.target = "a/b c/d";
		e.target_size = 7;
	}
	if (kind == ENTRY_DIRECTORY)
		e.children.bytes[5] = 1;
	if (kind == ENTRY_CHARACTER || kind == ENTRY_BLOCK) {
		e.major = 1;
		e.minor = 0xfffff;
	}
	if (kind == ENTRY_FILE) {
		e.content.size = 3;
		e.content.bytes = (const uint8_t *)"abc";
	}
	return e;
}

TEST(each_kind_of_entry_comes_back_as_it_was)
{
	for (unsigned kind = ENTRY_FILE; kind <= ENTRY_LINK; kind++) {
		_cleanup_buffer_ struct buffer bytes = {0}, again = {0};
		_cleanup_entry_ struct entry back = {0};
		struct entry e = make((enum entry_kind)kind);

		CHECK_OK(entry_encode(&e, &bytes, &err));
		CHECK_OK(entry_decode(bytes.data, bytes.size, &back, &err));
		CHECK_INT(back.kind, kind);
		CHECK_OK(entry_encode(&back, &again, &err));
		CHECK(bytes.size == again.size && memcmp(bytes.data, again.data, bytes.size) == 0);
	}
}

TEST(a_file_with_all_that_it_can_have_comes_back)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_entry_ struct entry back = {0};
	struct content_ref refs[3];
	struct entry_xattr xattrs[2];
	struct entry e;

	make_file(&e, refs, xattrs);
	CHECK_OK(entry_encode(&e, &bytes, &err));
	CHECK_OK(entry_decode_owned(bytes.data, bytes.size, &back, &err));
	buffer_clear(&bytes);
	memset(bytes.data, 0, bytes.capacity);
	CHECK_INT(back.mode, 04755);
	CHECK_INT(back.uid, 1000);
	CHECK_INT(back.gid, UINT32_MAX);
	CHECK_INT(back.mtime.seconds, -5);
	CHECK_INT(back.mtime.nanoseconds, 999999999);
	CHECK_INT(back.xattr_count, 2);
	CHECK_TEXT(back.xattrs[0].name, "user.a");
	CHECK(back.xattrs[0].value_size == 5 && memcmp(back.xattrs[0].value, "value", 5) == 0);
	CHECK_TEXT(back.xattrs[1].name, "user.b");
	CHECK(back.xattrs[1].value_size == 5000 && back.xattrs[1].object.bytes[0] == 9);
	CHECK_INT(back.content.size, e.content.size);
	CHECK_INT(back.content.ref_count, 3);
	CHECK(memcmp(back.content.refs, refs, sizeof refs) == 0);
}

static void check_not_made(struct entry e)
{
	_cleanup_buffer_ struct buffer bytes = {0};

	CHECK_ERROR(entry_encode(&e, &bytes, &err), ERROR_INVALID);
}

TEST(what_no_entry_can_be_is_not_made)
{
	struct content_ref refs[3], two[2] = {{.size = 500}, {.size = 500}};
	struct entry_xattr xattrs[2];
	struct entry e;

	e = make(ENTRY_FILE);
	e.mode = 0100644;
	check_not_made(e);
	e = make(ENTRY_FILE);
	e.mtime.nanoseconds = 1000000000;
	check_not_made(e);
	e = make(ENTRY_FILE);
	e.content.size = ENTRY_INLINE_MAX + 1;
	check_not_made(e);
	e.content.size = ENTRY_SIZE_MAX + 1;
	check_not_made(e);
	e.content = (struct content){.size = 1000, .refs = two, .ref_count = 2};
	check_not_made(e);
	e = make(ENTRY_SYMLINK);
	e.target_size = 0;
	check_not_made(e);
	e = make(ENTRY_LINK);
	e.target = "a/../b";
	e.target_size = 6;
	check_not_made(e);
	make_file(&e, refs, xattrs);
	xattrs[1].name = "user.a";
	check_not_made(e);
	make_file(&e, refs, xattrs);
	xattrs[1].name = "";
	check_not_made(e);
	make_file(&e, refs, xattrs);
	xattrs[1].value_size = 5;
	check_not_made(e);
	make_file(&e, refs, xattrs);
	xattrs[1].value_size = ENTRY_XATTRS_MAX;
	check_not_made(e);
	make_file(&e, refs, xattrs);
	e.content.size++;
	check_not_made(e);
	make_file(&e, refs, xattrs);
	e.content.depth = CONTENT_DEPTH_MAX + 1;
	check_not_made(e);
	make_file(&e, refs, xattrs);
	refs[0].size = 2u << 20;
	check_not_made(e);
	e.kind = (enum entry_kind)9;
	check_not_made(e);
}

TEST(paths_that_lead_elsewhere_are_none)
{
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", ".", "..", "a/.", "a/..", "../a", "./a", "a/./b"};
	static const char *const good[] = {"a", "a/b", ".a", "..a", "a/...", "a/..b/c"};
	char longest[ENTRY_PATH_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(entry_path_fault(bad[i], strlen(bad[i])));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CHECK(!entry_path_fault(good[i], strlen(good[i])));
	CHECK(entry_path_fault("a\0b", 3));
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 2 ? '/' : 'a';
	CHECK(!entry_path_fault(longest, ENTRY_PATH_MAX));
	CHECK(entry_path_fault(longest, ENTRY_PATH_MAX + 1));
	memset(longest, 'x', sizeof longest);
	CHECK(!entry_path_fault(longest, 255));
	CHECK(entry_path_fault(longest, 256));
}

static int compare(const char *a, const char *b)
{
	return entry_path_compare(a, strlen(a), b, strlen(b));
}

TEST(paths_are_in_the_order_of_a_walk)
{
	static const char *const order[] = {"a", "a/b", "a/b/c", "a/c", "a-b", "a.b", "ab", "b", "\xff"};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(order); k++) {
			int r = compare(order[i], order[k]);

			CHECK(i < k ? r < 0 : i > k ? r > 0 : r == 0);
		}
	}
}

/* Any bytes that are taken are the ones that would be made. */
static void check_canonical(const uint8_t *bytes, size_t n)
{
	_cleanup_buffer_ struct buffer again = {0};
	_cleanup_entry_ struct entry e = {0};

	if (entry_decode(bytes, n, &e, &err) < 0)
		return;
	CHECK_OK(entry_encode(&e, &again, &err));
	CHECK(again.size == n && memcmp(again.data, bytes, n) == 0);
}

TEST(bytes_that_are_cut_longer_or_changed_are_refused_or_mean_themselves)
{
	for (unsigned kind = 0; kind <= ENTRY_LINK; kind++) {
		_cleanup_buffer_ struct buffer bytes = {0};
		struct content_ref refs[3];
		struct entry_xattr xattrs[2];
		_cleanup_entry_ struct entry none = {0};
		struct entry e;

		if (kind)
			e = make((enum entry_kind)kind);
		else
			make_file(&e, refs, xattrs);
		CHECK_OK(entry_encode(&e, &bytes, &err));
		for (size_t n = 0; n < bytes.size; n++)
			CHECK_ERROR(entry_decode(bytes.data, n, &none, &err), ERROR_CORRUPT);
		buffer_u8(&bytes, 0);
		CHECK_ERROR(entry_decode(bytes.data, bytes.size, &none, &err), ERROR_CORRUPT);
		bytes.size--;
		for (size_t i = 0; i < bytes.size; i++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				bytes.data[i] ^= (uint8_t)(1u << bit);
				check_canonical(bytes.data, bytes.size);
				bytes.data[i] ^= (uint8_t)(1u << bit);
			}
		}
	}
}

TEST(absurd_counts_are_refused_without_memory)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_entry_ struct entry e = {0};
	struct entry empty = make(ENTRY_FIFO);

	CHECK_OK(entry_encode(&empty, &bytes, &err));
	bytes.data[bytes.size - 1] = bytes.data[bytes.size - 2] = 0xff;
	CHECK_ERROR(entry_decode(bytes.data, bytes.size, &e, &err), ERROR_CORRUPT);
}

TEST(identities_come_back_and_have_one_form)
{
	_cleanup_buffer_ struct buffer bytes = {0}, none = {0};
	struct identity i = {.id = {1, 2}, .replica = 3, .clock = 1ull << 63, .children = {.bytes = {5}}},
			back;

	CHECK_OK(identity_encode(&i, &bytes, &err));
	CHECK(bytes.size <= IDENTITY_ENCODED_MAX);
	CHECK_OK(identity_decode(bytes.data, bytes.size, &back, &err));
	CHECK(memcmp(i.id, back.id, sizeof i.id) == 0 && back.replica == 3 && back.clock == i.clock);
	CHECK(object_id_equal(&i.children, &back.children));
	for (size_t n = 0; n < bytes.size; n++)
		CHECK(n == 32 || identity_decode(bytes.data, n, &back, &err) == -(int)ERROR_CORRUPT);
	/* Children that are none are not written. */
	memset(bytes.data + 32, 0, 32);
	CHECK_ERROR(identity_decode(bytes.data, bytes.size, &back, &err), ERROR_CORRUPT);
	i.children = (struct object_id){0};
	CHECK_OK(identity_encode(&i, &none, &err));
	CHECK_INT(none.size, 32);
	CHECK_OK(identity_decode(none.data, none.size, &back, &err));
}

TEST(a_root_is_of_its_kind)
{
	struct crypt crypt;
	struct store *s;
	struct store_writer *w;
	struct entry e = make(ENTRY_DIRECTORY), file = make(ENTRY_FILE);
	_cleanup_entry_ struct entry back = {0};
	struct identity i = {.id = {1}}, back_identity;
	struct object_id content, identity;

	memory_store_crypt(&crypt);
	s = memory_store_new(&crypt);
	CHECK_OK(store_writer_new(s, &w, &err));
	CHECK_ERROR(root_put_content(w, &file, &content, &err), ERROR_INVALID);
	CHECK_OK(root_put_content(w, &e, &content, &err));
	CHECK_OK(root_put_identity(w, &i, &identity, &err));
	CHECK_OK(root_get_content(s, &content, &back, &err));
	CHECK(object_id_equal(&back.children, &e.children));
	CHECK_OK(root_get_identity(s, &identity, &back_identity, &err));
	CHECK_INT(back_identity.id[0], 1);
	CHECK_ERROR(root_get_identity(s, &content, &back_identity, &err), ERROR_CORRUPT);
	entry_free(&back);
	CHECK_ERROR(root_get_content(s, &identity, &back, &err), ERROR_CORRUPT);
	store_writer_free(w);
	store_close(s);
}
