/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of the port of volumes, between a guest and servers that are played here. */
#include "test.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/volume.h"
#include "sandbox/supervisor/volume_mux.h"

CLEANUP_DEFINE(mux, struct volume_mux, volume_mux_free);
#define _cleanup_mux_ _cleanup_(cleanup_mux)

static struct error err;

static struct volume_mux *new_mux(uint32_t count)
{
	struct volume_mux *mux = NULL;

	CHECK_OK(volume_mux_new(count, &mux, &err));
	return mux;
}

/* ---- the guest --------------------------------------------------------------------------------------- */

static int guest_sends(struct volume_mux *mux, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	int r = 0;

	while (r == 0 && n) {
		size_t room, part;
		uint8_t *space = volume_mux_space(mux, &room);

		CHECK(space && room > 0);
		part = n < room ? n : room;
		memcpy(space, at, part);
		r = volume_mux_filled(mux, part, &err);
		at += part;
		n -= part;
	}
	return r;
}

static int guest_frame(
	struct volume_mux *mux, uint16_t volume, uint16_t type, const void *payload, uint32_t n)
{
	_cleanup_buffer_ struct buffer b = {0};
	uint8_t header[VOLUME_HEADER_SIZE];

	volume_frame_encode(&(struct volume_frame){n, volume, type}, header);
	buffer_append(&b, header, sizeof header);
	buffer_append(&b, payload, n);
	return guest_sends(mux, b.data, b.size);
}

static void make_request(struct buffer *b, uint32_t opcode, uint64_t unique, uint32_t size)
{
	const struct fuse_in_header h = {.len = size, .opcode = opcode, .unique = unique};

	buffer_append(b, &h, sizeof h);
	for (uint32_t i = sizeof h; i < size; i++)
		buffer_u8(b, (uint8_t)(unique + i));
}

static int try_request(
	struct volume_mux *mux, uint16_t volume, uint32_t opcode, uint64_t unique, uint32_t size)
{
	_cleanup_buffer_ struct buffer b = {0};
	int r = 0;

	make_request(&b, opcode, unique, size);
	for (size_t at = 0; r == 0 && at < b.size; at += VOLUME_PAYLOAD_MAX)
		r = guest_frame(mux, volume, VOLUME_DATA, b.data + at,
			b.size - at < VOLUME_PAYLOAD_MAX ? (uint32_t)(b.size - at) : VOLUME_PAYLOAD_MAX);
	return r;
}

static void request(struct volume_mux *mux, uint16_t volume, uint32_t opcode, uint64_t unique, uint32_t size)
{
	CHECK_OK(try_request(mux, volume, opcode, unique, size));
}

static int credit(struct volume_mux *mux, uint16_t volume, uint32_t n)
{
	uint8_t bytes[4];

	volume_u32_encode(n, bytes);
	return guest_frame(mux, volume, VOLUME_CREDIT, bytes, 4);
}

/* What the guest has got so far: DATA of each volume (since the last RESET), sums of credits, ends, resets.
 */
struct got {
	struct buffer data[VOLUMES_MAX];
	uint32_t credit[VOLUMES_MAX], ends[VOLUMES_MAX], resets[VOLUMES_MAX];
};

static void got_free(struct got *g)
{
	for (size_t i = 0; i < VOLUMES_MAX; i++)
		buffer_free(&g->data[i]);
}
#define _cleanup_got_ _cleanup_(got_free)

static void guest_reads(struct volume_mux *mux, struct got *g)
{
	_cleanup_buffer_ struct buffer all = {0};
	const uint8_t *bytes;
	size_t n;

	while ((bytes = volume_mux_output(mux, &n))) {
		size_t part = n > 1000 ? 1000 : n;

		buffer_append(&all, bytes, part);
		volume_mux_written(mux, part);
	}
	for (size_t at = 0; at < all.size;) {
		struct volume_frame f;

		CHECK(all.size - at >= VOLUME_HEADER_SIZE);
		CHECK_OK(volume_frame_decode(all.data + at, &f, &err));
		at += VOLUME_HEADER_SIZE;
		CHECK(all.size - at >= f.length);
		if (f.type == VOLUME_DATA)
			buffer_append(&g->data[f.volume], all.data + at, f.length);
		else if (f.type == VOLUME_CREDIT)
			g->credit[f.volume] += volume_u32_decode(all.data + at);
		else if (f.type == VOLUME_RESET)
			g->resets[f.volume]++, buffer_clear(&g->data[f.volume]);
		else
			g->ends[f.volume]++;
		at += f.length;
	}
}

