/* SPDX-License-Identifier: Apache-2.0 */
/* Commits as bytes. */
#include <stdlib.h>

#include "base/text.h"
#include "memory_store.h"
#include "monofs/commit.h"
#include "test.h"

static struct error err;

static struct commit make(void)
{
	struct commit c = {.parents = {{.bytes = {1}}, {.bytes = {2}}},
		.parent_count = 2,
		.content = {.bytes = {3}},
		.identity = {.bytes = {4}},
		.time = {.seconds = 1700000000, .nanoseconds = 5},
		.zone = -90,
		.replica = 6,
		.clock = 7,
		.generation = 8,
		.automatic = true,
		.author = "A <a@b>",
		.message = "one\ntwo"};

	return c;
}

TEST(a_commit_comes_back_as_it_was)
{
	_cleanup_buffer_ struct buffer bytes = {0}, again = {0};
	_cleanup_commit_ struct commit back = {0};
	struct commit c = make();

	CHECK_OK(commit_encode(&c, &bytes, &err));
	CHECK_OK(commit_decode(bytes.data, bytes.size, &back, &err));
	CHECK_INT(back.parent_count, 2);
	CHECK(object_id_equal(&back.parents[1], &c.parents[1]));
	CHECK(object_id_equal(&back.content, &c.content) && object_id_equal(&back.identity, &c.identity));
	CHECK_INT(back.zone, -90);
	CHECK(back.automatic);
	CHECK_TEXT(back.author, c.author);
	CHECK_TEXT(back.message, c.message);
	CHECK_OK(commit_encode(&back, &again, &err));
	CHECK(bytes.size == again.size && memcmp(bytes.data, again.data, bytes.size) == 0);
}

TEST(what_no_commit_can_be_is_not_made)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct commit c = make();

	c.content = (struct object_id){0};
	CHECK_ERROR(commit_encode(&c, &bytes, &err), ERROR_INVALID);
	c = make();
	c.parents[1] = (struct object_id){0};
	CHECK_ERROR(commit_encode(&c, &bytes, &err), ERROR_INVALID);
	c = make();
	c.parent_count = COMMIT_PARENTS_MAX + 1;
	CHECK_ERROR(commit_encode(&c, &bytes, &err), ERROR_INVALID);
	c = make();
	c.generation = 0;
	CHECK_ERROR(commit_encode(&c, &bytes, &err), ERROR_INVALID);
	c = make();
	c.zone = 100000;
	CHECK_ERROR(commit_encode(&c, &bytes, &err), ERROR_INVALID);
}

TEST(bytes_that_are_cut_longer_or_changed_are_refused_or_mean_themselves)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_commit_ struct commit none = {0};
	struct commit c = make();

	CHECK_OK(commit_encode(&c, &bytes, &err));
	for (size_t n = 0; n < bytes.size; n++)
		CHECK_ERROR(commit_decode(bytes.data, n, &none, &err), ERROR_CORRUPT);
	buffer_u8(&bytes, 0);
	CHECK_ERROR(commit_decode(bytes.data, bytes.size, &none, &err), ERROR_CORRUPT);
	bytes.size--;
	for (size_t i = 0; i < bytes.size * 8; i++) {
		_cleanup_commit_ struct commit back = {0};
		_cleanup_buffer_ struct buffer again = {0};

		bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
		if (commit_decode(bytes.data, bytes.size, &back, &err) == 0) {
			CHECK_OK(commit_encode(&back, &again, &err));
			CHECK(bytes.size == again.size && memcmp(bytes.data, again.data, bytes.size) == 0);
		}
		bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

TEST(what_cannot_be_read_is_told_by_its_id)
{
	char hex[OBJECT_HEX_SIZE];
	struct crypt crypt;
	struct store *s;
	struct object_id id;
	struct commit c = {0};

	memory_store_crypt(&crypt);
	s = memory_store_new(&crypt);
	memory_store_plant(s, OBJECT_COMMIT, "\1", 1, &id);
	CHECK_ERROR(commit_get(s, &id, &c, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, object_id_hex(&id, hex)));
	store_close(s);
}
