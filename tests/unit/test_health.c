/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/health.h"
#include "test.h"

#define SECONDS(n) ((uint64_t)(n)*NANOSECONDS_PER_SECOND)
#define START      SECONDS(1000)

static struct health made(uint64_t interval, uint64_t start_period, uint64_t retries)
{
	struct health h = {.interval = interval, .start_period = start_period, .retries = retries};

	health_start(&h, START);
	return h;
}

/* Makes the next check, which takes no time. */
static bool check(struct health *h, bool good)
{
	return health_result(h, good, h->next, h->next);
}

TEST(the_first_good_check_makes_it_healthy_long_before_an_interval_is_over)
{
	struct health h = made(SECONDS(30), 0, 3);

	CHECK_INT(h.next, START + HEALTH_EARLY);
	CHECK(!check(&h, false));
	CHECK(!check(&h, false));
	CHECK_INT(h.failures, 0);
	CHECK(check(&h, true));
	CHECK_INT(h.state, HEALTH_HEALTHY);
	CHECK(h.next < START + SECONDS(33) && h.next >= START + SECONDS(30));
}

TEST(it_is_unhealthy_after_as_many_intervals_as_there_are_retries)
{
	struct health h = made(SECONDS(10), 0, 3);
	unsigned checks = 0;

	while (!check(&h, false))
		checks++;
	CHECK_INT(h.state, HEALTH_UNHEALTHY);
	CHECK_INT(h.due - h.interval, START + SECONDS(30)); /* when the last one was made */
	CHECK(checks < 12);
	CHECK(check(&h, true));
	CHECK_INT(h.state, HEALTH_HEALTHY);
}

TEST(failures_in_the_start_period_do_not_count_unless_it_was_well_before)
{
	struct health h = made(SECONDS(1), SECONDS(20), 1);

	while (h.next < START + SECONDS(20))
		CHECK(!check(&h, false));
	CHECK(check(&h, false));
	CHECK_INT(h.state, HEALTH_UNHEALTHY);
	h = made(SECONDS(1), SECONDS(20), 1);
	CHECK(check(&h, true));
	CHECK(check(&h, false));
	CHECK_INT(h.state, HEALTH_UNHEALTHY);
}

TEST(only_failures_in_a_row_count)
{
	struct health h = made(SECONDS(1), 0, 2);

	CHECK(check(&h, true));
	for (int i = 0; i < 10; i++) {
		CHECK(!check(&h, false));
		CHECK(!check(&h, true));
	}
	CHECK_INT(h.state, HEALTH_HEALTHY);
}

TEST(times_that_have_no_end_do_not_overflow)
{
	struct health h = made(INT64_MAX, INT64_MAX, INT64_MAX);

	for (int i = 0; i < 100; i++)
		CHECK(!check(&h, false));
	CHECK(h.next > START && h.next <= h.due);
	h = made(MILLISECONDS(1), 0, 1);
	CHECK_INT(h.next, START + MILLISECONDS(1));
	CHECK(check(&h, false));
}
