/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bandwidth limits (net/shaper.h), with a model of a TCP connection behind one: a sender with SACK, Reno's
 * window and a retransmission timer, a path of 1 ms, virtual time.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/shaper.h"
#include "test.h"

#define STEP      MILLISECONDS(1) /* how often timers run */
#define RTT       MILLISECONDS(1)
#define SEGMENTS  400000u
#define FRAME_MAX 65534u

enum state { UNSENT, FLYING, LOST, ARRIVED };

struct segment {
	enum state state;
	uint32_t order; /* of its last transmission among all */
	uint64_t sent;
};

struct ack {
	uint32_t segment, order;
	uint64_t time;
};

struct sender {
	struct segment segments[SEGMENTS];
	struct ack acks[2 * SEGMENTS];
	uint32_t ack_count, ack_at;
	uint32_t una, next, recover, order, newest; /* newest: transmission that arrived */
	double window, threshold, rtt, deviation;
	uint64_t timer, timeout;
	bool recovering, police;
	struct shaper shaper;
	size_t size;
};

static void arrive(struct sender *t, const uint8_t *frame, uint64_t now)
{
	struct ack *a = &t->acks[t->ack_count++];

	CHECK(t->ack_count < 2 * SEGMENTS);
	memcpy(&a->segment, frame, sizeof a->segment);
	memcpy(&a->order, frame + 4, sizeof a->order);
	a->time = now + RTT;
}

static void transmit(struct sender *t, uint32_t number, uint64_t now)
{
	static uint8_t frame[FRAME_MAX];
	struct segment *s = &t->segments[number];
	enum shaper_fate fate;

	CHECK(number < SEGMENTS);
	*s = (struct segment){FLYING, ++t->order, now};
	memcpy(frame, &number, sizeof number);
	memcpy(frame + 4, &s->order, sizeof s->order);
	fate = shaper_offer(&t->shaper, frame, t->size, now);
	if (fate == SHAPER_PASS)
		arrive(t, frame, now);
	else if (t->police)
		shaper_clear(&t->shaper);
}

static void measure(struct sender *t, double rtt)
{
	double apart = rtt > t->rtt ? rtt - t->rtt : t->rtt - rtt;

	t->deviation = t->rtt > 0 ? t->deviation * 0.75 + apart * 0.25 : rtt / 2;
	t->rtt = t->rtt > 0 ? t->rtt * 0.875 + rtt * 0.125 : rtt;
	t->timeout = (uint64_t)(t->rtt + (4 * t->deviation > 2e8 ? 4 * t->deviation : 2e8));
}

static void take_acks(struct sender *t, uint64_t now)
{
	for (; t->ack_at < t->ack_count && t->acks[t->ack_at].time <= now; t->ack_at++) {
		const struct ack *a = &t->acks[t->ack_at];
		struct segment *s = &t->segments[a->segment];

		if (a->order > t->newest)
			t->newest = a->order;
		if (s->state == ARRIVED)
			continue;
		if (s->order == a->order)
			measure(t, (double)(now - s->sent));
		s->state = ARRIVED;
		t->timer = now + t->timeout;
		if (!t->recovering)
			t->window += t->window < t->threshold ? 1 : 1 / t->window;
		while (t->una < t->next && t->segments[t->una].state == ARRIVED)
			t->una++;
	}
}

/* What three later transmissions overtook is lost; the window halves once a flight. */
static void find_losses(struct sender *t)
{
	bool found = false;

	for (uint32_t i = t->una; i < t->next; i++)
		if (t->segments[i].state == FLYING && t->segments[i].order + 3 <= t->newest) {
			t->segments[i].state = LOST;
			found = true;
		}
	if (t->recovering && t->una >= t->recover)
		t->recovering = false;
	if (!found || t->recovering)
		return;
	t->recovering = true;
	t->recover = t->next;
	t->window = t->threshold = t->window / 2 < 2 ? 2 : t->window / 2;
}

static void time_out(struct sender *t, uint64_t now)
{
	if (now < t->timer || t->next == t->una)
		return;
	t->threshold = t->window / 2 < 2 ? 2 : t->window / 2;
	t->window = 1;
	t->recovering = false;
	t->timer = now + (t->timeout *= 2);
	for (uint32_t i = t->una; i < t->next; i++)
		if (t->segments[i].state == FLYING)
			t->segments[i].state = LOST;
}

static void send_more(struct sender *t, uint64_t now)
{
	uint32_t flying = 0;

	for (uint32_t i = t->una; i < t->next; i++)
		flying += t->segments[i].state == FLYING;
	if (!flying)
		t->timer = now + t->timeout;
	for (uint32_t i = t->una; i < t->next && flying < (uint32_t)t->window; i++)
		if (t->segments[i].state == LOST) {
			transmit(t, i, now);
			flying++;
		}
	for (; flying < (uint32_t)t->window && t->next < t->una + 4096; flying++)
		transmit(t, t->next++, now);
}