/* ---- the servers -------------------------------------------------------------------------------------- */

/* Reads all that there is for the server. */
static void server_reads(struct volume_mux *mux, uint32_t volume, struct buffer *b)
{
	const uint8_t *bytes;
	size_t n;

	while ((bytes = volume_mux_request(mux, volume, &n))) {
		size_t part = n > 333 ? 333 : n;

		buffer_append(b, bytes, part);
		volume_mux_requested(mux, volume, part);
	}
}

/* The uniques of the whole requests in b, as text; "!": it says that it comes again. */
static const char *uniques(const struct buffer *b)
{
	static char text[1024];
	size_t used = 0;

	text[0] = 0;
	for (size_t at = 0; at < b->size;) {
		struct fuse_in_header h;

		CHECK(b->size - at >= sizeof h);
		memcpy(&h, b->data + at, sizeof h);
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%llu%s", used ? " " : "",
			(unsigned long long)(h.unique & ~VOLUME_AGAIN), h.unique & VOLUME_AGAIN ? "!" : "");
		CHECK(b->size - at >= h.len);
		for (uint32_t i = sizeof h; i < h.len; i++)
			CHECK_INT(b->data[at + i], (uint8_t)(h.unique + i));
		at += h.len;
	}
	return text;
}

static void expect_requests(struct volume_mux *mux, uint32_t volume, const char *expected)
{
	_cleanup_buffer_ struct buffer b = {0};

	server_reads(mux, volume, &b);
	CHECK_TEXT(uniques(&b), expected);
}

static int server_sends(struct volume_mux *mux, uint32_t volume, const void *bytes, size_t n, size_t *done)
{
	const uint8_t *at = bytes;
	int r = 0;

	*done = 0;
	while (r == 0 && *done < n) {
		size_t room, part;
		uint8_t *space = volume_mux_reply_space(mux, volume, &room);

		if (!space)
			break;
		part = n - *done < room ? n - *done : room;
		memcpy(space, at + *done, part);
		r = volume_mux_replied(mux, volume, part, &err);
		*done += part;
	}
	return r;
}

static void make_reply(struct buffer *b, uint64_t unique, uint32_t size)
{
	const struct fuse_out_header h = {.len = size, .unique = unique};

	buffer_append(b, &h, sizeof h);
	for (uint32_t i = sizeof h; i < size; i++)
		buffer_u8(b, (uint8_t)(unique + i));
}

static void reply(struct volume_mux *mux, uint32_t volume, uint64_t unique, uint32_t size)
{
	_cleanup_buffer_ struct buffer b = {0};
	size_t done;

	make_reply(&b, unique, size);
	CHECK_OK(server_sends(mux, volume, b.data, b.size, &done));
	CHECK_INT(done, size);
}

static void expect_replies(struct volume_mux *mux, uint32_t volume, const char *expected)
{
	_cleanup_got_ struct got g = {0};
	char text[256] = "";
	size_t used = 0;

	guest_reads(mux, &g);
	for (size_t at = 0; at < g.data[volume].size;) {
		struct fuse_out_header h;

		memcpy(&h, g.data[volume].data + at, sizeof h);
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%llu%s", used ? " " : "",
			(unsigned long long)h.unique, h.error == -EIO ? "!" : "");
		at += h.len;
	}
	CHECK_TEXT(text, expected);
}

/* ---- promises ------------------------------------------------------------------------------------------ */

