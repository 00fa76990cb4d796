/* SPDX-License-Identifier: Apache-2.0 */
/* A process seen through a connection: the other end is played by a thread that keeps the windows. */
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "lib/process.h"
#include "os/peer.h"

#define STREAM 1

/* What the other end does, and what it has seen. */
struct guest {
	struct peer peer;
	pthread_t thread;
	size_t send_out, send_err; /* bytes of output to send, as credit allows */
	bool echo;                 /* sends back as much as comes in, until its end */
	bool until_closed;         /* sends output until CLOSE, then exits */
	bool until_signal;         /* exits with 128 + the signal */
	int64_t window[3];
	size_t received;
	uint64_t sum; /* of the bytes received */
	bool input_ended, closed, overrun;
	_Atomic uint32_t signal;
	int status;
};

static void guest_exit(struct guest *g)
{
	struct message_exited m = {.code = (uint32_t)g->status};
	_cleanup_buffer_ struct buffer b = {0};

	message_exited_encode(&m, &b);
	peer_send(&g->peer, STREAM, MESSAGE_EXITED, 0, b.data, b.size);
	while (peer_has_output(&g->peer) && peer_flush(&g->peer, NULL) == 0)
		poll(&(struct pollfd){.fd = g->peer.fd, .events = POLLOUT}, 1, 100);
}

static void guest_output(struct guest *g, uint16_t channel, size_t *left)
{
	static const char block[16384] = {'x'};

	while (*left && g->window[channel] > 0) {
		size_t n = *left < sizeof block ? *left : sizeof block;

		if ((int64_t)n > g->window[channel])
			n = (size_t)g->window[channel];
		if (!peer_send(&g->peer, STREAM, MESSAGE_DATA, channel, block, n))
			return;
		g->window[channel] -= (int64_t)n;
		*left -= n;
	}
}

static void guest_input(struct guest *g, const struct frame *f)
{
	g->received += f->size;
	for (size_t i = 0; i < f->size; i++)
		g->sum += f->payload[i];
	g->window[CHANNEL_IN] -= (int64_t)f->size;
	g->overrun |= g->window[CHANNEL_IN] < 0;
	if (g->echo)
		g->send_out += f->size;
	g->window[CHANNEL_IN] += (int64_t)f->size;
	peer_send_u32(&g->peer, STREAM, MESSAGE_CREDIT, CHANNEL_IN, (uint32_t)f->size);
}

static void guest_frame(struct guest *g, const struct frame *f)
{
	struct cursor in = cursor_of(f->payload, f->size);

	if (f->type == MESSAGE_DATA)
		guest_input(g, f);
	else if (f->type == MESSAGE_CREDIT)
		g->window[f->channel] += cursor_u32(&in);
	else if (f->type == MESSAGE_END)
		g->input_ended = true;
	else if (f->type == MESSAGE_CLOSE)
		g->closed = true;
	else if (f->type == MESSAGE_SIGNAL)
		g->signal = cursor_u32(&in);
}

static bool guest_done(const struct guest *g)
{
	if (g->closed && g->until_closed)
		return true;
	if (g->until_signal)
		return g->signal;
	return !g->send_out && !g->send_err && !g->until_closed && (!g->echo || g->input_ended);
}

static void *guest_run(void *context)
{
	struct guest *g = context;
	struct frame f;

	while (!guest_done(g)) {
		guest_output(g, CHANNEL_OUT, &g->send_out);
		guest_output(g, CHANNEL_ERR, &g->send_err);
		if (guest_done(g))
			break;
		if (peer_wait(&g->peer, &f, UINT64_MAX, NULL) <= 0)
			return NULL;
		guest_frame(g, &f);
	}
	guest_exit(g);
	return NULL;
}

static struct monocore_process *guest_start(struct guest *g)
{
	struct peer mine = PEER_NONE;
	struct error err;
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	mine.fd = ends[0];
	g->peer.fd = ends[1];
	for (int i = 0; i < 3; i++)
		g->window[i] = STREAM_WINDOW;
	CHECK(pthread_create(&g->thread, NULL, guest_run, g) == 0);
	return process_new(&mine, STREAM, false, &err);
}

static void guest_end(struct guest *g, struct monocore_process *p)
{
	monocore_process_free(p);
	pthread_join(g->thread, NULL);
	peer_close(&g->peer);
	CHECK(!g->overrun);
}

static void *drain(void *context)
{
	char bytes[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = read(*(int *)context, bytes, sizeof bytes)) > 0)
		total += (size_t)n;
	return (void *)total;
}

TEST(output_of_any_length_arrives_whole_on_both_channels)
{
	struct guest g = {.send_out = 5000001, .send_err = 3000001, .status = 7};
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *p = guest_start(&g);
	struct monocore_error error;
	pthread_t readers[2];
	void *totals[2];
	int out[2], err[2], status = -1;

	CHECK(pipe(out) == 0 && pipe(err) == 0);
	pthread_create(&readers[0], NULL, drain, &out[0]);
	pthread_create(&readers[1], NULL, drain, &err[0]);
	relay.out = out[1];
	relay.err = err[1];
	CHECK_INT(monocore_process_relay(p, &relay, &status, &error), 0);
	CHECK_INT(status, 7);
	close(out[1]);
	close(err[1]);
	pthread_join(readers[0], &totals[0]);
	pthread_join(readers[1], &totals[1]);
	CHECK_INT((size_t)totals[0], 5000001);
	CHECK_INT((size_t)totals[1], 3000001);
	close(out[0]);
	close(err[0]);
	guest_end(&g, p);
}

struct feed {
	int fd;
	size_t bytes;
};

