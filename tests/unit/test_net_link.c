/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's stream: its framing, its bounds, and who waits for whom: nobody. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "net/server/link.h"

#define DEADLINE (30 * NANOSECONDS_PER_SECOND)

static struct error err;

struct end {
	struct link *link;
	int guest; /* its side of the stream */
	size_t frames, bytes, last;
	uint8_t first;
	const char *why;
	int busy, idle;
};

struct net {
	uv_loop_t loop;
	struct link_hub *hub;
};

#define UNTIL(net, condition) \
	do { \
		uint64_t deadline_ = clock_monotonic() + DEADLINE; \
		while (!(condition) && clock_monotonic() < deadline_) \
			uv_run(&(net)->loop, UV_RUN_NOWAIT), usleep(50); \
		CHECK(condition); \
	} while (0)

static void on_frame(void *context, uint8_t *frame, size_t n)
{
	struct end *e = context;

	e->frames++;
	e->bytes += n;
	e->last = n;
	e->first = n ? frame[0] : 0;
}

static void on_ended(void *context, const char *why)
{
	((struct end *)context)->why = why;
}

static void on_busy(void *context, bool busy)
{
	struct end *e = context;

	e->busy += busy;
	e->idle += !busy;
}

static void net_open(struct net *net)
{
	uv_loop_init(&net->loop);
	CHECK_OK(link_hub_new(&net->loop, &net->hub, &err));
}

static void net_close(struct net *net)
{
	link_hub_close(net->hub);
	uv_run(&net->loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&net->loop), 0);
}

static void end_open(struct net *net, struct end *e)
{
	const struct link_calls calls = {.frame = on_frame, .ended = on_ended, .busy = on_busy};
	int pair[2];

	*e = (struct end){0};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	e->guest = pair[0];
	CHECK_OK(link_new(net->hub, pair[1], &calls, e, &e->link, &err));
}

static void end_close(struct end *e)
{
	link_close(e->link);
	if (e->guest >= 0)
		close(e->guest);
}

static size_t make_frame(uint8_t *out, size_t n, uint8_t fill)
{
	out[0] = (uint8_t)(n >> 24);
	out[1] = (uint8_t)(n >> 16);
	out[2] = (uint8_t)(n >> 8);
	out[3] = (uint8_t)n;
	memset(out + 4, fill, n);
	return n + 4;
}

TEST(frames_arrive_whole_however_the_stream_is_cut)
{
	struct net net;
	struct end e;
	uint8_t bytes[3 * 2000];
	size_t n = 0;

	net_open(&net);
	end_open(&net, &e);
	n += make_frame(bytes + n, 60, 1);
	n += make_frame(bytes + n, 0, 2);
	n += make_frame(bytes + n, 1514, 3);
	for (size_t i = 0; i < n; i++) {
		CHECK(write(e.guest, bytes + i, 1) == 1);
		uv_run(&net.loop, UV_RUN_NOWAIT);
	}
	UNTIL(&net, e.frames == 3);
	CHECK(e.bytes == 60 + 1514 && e.first == 3);
	CHECK(write(e.guest, bytes, n) == (ssize_t)n);
	UNTIL(&net, e.frames == 6);
	end_close(&e);
	net_close(&net);
}

TEST(the_largest_frame_passes_and_a_larger_length_ends_the_link)
{
	struct net net;
	struct end e;
	_cleanup_free_ uint8_t *bytes = malloc(LINK_FRAME_MAX + 5);
	size_t n = make_frame(bytes, LINK_FRAME_MAX, 7), sent = 0;

	net_open(&net);
	end_open(&net, &e);
	while (sent < n) {
		ssize_t wrote = write(e.guest, bytes + sent, n - sent);

		sent += wrote > 0 ? (size_t)wrote : 0;
		uv_run(&net.loop, UV_RUN_NOWAIT);
	}
	UNTIL(&net, e.frames == 1);
	CHECK_INT(e.last, LINK_FRAME_MAX);
	make_frame(bytes, LINK_FRAME_MAX + 1, 7);
	CHECK(write(e.guest, bytes, 4) == 4);
	UNTIL(&net, e.why);
	CHECK(!link_send(e.link, bytes, 60));
	end_close(&e);
	net_close(&net);
}

