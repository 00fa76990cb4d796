/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/restart.h"
#include "test.h"

#define SOON MILLISECONDS(5)

TEST(policies_are_those_of_docker)
{
	static const struct {
		const char *text;
		enum restart_when when;
		uint64_t most;
	} good[] = {{"", RESTARTED_NEVER, 0}, {"no", RESTARTED_NEVER, 0}, {"always", RESTARTED_ALWAYS, 0},
		{"unless-stopped", RESTARTED_UNLESS_STOPPED, 0}, {"on-failure", RESTARTED_ON_FAILURE, 0},
		{"on-failure:3", RESTARTED_ON_FAILURE, 3}};
	static const char *const wrong[] = {"yes", "on-failure:", "on-failure:0", "on-failure:-1",
		"on-failure:x", "on-failures", "always:3", "on-failure:99999999999"};
	struct restart r;
	struct error err;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		CHECK_OK(restart_parse(good[i].text, &r, &err));
		CHECK_INT(r.when, good[i].when);
		CHECK_INT(r.most, good[i].most);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		CHECK_ERROR(restart_parse(wrong[i], &r, &err), ERROR_USAGE);
}

TEST(only_a_failure_is_followed_by_a_start_and_so_often_as_was_said)
{
	struct restart r;
	struct error err;

	CHECK_OK(restart_parse("no", &r, &err));
	CHECK(!restart_next(&r, 1, SOON));
	CHECK_OK(restart_parse("on-failure:2", &r, &err));
	CHECK(!restart_next(&r, 0, SOON));
	CHECK_INT(r.count, 0);
	CHECK(restart_next(&r, 1, SOON));
	CHECK(restart_next(&r, 137, RESTART_LIVED));
	CHECK_INT(r.count, 2);
	CHECK(!restart_next(&r, 1, SOON));
	CHECK_OK(restart_parse("always", &r, &err));
	CHECK(restart_next(&r, 0, SOON));
}

TEST(a_host_that_is_up_again_starts_what_was_cut_off_and_by_always_what_was_stopped)
{
	static const struct {
		const char *policy;
		bool cut_off, stopped;
	} rows[] = {{"no", false, false}, {"on-failure:1", true, false}, {"unless-stopped", true, false},
		{"always", true, true}};
	struct restart r;
	struct error err;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CHECK_OK(restart_parse(rows[i].policy, &r, &err));
		CHECK_INT(restart_recovers(&r, true), rows[i].cut_off);
		CHECK_INT(restart_recovers(&r, false), rows[i].stopped);
	}
	CHECK_OK(restart_parse("unless-stopped", &r, &err));
	CHECK(restart_next(&r, 0, SOON));
}

TEST(pauses_double_up_to_a_minute_and_begin_anew_after_a_life)
{
	uint64_t wanted = RESTART_PAUSE_FIRST;
	struct restart r;
	struct error err;

	CHECK_OK(restart_parse("always", &r, &err));
	for (int i = 0; i < 200; i++) {
		CHECK(restart_next(&r, 1, SOON));
		CHECK_INT(r.pause, wanted);
		wanted = wanted * 2 < RESTART_PAUSE_MOST ? wanted * 2 : RESTART_PAUSE_MOST;
	}
	CHECK(restart_next(&r, 1, RESTART_LIVED));
	CHECK_INT(r.pause, RESTART_PAUSE_FIRST);
	CHECK_INT(r.short_lives, 0);
	CHECK(restart_next(&r, 1, SOON));
	CHECK_INT(r.pause, 2 * RESTART_PAUSE_FIRST);
}

TEST(a_crash_loop_is_called_one)
{
	char reason[RESTART_REASON_SIZE];
	struct restart r;
	struct error err;

	CHECK_OK(restart_parse("on-failure", &r, &err));
	for (int i = 1; i < RESTART_LOOP; i++) {
		CHECK(restart_next(&r, 3, SOON));
		CHECK(!strstr(restart_reason(&r, "out of memory", reason), "crash loop"));
		CHECK(strstr(reason, "out of memory"));
	}
	CHECK(restart_next(&r, 3, SOON));
	CHECK_TEXT(restart_reason(&r, "", reason), "crash loop: it has ended 5 times in a row soon after its "
						   "start; it is started again in 1.6 s");
	CHECK(restart_next(&r, 3, RESTART_LIVED));
	CHECK_TEXT(restart_reason(&r, "", reason), "it is started again in 0.1 s");
}