TEST(requests_and_replies_pass_whole_and_in_their_order)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(2);

	request(mux, 0, FUSE_INIT, 2, 104);
	request(mux, 1, FUSE_INIT, 2, 104);
	request(mux, 1, FUSE_WRITE, 4, VOLUME_MESSAGE_MAX);
	request(mux, 0, FUSE_LOOKUP, 6, 45);
	expect_requests(mux, 0, "2 6");
	expect_requests(mux, 1, "2 4");
	reply(mux, 1, 2, 80);
	reply(mux, 0, 2, 80);
	reply(mux, 0, 6, 144);
	expect_replies(mux, 0, "2 6");
	reply(mux, 1, 4, 24);
	expect_replies(mux, 1, "4");
}

TEST(messages_may_be_cut_at_any_byte)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(1);
	_cleanup_buffer_ struct buffer b = {0};

	make_request(&b, FUSE_INIT, 2, 104);
	make_request(&b, FUSE_LOOKUP, 4, 41);
	for (size_t i = 0; i < b.size; i++)
		CHECK_OK(guest_frame(mux, 0, VOLUME_DATA, b.data + i, 1));
	expect_requests(mux, 0, "2 4");
	buffer_clear(&b);
	make_reply(&b, 2, 80);
	make_reply(&b, 4, 144);
	for (size_t i = 0, done; i < b.size; i++)
		CHECK_OK(server_sends(mux, 0, b.data + i, 1, &done));
	expect_replies(mux, 0, "2 4");
}

TEST(a_volume_that_nobody_answers_has_a_window_and_the_others_go_on)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(2);

	for (uint64_t i = 0; i < VOLUME_WINDOW / 65536; i++)
		request(mux, 0, FUSE_WRITE, 2 + i, 65536);
	for (uint64_t i = 0; i < 1000; i++) {
		_cleanup_buffer_ struct buffer b = {0};
		_cleanup_got_ struct got g = {0};

		request(mux, 1, FUSE_LOOKUP, 2 + i, 4096);
		server_reads(mux, 1, &b);
		reply(mux, 1, 2 + i, 4096);
		guest_reads(mux, &g);
		CHECK_INT(g.data[1].size, 4096);
		CHECK_OK(credit(mux, 1, 4096));
	}
	CHECK_ERROR(try_request(mux, 0, FUSE_LOOKUP, 999, 41), ERROR_INVALID);
}

TEST(credit_comes_with_the_answer_and_not_before)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(2);
	_cleanup_got_ struct got g = {0};

	for (uint64_t i = 0; i < VOLUME_WINDOW / 65536; i++)
		request(mux, 0, FUSE_WRITE, i, 65536);
	for (uint64_t i = 0; i < 8; i++)
		request(mux, 0 + 1, FUSE_WRITE, i, 65536);
	{
		_cleanup_buffer_ struct buffer b = {0};

		server_reads(mux, 0, &b);
		server_reads(mux, 1, &b);
	}
	for (uint64_t i = 0; i < 8; i++)
		reply(mux, 1, i, 24);
	guest_reads(mux, &g);
	CHECK_INT(g.credit[0], 0);
	CHECK_INT(g.credit[1], 8 * 65536);
	for (uint64_t i = 0; i < 16; i++)
		reply(mux, 0, i, 24);
	guest_reads(mux, &g);
	CHECK_INT(g.credit[0], 16 * 65536);
	for (uint64_t i = 0; i < 16; i++)
		request(mux, 0, FUSE_WRITE, 100 + i, 65536);
	CHECK_ERROR(try_request(mux, 0, FUSE_LOOKUP, 999, 41), ERROR_INVALID);
}

TEST(what_has_no_answer_is_credited_when_the_server_has_it)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(1);
	_cleanup_got_ struct got g = {0};

	for (uint64_t i = 0; i < 4; i++)
		request(mux, 0, i % 2 ? FUSE_BATCH_FORGET : FUSE_FORGET, 0, 65536);
	guest_reads(mux, &g);
	CHECK_INT(g.credit[0], 0);
	expect_requests(mux, 0, "0 0 0 0");
	guest_reads(mux, &g);
	CHECK_INT(g.credit[0], 4 * 65536);
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	expect_requests(mux, 0, "");
}