static void *feed_zeroes_and_ones(void *context)
{
	static char block[65536];
	struct feed *f = context;

	memset(block, 1, sizeof block);
	for (size_t left = f->bytes; left;) {
		ssize_t n = write(f->fd, block, left < sizeof block ? left : sizeof block);

		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	close(f->fd);
	return NULL;
}

TEST(a_hundred_mebibytes_of_standard_input_arrive_and_then_their_end)
{
	struct guest g = {.echo = true};
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *p = guest_start(&g);
	struct monocore_error error;
	pthread_t writer, reader;
	struct feed f = {.bytes = 100 << 20};
	int in[2], out[2], status = -1;
	void *total;

	CHECK(pipe(in) == 0 && pipe(out) == 0);
	f.fd = in[1];
	pthread_create(&writer, NULL, feed_zeroes_and_ones, &f);
	pthread_create(&reader, NULL, drain, &out[0]);
	relay.in = in[0];
	relay.out = out[1];
	CHECK_INT(monocore_process_relay(p, &relay, &status, &error), 0);
	close(out[1]);
	pthread_join(writer, NULL);
	pthread_join(reader, &total);
	CHECK_INT(g.received, 100 << 20);
	CHECK_INT(g.sum, 100 << 20);
	CHECK_INT((size_t)total, 100 << 20);
	close(in[0]);
	close(out[0]);
	guest_end(&g, p);
}

TEST(an_output_whose_reader_is_gone_is_closed_for_the_process)
{
	struct guest g = {.send_out = SIZE_MAX, .until_closed = true, .status = 141};
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *p = guest_start(&g);
	struct monocore_error error;
	int out[2], status = -1;

	signal(SIGPIPE, SIG_IGN);
	CHECK(pipe(out) == 0);
	close(out[0]);
	relay.out = out[1];
	CHECK_INT(monocore_process_relay(p, &relay, &status, &error), 0);
	CHECK_INT(status, 141);
	CHECK(g.closed);
	close(out[1]);
	guest_end(&g, p);
}

struct late_reader {
	struct guest *guest;
	int fd;
};

/* Reads nothing before the guest has got its signal. */
static void *drain_after_signal(void *context)
{
	struct late_reader *r = context;

	while (!r->guest->signal)
		usleep(1000);
	return drain(&r->fd);
}

TEST(signals_pass_while_output_is_stuck)
{
	struct guest g = {.send_out = 10 << 20, .until_signal = true, .status = 130};
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *p = guest_start(&g);
	struct monocore_error error;
	struct late_reader late = {.guest = &g};
	pthread_t reader;
	sigset_t set;
	int out[2], status = -1;

	CHECK(pipe(out) == 0);
	late.fd = out[0];
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	relay.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	relay.out = out[1];
	pthread_create(&reader, NULL, drain_after_signal, &late);
	raise(SIGUSR1);
	CHECK_INT(monocore_process_relay(p, &relay, &status, &error), 0);
	CHECK_INT(status, 130);
	CHECK_INT(g.signal, SIGUSR1);
	close(out[1]);
	pthread_join(reader, NULL);
	close(out[0]);
	close(relay.signals);
	guest_end(&g, p);
}

TEST(a_supervisor_that_dies_is_an_error_and_not_a_status)
{
	struct peer mine = PEER_NONE;
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *p;
	struct monocore_error error;
	struct error err;
	int ends[2], status = -1;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	mine.fd = ends[0];
	p = process_new(&mine, STREAM, false, &err);
	close(ends[1]);
	CHECK_INT(monocore_process_relay(p, &relay, &status, &error), -MONOCORE_CLOSED);
	monocore_process_free(p);
}

/* Output, and then that the sandbox broke down, from a supervisor that is gone when it is read. */
static struct monocore_process *broken_sandbox(size_t size)
{
	static const char bytes[STREAM_WINDOW];
	const struct error why = {.code = ERROR_START, .text = "the sandbox broke down"};
	struct peer mine = PEER_NONE, theirs = PEER_NONE;
	struct error err;
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	mine.fd = ends[0];
	theirs.fd = ends[1];
	CHECK(peer_send(&theirs, STREAM, MESSAGE_DATA, CHANNEL_OUT, bytes, size));
	CHECK(peer_send_error(&theirs, STREAM, &why));
	CHECK(!peer_has_output(&theirs));
	peer_close(&theirs);
	return process_new(&mine, STREAM, false, &err);
}

TEST(what_came_before_the_sandbox_broke_down_is_written_and_then_the_reason_told)
{
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *p = broken_sandbox(100000);
	struct monocore_error error;
	pthread_t reader;
	int out[2], status = -1;
	void *total;

	CHECK(pipe(out) == 0);
	relay.out = out[1];
	CHECK(fcntl(out[1], F_SETPIPE_SZ, 4096) >= 0);
	CHECK(pthread_create(&reader, NULL, drain, &out[0]) == 0);
	CHECK_INT(monocore_process_relay(p, &relay, &status, &error), -MONOCORE_START);
	CHECK_TEXT(error.text, "the sandbox broke down");
	close(out[1]);
	pthread_join(reader, &total);
	close(out[0]);
	CHECK_INT((size_t)total, 100000);
	monocore_process_free(p);
}

TEST(the_reason_is_told_to_one_who_writes_to_a_sandbox_that_broke_down)
{
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *p = broken_sandbox(1);
	struct monocore_error error;
	int status = -1;

	/* The end of the input is the first that is sent, and nobody takes it. */
	relay.in = -1;
	CHECK_INT(monocore_process_relay(p, &relay, &status, &error), -MONOCORE_START);
	CHECK_TEXT(error.text, "the sandbox broke down");
	monocore_process_free(p);
}
