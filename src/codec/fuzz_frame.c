/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from a hostile peer, in pieces: what is read is bounded, and writing it again gives the same
 * bytes (there is one way to write a message). */
#include <assert.h>
#include <string.h>

#include "codec/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader r = {0};
	_cleanup_buffer_ struct buffer again = {0};
	size_t piece = size ? (size_t)data[size - 1] * 16 + 1 : 1;
	struct error err;
	struct frame f;
	int got = 0;

	for (size_t at = 0; at < size && got >= 0;) {
		size_t n, room;
		uint8_t *space = frame_reader_space(&r, &room);

		assert(space && room >= FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX);
		n = size - at < piece ? size - at : piece;
		memcpy(space, data + at, n);
		frame_reader_filled(&r, n);
		at += n;
		while ((got = frame_reader_next(&r, &f, &err)) > 0) {
			assert(f.size <= FRAME_MESSAGE_MAX && !(f.channel & FRAME_MORE));
			assert(frame_write(&again, f.stream, f.type, f.channel, f.payload, f.size));
		}
		assert(again.size <= at && memcmp(again.data ? again.data : data, data, again.size) == 0);
	}
	frame_reader_free(&r);
	return 0;
}