TEST(a_guest_that_does_not_take_replies_stops_its_server_and_no_other)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(2);
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_got_ struct got g = {0};
	size_t done, total = 0;

	make_reply(&b, 7, VOLUME_MESSAGE_MAX);
	do {
		CHECK_OK(server_sends(mux, 0, b.data, b.size, &done));
		total += done;
		guest_reads(mux, &g);
	} while (done == b.size && total < 100u << 20);
	CHECK(total <= 2 * VOLUME_WINDOW);
	CHECK(g.data[0].size <= VOLUME_WINDOW);
	reply(mux, 1, 9, 65536);
	guest_reads(mux, &g);
	CHECK_INT(g.data[1].size, 65536);
	/* What it has taken makes room for as much. */
	CHECK_OK(credit(mux, 0, (uint32_t)g.data[0].size));
	total = g.data[0].size;
	guest_reads(mux, &g);
	CHECK(g.data[0].size > total);
	CHECK_ERROR(credit(mux, 0, VOLUME_WINDOW + 1), ERROR_INVALID);
}

TEST(volumes_take_turns_on_the_port)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(3);
	const uint8_t *bytes;
	size_t n, seen = 0;
	struct volume_frame f = {0};

	reply(mux, 0, 2, 1 << 20);
	reply(mux, 1, 4, 1 << 20);
	reply(mux, 2, 6, 100);
	/* The small one does not stand behind 2 MiB of others. */
	while (f.volume != 2 && (bytes = volume_mux_output(mux, &n))) {
		CHECK_OK(volume_frame_decode(bytes, &f, &err));
		seen += f.length;
		volume_mux_written(mux, VOLUME_HEADER_SIZE + f.length);
	}
	CHECK_INT(f.volume, 2);
	CHECK(seen <= 4 * VOLUME_PAYLOAD_MAX);
}

TEST(a_new_server_gets_the_first_request_again_and_all_that_were_not_answered)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(1);
	_cleanup_buffer_ struct buffer b = {0};
	size_t done;

	request(mux, 0, FUSE_INIT, 2, 104);
	expect_requests(mux, 0, "2");
	reply(mux, 0, 2, 80);
	expect_replies(mux, 0, "2");
	request(mux, 0, FUSE_LOOKUP, 4, 50);
	request(mux, 0, FUSE_READ, 6, 80);
	request(mux, 0, FUSE_WRITE, 8, 4096);
	expect_requests(mux, 0, "4 6 8");
	reply(mux, 0, 4, 144);
	make_reply(&b, 6, 5000);
	CHECK_OK(server_sends(mux, 0, b.data, 3000, &done)); /* and dies */
	expect_replies(mux, 0, "4");
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	request(mux, 0, FUSE_LOOKUP, 10, 50);
	expect_requests(mux, 0, "2 6! 8! 10");
	reply(mux, 0, 2, 80);
	reply(mux, 0, VOLUME_AGAIN | 6, 5000);
	reply(mux, 0, VOLUME_AGAIN | 8, 24);
	reply(mux, 0, 10, 24);
	expect_replies(mux, 0, "6 8 10");
}

TEST(a_server_that_dies_before_it_answered_the_first_request_is_replaced_too)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(1);

	request(mux, 0, FUSE_INIT, 2, 104);
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	expect_requests(mux, 0, "2");
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	expect_requests(mux, 0, "2!");
	reply(mux, 0, VOLUME_AGAIN | 2, 80);
	expect_replies(mux, 0, "2");
}

TEST(a_server_that_dies_with_half_a_request_leaves_a_whole_one_to_the_next)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(1);
	size_t n;

	request(mux, 0, FUSE_INIT, 2, 104);
	expect_requests(mux, 0, "2");
	reply(mux, 0, 2, 80);
	request(mux, 0, FUSE_WRITE, 4, 4096);
	CHECK(volume_mux_request(mux, 0, &n));
	volume_mux_requested(mux, 0, 1000);
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	CHECK(volume_mux_request(mux, 0, &n));
	volume_mux_requested(mux, 0, 10); /* of INIT */
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	expect_requests(mux, 0, "2 4");
}

