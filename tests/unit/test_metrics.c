/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "sandbox/metrics.h"
#include "test.h"

#define NOW 1800000000ULL /* divisible by all lengths of a span */

struct place {
	char directory[64], path[96];
};

static void place_open(struct place *p)
{
	snprintf(p->directory, sizeof p->directory, "/tmp/test-metrics-XXXXXX");
	CHECK(mkdtemp(p->directory));
	snprintf(p->path, sizeof p->path, "%s/metrics.db", p->directory);
}

static void place_close(struct place *p)
{
	fs_remove_tree(AT_FDCWD, p->directory, NULL);
}
#define PLACE(p) \
	__attribute__((cleanup(place_close))) struct place p; \
	place_open(&p)

static void add(struct metrics *m, uint64_t now, uint64_t cpu, uint64_t memory)
{
	struct error err;

	CHECK_OK(metrics_add(m, now,
		&(struct metrics_span){.observed = 10, .cpu = cpu, .memory = memory, .net_sent = 1}, &err));
}

TEST(what_falls_into_one_span_is_added_up_and_of_levels_the_highest_counts)
{
	_cleanup_metrics_ struct metrics *m = NULL;
	_cleanup_free_ struct metrics_span *list = NULL;
	struct error err;
	size_t n;
	PLACE(p);

	CHECK_OK(metrics_open(p.path, &m, &err));
	add(m, NOW, 5, 100);
	add(m, NOW + 9, 6, 50);
	add(m, NOW + 10, 7, 70);
	CHECK_OK(metrics_read(m, NOW, NOW + 20, NOW + 20, &list, &n, &err));
	CHECK_INT(n, 2);
	CHECK_INT(list[0].time, NOW);
	CHECK_INT(list[0].length, 10);
	CHECK_INT(list[0].cpu, 11);
	CHECK_INT(list[0].memory, 100);
	CHECK_INT(list[0].net_sent, 2);
	CHECK_INT(list[0].observed, 20);
	CHECK_INT(list[1].cpu, 7);
}

TEST(the_past_is_told_in_the_finest_spans_that_reach_back)
{
	static const struct {
		uint64_t since, length;
	} cases[] = {{3600, 10}, {3601, 60}, {86400, 60}, {86401, 600}, {40 * 86400, 600}};
	_cleanup_metrics_ struct metrics *m = NULL;
	struct error err;
	PLACE(p);

	CHECK_OK(metrics_open(p.path, &m, &err));
	add(m, NOW, 5, 100);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ struct metrics_span *list = NULL;
		size_t n;

		CHECK_OK(metrics_read(m, NOW - cases[i].since, NOW, NOW, &list, &n, &err));
		CHECK_INT(n, 1);
		CHECK_INT(list[0].length, cases[i].length);
	}
}

/* A month of samples at ten seconds would be too slow here: steps of ten minutes reach as far. */
TEST(history_has_an_end_however_long_a_sandbox_runs)
{
	_cleanup_metrics_ struct metrics *m = NULL;
	_cleanup_free_ struct metrics_span *month = NULL, *hour = NULL;
	uint64_t now = NOW;
	struct error err;
	size_t n;
	PLACE(p);

	CHECK_OK(metrics_open(p.path, &m, &err));
	for (int i = 0; i < 400; i++)
		add(m, now += 10, 1, 1);
	CHECK_OK(metrics_read(m, now - 3600, now, now, &hour, &n, &err));
	CHECK_INT(n, 361);
	for (int i = 0; i < 5000; i++)
		add(m, now += 600, 1, 1);
	CHECK_OK(metrics_read(m, 0, now, now, &month, &n, &err));
	CHECK_INT(n, 31 * 144);
}

TEST(a_clock_that_was_wrong_leaves_nothing_in_the_future)
{
	_cleanup_metrics_ struct metrics *m = NULL;
	_cleanup_free_ struct metrics_span *list = NULL;
	struct error err;
	size_t n;
	PLACE(p);

	CHECK_OK(metrics_open(p.path, &m, &err));
	add(m, NOW + 1000000, 1, 1);
	add(m, NOW, 2, 2);
	CHECK_OK(metrics_read(m, NOW - 100, NOW + 2000000, NOW, &list, &n, &err));
	CHECK_INT(n, 1);
	CHECK_INT(list[0].time, NOW);
}

TEST(a_guest_that_lies_cannot_make_a_sum_overflow)
{
	_cleanup_metrics_ struct metrics *m = NULL;
	_cleanup_free_ struct metrics_span *list = NULL;
	struct error err;
	size_t n;
	PLACE(p);

	CHECK_OK(metrics_open(p.path, &m, &err));
	for (int i = 0; i < 100; i++)
		add(m, NOW, UINT64_MAX, UINT64_MAX);
	CHECK_OK(metrics_read(m, NOW, NOW, NOW, &list, &n, &err));
	CHECK_INT(n, 1);
	CHECK_INT(list[0].cpu, 100LL << 50);
	CHECK_INT(list[0].memory, 1LL << 50);
}
