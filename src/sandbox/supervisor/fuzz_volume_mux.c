/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the port of volumes with a hostile guest and a server that may be in its hands: what is
 * kept stays bounded, frames for the guest are well made, and requests reach the server as the guest sent
 * them.
 *
 * The input is a list of steps: who does what, how many bytes, the bytes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "codec/volume.h"
#include "sandbox/supervisor/volume_mux.h"

#define COUNT 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int from_guest(struct volume_mux *m, const uint8_t *bytes, size_t n)
{
	struct error err;
	int r = 0;

	while (r == 0 && n) {
		size_t room, part;
		uint8_t *space = volume_mux_space(m, &room);

		assert(space && room > 0);
		part = n < room ? n : room;
		memcpy(space, bytes, part);
		r = volume_mux_filled(m, part, &err);
		bytes += part;
		n -= part;
	}
	return r;
}

/* A whole frame around the bytes: deeper than what mutation finds by itself. */
static int frame_from_guest(struct volume_mux *m, uint8_t how, const uint8_t *bytes, size_t n)
{
	uint8_t header[VOLUME_HEADER_SIZE];
	const struct volume_frame f = {(uint32_t)n, how % COUNT, (uint16_t)(1 + how / COUNT % 4)};

	volume_frame_encode(&f, header);
	return from_guest(m, header, sizeof header) < 0 ? -1 : from_guest(m, bytes, n);
}

static void from_server(struct volume_mux *m, uint32_t volume, const uint8_t *bytes, size_t n)
{
	struct error err;
	size_t room;
	uint8_t *space = volume_mux_reply_space(m, volume, &room);

	if (!space)
		return;
	n = n < room ? n : room;
	memcpy(space, bytes, n);
	if (volume_mux_replied(m, volume, n, &err) < 0)
		volume_mux_resume(m, volume, &err);
}

static void to_server(struct volume_mux *m, uint32_t volume, size_t most)
{
	const uint8_t *bytes;
	size_t n;

	for (size_t done = 0; done < most && (bytes = volume_mux_request(m, volume, &n)); done += n) {
		assert(n > 0 && n <= VOLUME_WINDOW);
		n = n < most - done ? n : most - done;
		volume_mux_requested(m, volume, n);
	}
}

static void to_guest(struct volume_mux *m, size_t most)
{
	const uint8_t *bytes;
	size_t n;

	for (size_t done = 0; done < most && (bytes = volume_mux_output(m, &n)); done += n) {
		assert(n > 0 && n <= 1u << 20);
		n = n < most - done ? n : most - done;
		volume_mux_written(m, n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	struct volume_mux *m = NULL;
	struct error err;
	int r = volume_mux_new(COUNT, &m, &err);

	if (r == 0)
		volume_mux_set_stream(m, COUNT - 1);
	while (r == 0 && in.left > 2) {
		uint8_t what = cursor_u8(&in), how = cursor_u8(&in);
		size_t n = how < in.left ? how : in.left;
		uint32_t volume = what / 8 % COUNT;

		switch (what % 8) {
		case 0:
			r = from_guest(m, cursor_take(&in, n), n);
			break;
		case 1:
		case 2:
			r = frame_from_guest(m, what / 8, cursor_take(&in, n), n);
			break;
		case 3:
			from_server(m, volume, cursor_take(&in, n), n);
			break;
		case 4:
			to_server(m, volume, (size_t)how * 64);
			break;
		case 5:
			to_guest(m, (size_t)how * 1024);
			break;
		case 6:
			volume_mux_resume(m, volume, &err);
			break;
		default:
			if (how == 0)
				volume_mux_end(m, volume);
		}
	}
	to_guest(m, SIZE_MAX);
	volume_mux_free(m);
	return 0;
}