TEST(a_request_that_kills_servers_is_an_error_and_the_next_goes_on)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(1);

	request(mux, 0, FUSE_INIT, 2, 104);
	expect_requests(mux, 0, "2");
	reply(mux, 0, 2, 80);
	expect_replies(mux, 0, "2");
	request(mux, 0, FUSE_LOOKUP, 4, 50);
	request(mux, 0, FUSE_LOOKUP, 6, 50);
	expect_requests(mux, 0, "4 6");
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	expect_requests(mux, 0, "2 4! 6!");
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	expect_requests(mux, 0, "2 4! 6!");
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	expect_replies(mux, 0, "4!");
	expect_requests(mux, 0, "2 6!");
	reply(mux, 0, 2, 80);
	reply(mux, 0, VOLUME_AGAIN | 6, 24);
	expect_replies(mux, 0, "6");
}

TEST(the_end_of_a_volume_reaches_the_other_side_once)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(3);
	_cleanup_got_ struct got g = {0};

	request(mux, 0, FUSE_INIT, 2, 104);
	volume_mux_end(mux, 0);
	volume_mux_end(mux, 0);
	CHECK(volume_mux_is_over(mux, 0) && !volume_mux_is_over(mux, 1));
	request(mux, 0, FUSE_LOOKUP, 4, 50); /* was under way */
	expect_requests(mux, 0, "");
	CHECK_OK(guest_frame(mux, 1, VOLUME_END, NULL, 0));
	CHECK(volume_mux_is_over(mux, 1));
	CHECK_OK(volume_mux_resume(mux, 1, &err));
	guest_reads(mux, &g);
	CHECK_INT(g.ends[0], 1);
	CHECK_INT(g.ends[1], 0);
	request(mux, 2, FUSE_INIT, 2, 104);
	expect_requests(mux, 2, "2");
}

/* ---- streams ------------------------------------------------------------------------------------------ */

static struct volume_mux *new_streams(uint32_t count)
{
	struct volume_mux *mux = new_mux(count);

	for (uint32_t i = 0; i < count; i++)
		volume_mux_set_stream(mux, i);
	return mux;
}

static void guest_says(struct volume_mux *mux, const char *text)
{
	CHECK_OK(guest_frame(mux, 0, VOLUME_DATA, text, (uint32_t)strlen(text)));
}

static void server_says(struct volume_mux *mux, const char *text)
{
	size_t done;

	CHECK_OK(server_sends(mux, 0, text, strlen(text), &done));
	CHECK_INT(done, strlen(text));
}

static void server_hears(struct volume_mux *mux, const char *text)
{
	_cleanup_buffer_ struct buffer b = {0};

	server_reads(mux, 0, &b);
	CHECK_INT(b.size, strlen(text));
	CHECK(!b.size || !memcmp(b.data, text, b.size));
}

static void guest_has(struct volume_mux *mux, struct got *g, const char *text, uint32_t resets)
{
	guest_reads(mux, g);
	CHECK_INT(g->data[0].size, strlen(text));
	CHECK(!g->data[0].size || !memcmp(g->data[0].data, text, g->data[0].size));
	CHECK_INT(g->resets[0], resets);
}

static int guest_resets(struct volume_mux *mux)
{
	return guest_frame(mux, 0, VOLUME_RESET, NULL, 0);
}

