/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "codec/frame.h"
#include "codec/message.h"

static void feed(struct frame_reader *r, const uint8_t *data, size_t n)
{
	while (n) {
		size_t room, piece;
		uint8_t *space = frame_reader_space(r, &room);

		CHECK(space && room >= FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX);
		piece = n < room ? n : room;
		memcpy(space, data, piece);
		frame_reader_filled(r, piece);
		data += piece;
		n -= piece;
		if (n)
			break;
	}
	CHECK_INT(n, 0);
}

/* Reads what `out` holds in pieces of `piece` bytes and expects exactly one message. */
static void expect_message(const struct buffer *out, size_t piece, uint32_t stream, uint16_t type,
	uint16_t channel, const uint8_t *payload, size_t size)
{
	struct frame_reader r = {0};
	struct error err = {0};
	struct frame f;
	int got = 0, messages = 0;

	for (size_t at = 0; at < out->size; at += piece) {
		feed(&r, out->data + at, out->size - at < piece ? out->size - at : piece);
		while ((got = frame_reader_next(&r, &f, &err)) > 0) {
			messages++;
			CHECK_INT(f.stream, stream);
			CHECK_INT(f.type, type);
			CHECK_INT(f.channel, channel);
			CHECK_INT(f.size, size);
			CHECK(size == 0 || memcmp(f.payload, payload, size) == 0);
		}
		CHECK_OK(got);
	}
	CHECK_INT(messages, 1);
	frame_reader_free(&r);
}

static uint8_t *pattern(size_t n)
{
	uint8_t *bytes = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return bytes;
}

TEST(a_message_of_any_size_arrives_as_it_was_sent)
{
	static const size_t sizes[] = {0, 1, FRAME_PAYLOAD_MAX - 1, FRAME_PAYLOAD_MAX, FRAME_PAYLOAD_MAX + 1,
		2 * FRAME_PAYLOAD_MAX, 300000, FRAME_MESSAGE_MAX};
	_cleanup_free_ uint8_t *bytes = pattern(FRAME_MESSAGE_MAX);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_buffer_ struct buffer out = {0};

		CHECK(frame_write(&out, 7, MESSAGE_EXEC, 2, bytes, sizes[i]));
		expect_message(&out, 4093, 7, MESSAGE_EXEC, 2, bytes, sizes[i]);
		expect_message(&out, 65536, 7, MESSAGE_EXEC, 2, bytes, sizes[i]);
	}
}

TEST(bytes_may_come_one_at_a_time)
{
	_cleanup_buffer_ struct buffer out = {0};

	CHECK(frame_write(&out, 0xfffffffe, MESSAGE_DATA, CHANNEL_ERR, "hello", 5));
	CHECK_INT(out.size, FRAME_HEADER_SIZE + 5);
	expect_message(&out, 1, 0xfffffffe, MESSAGE_DATA, CHANNEL_ERR, (const uint8_t *)"hello", 5);
}

TEST(the_bytes_of_a_frame_are_the_documented_ones)
{
	static const uint8_t expected[] = {10, 0, 0, 0, 4, 3, 2, 1, 7, 0, 1, 0, 'h', 'i'};
	_cleanup_buffer_ struct buffer out = {0};

	CHECK(frame_write(&out, 0x01020304, MESSAGE_DATA, CHANNEL_OUT, "hi", 2));
	CHECK_INT(out.size, sizeof expected);
	CHECK(memcmp(out.data, expected, sizeof expected) == 0);
}

TEST(a_payload_over_the_bound_is_not_written)
{
	_cleanup_free_ uint8_t *bytes = pattern(FRAME_MESSAGE_MAX + 1);
	_cleanup_buffer_ struct buffer out = {0}, flagged = {0};

	CHECK(!frame_write(&out, 1, MESSAGE_EXEC, 0, bytes, FRAME_MESSAGE_MAX + 1));
	CHECK(out.failed);
	CHECK(!frame_write(&flagged, 1, MESSAGE_DATA, FRAME_MORE, bytes, 1));
}

static void put_header(struct buffer *out, uint32_t length, uint32_t stream, uint16_t type, uint16_t channel)
{
	buffer_u32(out, length);
	buffer_u32(out, stream);
	buffer_u16(out, type);
	buffer_u16(out, channel);
}

static void expect_refused(const struct buffer *out)
{
	struct frame_reader r = {0};
	struct error err = {0};
	struct frame f;
	int got = 0;

	for (size_t at = 0; at < out->size && got >= 0; at += 65536) {
		feed(&r, out->data + at, out->size - at < 65536 ? out->size - at : 65536);
		while ((got = frame_reader_next(&r, &f, &err)) > 0)
			;
	}
	CHECK_ERROR(got, ERROR_INVALID);
	frame_reader_free(&r);
}

TEST(a_length_out_of_range_is_refused_before_its_bytes_come)
{
	static const uint32_t lengths[] = {0, 7, 8 + FRAME_PAYLOAD_MAX + 1, 0x80000000, 0xffffffff};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		_cleanup_buffer_ struct buffer out = {0};

		buffer_u32(&out, lengths[i]);
		expect_refused(&out);
	}
}

TEST(parts_of_two_messages_never_mix)
{
	_cleanup_free_ uint8_t *bytes = pattern(FRAME_PAYLOAD_MAX);

	for (int i = 0; i < 3; i++) {
		_cleanup_buffer_ struct buffer out = {0};

		put_header(&out, 8 + FRAME_PAYLOAD_MAX, 1, MESSAGE_EXEC, FRAME_MORE);
		buffer_append(&out, bytes, FRAME_PAYLOAD_MAX);
		put_header(&out, 9, i == 0 ? 2 : 1, i == 1 ? MESSAGE_DATA : MESSAGE_EXEC, i == 2);
		buffer_u8(&out, 0);
		expect_refused(&out);
	}
}

TEST(a_part_is_full_and_the_last_one_not_empty)
{
	_cleanup_free_ uint8_t *bytes = pattern(FRAME_PAYLOAD_MAX);
	_cleanup_buffer_ struct buffer small = {0}, empty = {0};

	put_header(&small, 9, 1, MESSAGE_EXEC, FRAME_MORE);
	buffer_u8(&small, 0);
	expect_refused(&small);
	put_header(&empty, 8 + FRAME_PAYLOAD_MAX, 1, MESSAGE_EXEC, FRAME_MORE);
	buffer_append(&empty, bytes, FRAME_PAYLOAD_MAX);
	put_header(&empty, 8, 1, MESSAGE_EXEC, 0);
	expect_refused(&empty);
}

TEST(a_message_without_end_is_refused_at_its_bound)
{
	_cleanup_free_ uint8_t *bytes = pattern(FRAME_PAYLOAD_MAX);
	_cleanup_buffer_ struct buffer out = {0};

	for (size_t i = 0; i <= FRAME_MESSAGE_MAX / FRAME_PAYLOAD_MAX; i++) {
		put_header(&out, 8 + FRAME_PAYLOAD_MAX, 1, MESSAGE_EXEC, FRAME_MORE);
		buffer_append(&out, bytes, FRAME_PAYLOAD_MAX);
	}
	expect_refused(&out);
}