TEST(the_end_of_a_guest_is_told_once)
{
	struct net net;
	struct end e;

	net_open(&net);
	end_open(&net, &e);
	close(e.guest);
	e.guest = -1;
	UNTIL(&net, e.why);
	e.why = NULL;
	for (int i = 0; i < 10; i++)
		uv_run(&net.loop, UV_RUN_NOWAIT);
	CHECK(!e.why);
	end_close(&e);
	net_close(&net);
}

TEST(a_guest_that_does_not_read_loses_frames_and_gets_the_rest_in_order)
{
	struct net net;
	struct end e;
	static uint8_t frame[4096], got[1 << 20];
	size_t sent = 0, queued, whole = 0;
	_cleanup_buffer_ struct buffer all = {0};

	net_open(&net);
	end_open(&net, &e);
	for (uint32_t i = 0; i < 4096; i++) {
		memcpy(frame, &i, sizeof i);
		sent += link_send(e.link, frame, sizeof frame);
		uv_run(&net.loop, UV_RUN_NOWAIT);
	}
	queued = sent * (sizeof frame + 4);
	CHECK(sent < 4096 && queued >= LINK_QUEUE - 2 * sizeof frame && queued < 2 * LINK_QUEUE);
	CHECK(e.busy == 1 && e.idle == 0);
	while (all.size < queued) {
		ssize_t n = read(e.guest, got, sizeof got);

		if (n > 0)
			buffer_append(&all, got, (size_t)n);
		uv_run(&net.loop, UV_RUN_NOWAIT);
	}
	CHECK_INT(all.size, queued);
	for (uint32_t i = 0; whole < all.size; whole += sizeof frame + 4, i++)
		CHECK(!memcmp(all.data + whole, "\0\0\x10\0", 4) &&
			!memcmp(all.data + whole + 4, &i, sizeof i));
	CHECK(e.busy == 1 && e.idle == 1);
	CHECK(link_send(e.link, frame, sizeof frame));
	end_close(&e);
	net_close(&net);
}

TEST(one_guest_s_flood_leaves_another_its_turn)
{
	struct net net;
	struct end flood, other;
	static uint8_t bytes[1 << 20];
	size_t n = 0, at = 0, before;
	ssize_t wrote;

	while (n + 64 + 4 <= sizeof bytes)
		n += make_frame(bytes + n, 64, 9);
	net_open(&net);
	end_open(&net, &flood);
	end_open(&net, &other);
	for (int turn = 0; turn < 50; turn++) {
		/* There is always more to read of the one; of the other, one frame. */
		while ((wrote = write(flood.guest, bytes + at, n - at)) > 0)
			at = (at + (size_t)wrote) % n;
		CHECK(write(other.guest, bytes, 68) == 68);
		before = flood.bytes;
		uv_run(&net.loop, UV_RUN_NOWAIT);
		CHECK(flood.bytes - before <= 2 * LINK_READ);
		if (turn > 0)
			CHECK(other.frames >= (size_t)turn);
	}
	CHECK(!flood.why && !other.why);
	end_close(&flood);
	end_close(&other);
	net_close(&net);
}

TEST(what_is_no_stream_is_no_link)
{
	const struct link_calls calls = {.frame = on_frame, .ended = on_ended, .busy = on_busy};
	struct net net;
	struct link *link;
	int pair[2];

	net_open(&net);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK_ERROR(link_new(net.hub, pair[1], &calls, NULL, &link, &err), ERROR_INVALID);
	close(pair[0]);
	CHECK(pipe(pair) == 0);
	CHECK_ERROR(link_new(net.hub, pair[1], &calls, NULL, &link, &err), ERROR_INVALID);
	close(pair[0]);
	net_close(&net);
}