TEST(bytes_of_a_stream_pass_as_they_are_within_their_windows)
{
	_cleanup_mux_ struct volume_mux *mux = new_streams(1);
	_cleanup_got_ struct got g = {0};
	_cleanup_free_ char *much = calloc(1, VOLUME_WINDOW + 1);
	size_t done;

	guest_says(mux, "one");
	guest_says(mux, "two");
	server_hears(mux, "onetwo");
	server_says(mux, "a");
	server_says(mux, "bc");
	guest_has(mux, &g, "abc", 0);
	CHECK_OK(server_sends(mux, 0, much, VOLUME_WINDOW + 1, &done));
	CHECK_INT(done, VOLUME_WINDOW - 3);
	guest_reads(mux, &g);
	CHECK_OK(credit(mux, 0, 10));
	CHECK_OK(server_sends(mux, 0, much, 20, &done));
	CHECK_INT(done, 10);
	for (uint32_t sent = 6; sent < VOLUME_WINDOW; sent += 62)
		CHECK_OK(guest_frame(
			mux, 0, VOLUME_DATA, much, VOLUME_WINDOW - sent < 62 ? VOLUME_WINDOW - sent : 62));
	CHECK_ERROR(guest_frame(mux, 0, VOLUME_DATA, "x", 1), ERROR_INVALID);
}

TEST(a_server_of_a_stream_that_dies_ends_the_connection)
{
	_cleanup_mux_ struct volume_mux *mux = new_streams(1);
	_cleanup_got_ struct got g = {0};

	guest_says(mux, "taken");
	server_hears(mux, "taken");
	guest_says(mux, "lost");
	server_says(mux, "half an answer");
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	CHECK(!volume_mux_is_stale(mux, 0));
	guest_has(mux, &g, "", 1);
	guest_says(mux, "still of the old one");
	server_hears(mux, "");
	CHECK_OK(volume_mux_resume(mux, 0, &err)); /* another dies meanwhile: there was no connection */
	guest_has(mux, &g, "", 1);
	CHECK_OK(guest_resets(mux));
	guest_says(mux, "new");
	server_hears(mux, "new");
	server_says(mux, "answer");
	guest_has(mux, &g, "answer", 1);
}

TEST(the_guest_ends_a_connection_and_what_follows_is_for_the_next_server)
{
	_cleanup_mux_ struct volume_mux *mux = new_streams(1);
	_cleanup_got_ struct got g = {0};
	size_t room;

	guest_says(mux, "lost");
	server_says(mux, "lost, too");
	CHECK_OK(guest_resets(mux));
	CHECK(volume_mux_is_stale(mux, 0));
	CHECK(!volume_mux_reply_space(mux, 0, &room));
	guest_has(mux, &g, "", 1);
	guest_says(mux, "new");
	server_hears(mux, "");
	CHECK_OK(volume_mux_resume(mux, 0, &err));
	CHECK(!volume_mux_is_stale(mux, 0));
	server_hears(mux, "new");
	server_says(mux, "answer");
	guest_has(mux, &g, "answer", 1);
}

TEST(ends_of_a_connection_that_cross_are_one)
{
	_cleanup_mux_ struct volume_mux *mux = new_streams(1);
	_cleanup_got_ struct got g = {0};

	CHECK_OK(volume_mux_resume(mux, 0, &err));
	CHECK_OK(guest_resets(mux)); /* it has not seen ours */
	CHECK(!volume_mux_is_stale(mux, 0));
	guest_says(mux, "new");
	server_hears(mux, "new");
	CHECK_ERROR(guest_resets(mux), ERROR_INVALID); /* nor may it go on without */
	guest_has(mux, &g, "", 1);
}

TEST(what_a_connection_loses_is_credited)
{
	_cleanup_mux_ struct volume_mux *mux = new_streams(1);
	_cleanup_got_ struct got g = {0};
	_cleanup_free_ char *much = calloc(1, VOLUME_PAYLOAD_MAX);

	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 10; k++)
			CHECK_OK(guest_frame(mux, 0, VOLUME_DATA, much, VOLUME_PAYLOAD_MAX));
		CHECK_OK(guest_resets(mux));
		guest_reads(mux, &g);
		CHECK_OK(volume_mux_resume(mux, 0, &err));
	}
	CHECK_INT(g.resets[0], 100);
	CHECK_INT(g.credit[0], 1000 * VOLUME_PAYLOAD_MAX);
}

/* What a mux that is idle knows, in another one. */
static struct volume_mux *copy_of(struct volume_mux *mux, uint32_t count)
{
	_cleanup_buffer_ struct buffer saved = {0};
	struct volume_mux *copy = new_mux(count);
	struct cursor in;