/* Part of its bandwidth that a connection gets in 20 seconds; police: nothing waits. */
static double goodput(uint64_t rate, size_t size, bool police)
{
	struct sender *t = calloc(1, sizeof *t);
	struct shaper_frame *f;
	double part;

	CHECK(t);
	shaper_init(&t->shaper, rate);
	t->size = size;
	t->police = police;
	t->window = 10;
	t->threshold = 1e9;
	t->timer = t->timeout = MILLISECONDS(1000);
	for (uint64_t now = 0; now < 20 * NANOSECONDS_PER_SECOND; now += STEP) {
		while ((f = shaper_take(&t->shaper, now))) {
			arrive(t, f->bytes, now);
			free(f);
		}
		take_acks(t, now);
		find_losses(t);
		time_out(t, now);
		send_more(t, now);
	}
	part = (double)t->una * (double)size / ((double)rate * 20);
	shaper_clear(&t->shaper);
	free(t);
	return part;
}

TEST(tcp_gets_its_bandwidth_and_no_more)
{
	static const struct {
		uint64_t rate;
		size_t size;
		double least;
	} cases[] = {{100000, 1514, 0.95}, {100000, FRAME_MAX, 0.7}, {1000000, 1514, 0.95},
		{1000000, FRAME_MAX, 0.95}, {10000000, 1514, 0.95}, {10000000, FRAME_MAX, 0.95},
		{100000000, FRAME_MAX, 0.95}, {1000000000, FRAME_MAX, 0.95}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double part = goodput(cases[i].rate, cases[i].size, false);

		printf("# %llu bytes/s in frames of %zu: %.2f of it, %.2f if nothing waited\n",
			(unsigned long long)cases[i].rate, cases[i].size, part,
			goodput(cases[i].rate, cases[i].size, true));
		CHECK(part >= cases[i].least && part <= 1.05);
	}
}

/* Takes all that time brings until `until`; counts bytes, checks the order of the numbers in the frames. */
static size_t drain(struct shaper *s, uint32_t *expected, uint64_t *now, uint64_t until)
{
	struct shaper_frame *f;
	size_t bytes = 0;

	for (; *now < until; *now += MILLISECONDS(1))
		while ((f = shaper_take(s, *now))) {
			CHECK(memcmp(f->bytes, expected, sizeof *expected) == 0);
			++*expected;
			bytes += f->size;
			free(f);
		}
	return bytes;
}

TEST(a_flood_waits_in_order_and_in_bounded_memory)
{
	uint32_t sent = 0, expected = 0;
	static uint8_t frame[1514];
	uint64_t now = 1000;
	struct shaper s;
	size_t dropped = 0;

	shaper_init(&s, 1000000);
	for (size_t i = 0; i < 10000; i++) {
		enum shaper_fate fate;

		memcpy(frame, &sent, sizeof sent);
		fate = shaper_offer(&s, frame, sizeof frame, now);
		if (fate == SHAPER_PASS)
			CHECK(sent == expected++);
		dropped += fate == SHAPER_DROPPED;
		sent += fate != SHAPER_DROPPED;
		CHECK(s.queued <= SHAPER_QUEUE_LEAST);
	}
	CHECK(dropped > 9000 && expected >= 7 && shaper_next(&s) < now + MILLISECONDS(10));
	drain(&s, &expected, &now, now + MILLISECONDS(500));
	CHECK(expected == sent && s.queued == 0 && shaper_next(&s) == UINT64_MAX);
}

TEST(what_passes_in_a_time_is_the_rate)
{
	static uint8_t frame[FRAME_MAX];
	uint64_t now = 5000000000, began = now;
	size_t passed = 0;
	struct shaper s;

	shaper_init(&s, 2000000);
	for (; now < began + 10 * NANOSECONDS_PER_SECOND; now += MILLISECONDS(7)) {
		struct shaper_frame *f;

		for (; (f = shaper_take(&s, now)); free(f))
			passed += f->size;
		for (size_t n = 60; n < sizeof frame; n += 7919)
			passed += shaper_offer(&s, frame, n, now) == SHAPER_PASS ? n : 0;
	}
	CHECK(passed > 19900000 && passed < 20200000);
	shaper_clear(&s);
}

TEST(without_a_limit_nothing_waits)
{
	static uint8_t frame[FRAME_MAX];
	struct shaper s;

	shaper_init(&s, 0);
	for (size_t i = 0; i < 1000; i++)
		CHECK(shaper_offer(&s, frame, sizeof frame, 77) == SHAPER_PASS);
	CHECK(shaper_next(&s) == UINT64_MAX && !shaper_take(&s, UINT64_MAX));
}

TEST(another_rate_holds_for_what_waits)
{
	static uint8_t frame[FRAME_MAX];
	struct shaper_frame *f;
	struct shaper s;

	shaper_init(&s, 1000);
	CHECK(shaper_offer(&s, frame, sizeof frame, 0) == SHAPER_PASS);
	CHECK(shaper_offer(&s, frame, sizeof frame, 0) == SHAPER_QUEUED);
	CHECK(shaper_next(&s) > 60 * NANOSECONDS_PER_SECOND);
	shaper_set_rate(&s, 1000000);
	CHECK(shaper_next(&s) <= 5);
	f = shaper_take(&s, 5);
	CHECK(f && f->size == sizeof frame);
	free(f);
	CHECK(shaper_offer(&s, frame, sizeof frame, 6) == SHAPER_QUEUED);
	shaper_set_rate(&s, 0);
	CHECK(shaper_next(&s) == 0);
	/* Order holds: what comes now goes behind what waits. */
	CHECK(shaper_offer(&s, frame, 60, 7) == SHAPER_QUEUED);
	for (size_t i = 0; i < 2; i++)
		free(shaper_take(&s, 7));
	CHECK(shaper_offer(&s, frame, 60, 7) == SHAPER_PASS);
}