	CHECK(volume_mux_is_idle(mux));
	volume_mux_save(mux, &saved);
	in = cursor_of(saved.data, saved.size);
	CHECK_OK(volume_mux_load(copy, &in, &err));
	CHECK(cursor_done(&in));
	for (size_t cut = 0; cut < saved.size; cut++) {
		_cleanup_mux_ struct volume_mux *half = new_mux(count);

		in = cursor_of(saved.data, cut);
		CHECK(volume_mux_load(half, &in, &err) == -ERROR_CORRUPT);
	}
	return copy;
}

TEST(a_copy_of_the_guest_goes_on_with_another_relay_and_other_servers)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(2), *copy = NULL;
	_cleanup_got_ struct got g = {0};

	request(mux, 0, FUSE_INIT, 1, 60);
	CHECK(!volume_mux_is_idle(mux));
	expect_requests(mux, 0, "1");
	reply(mux, 0, 1, 80);
	CHECK(!volume_mux_is_idle(mux));
	guest_reads(mux, &g);
	request(mux, 1, FUSE_INIT, 1, 60);
	volume_mux_end(mux, 1);
	CHECK(!volume_mux_is_idle(mux));
	guest_reads(mux, &g);
	copy = copy_of(mux, 2);
	CHECK(volume_mux_is_over(copy, 1) && !volume_mux_is_over(copy, 0));
	CHECK_OK(volume_mux_resume(copy, 0, &err));
	request(copy, 0, FUSE_GETATTR, 2, 56);
	expect_requests(copy, 0, "1 2");
	reply(copy, 0, 1, 80);
	reply(copy, 0, 2, 120);
	expect_replies(copy, 0, "2");
	/* The window is as wide as the copied one had left it. */
	CHECK_OK(credit(copy, 0, 200));
	CHECK(credit(copy, 0, 1) == -ERROR_INVALID);
}

TEST(what_makes_no_sense_is_refused)
{
	_cleanup_mux_ struct volume_mux *mux = new_mux(2);
	struct fuse_in_header h = {.len = 39, .opcode = FUSE_LOOKUP};
	struct fuse_out_header o = {.len = 15};
	uint8_t big[VOLUME_HEADER_SIZE];
	size_t done;

	CHECK_ERROR(guest_frame(mux, 0, VOLUME_DATA, &h, sizeof h), ERROR_INVALID);
	h.len = VOLUME_MESSAGE_MAX + 1;
	CHECK_ERROR(guest_frame(mux, 1, VOLUME_DATA, &h, sizeof h), ERROR_INVALID);
	cleanup_mux(&mux);
	mux = new_mux(2);
	CHECK_ERROR(guest_frame(mux, 2, VOLUME_DATA, &h, sizeof h), ERROR_INVALID);
	cleanup_mux(&mux);
	mux = new_mux(2);
	CHECK_ERROR(guest_frame(mux, 0, 5, NULL, 0), ERROR_INVALID);
	cleanup_mux(&mux);
	mux = new_mux(2);
	CHECK_ERROR(guest_frame(mux, 0, VOLUME_RESET, NULL, 0), ERROR_INVALID);
	cleanup_mux(&mux);
	mux = new_mux(2);
	CHECK_ERROR(guest_frame(mux, 0, VOLUME_CREDIT, "12345678", 8), ERROR_INVALID);
	cleanup_mux(&mux);
	mux = new_mux(2);
	volume_frame_encode(&(struct volume_frame){VOLUME_PAYLOAD_MAX + 1, 0, VOLUME_DATA}, big);
	CHECK_ERROR(guest_sends(mux, big, sizeof big), ERROR_INVALID);
	CHECK_ERROR(server_sends(mux, 0, &o, sizeof o, &done), ERROR_INVALID);
	o.len = VOLUME_MESSAGE_MAX + 1;
	CHECK_ERROR(server_sends(mux, 1, &o, sizeof o, &done), ERROR_INVALID);
}
