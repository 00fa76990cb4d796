/* SPDX-License-Identifier: Apache-2.0 */
/* Between a walk and its workers: every event that needs work gets it once, and all are taken in order. */
#include "test.h"

#include <sched.h>

#include "base/cleanup.h"
#include "monofs/work_ring.h"
#include "monofs_place.h"

#define EVENTS 200000u

struct counted {
	struct work_event work;
	uint32_t number;
};

static atomic_uchar worked[EVENTS];
static uint32_t taken;

static int begin(void *context, void **worker, struct error *err)
{
	(void)err;
	*worker = context;
	return 0;
}

static void work(void *worker, struct work_event *event)
{
	const struct counted *e = (const struct counted *)(const void *)event;
	static _Thread_local bool late;

	(void)worker;
	/* The walk goes first, wherever they are. */
	if (!late)
		late = sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}) == 0;
	atomic_fetch_add(&worked[e->number], 1);
}

static void stay_on_one_processor(void)
{
	cpu_set_t set, one;

	CPU_ZERO(&one);
	CHECK_INT(sched_getaffinity(0, sizeof set, &set), 0);
	for (int i = 0; !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &set))
			CPU_SET(i, &one);
	CHECK_INT(sched_setaffinity(0, sizeof one, &one), 0);
}

static int end(void *worker, struct error *err)
{
	(void)worker;
	(void)err;
	return 0;
}

static void free_worker(void *worker)
{
	(void)worker;
}

static int take(void *context, struct work_event *event, struct error *err)
{
	const struct counted *e = (const struct counted *)(const void *)event;

	(void)context;
	(void)err;
	CHECK_INT(e->number, taken);
	CHECK_INT(worked[taken], event->work);
	taken++;
	return 0;
}

TEST(each_event_is_worked_on_once_and_taken_in_its_order)
{
	const struct work_ring_options o = {.event_size = sizeof(struct counted),
		.workers = 2,
		.begin = begin,
		.work = work,
		.end = end,
		.free = free_worker,
		.take = take};
	struct work_ring *q;
	uint64_t random = 5;
	struct error err;

	stay_on_one_processor();
	CHECK_OK(work_ring_new(&o, &q, &err));
	for (uint32_t i = 0; i < EVENTS; i++) {
		struct work_event *e;

		CHECK_OK(work_ring_event(q, &e, &err));
		((struct counted *)(void *)e)->number = i;
		/* Those that need none come in crowds, too. */
		e->work = i / 500 % 3 ? monofs_random(&random) % 8 > 0 : monofs_random(&random) % 64 == 0;
		CHECK_OK(work_ring_push(q, e, &err));
	}
	CHECK_OK(work_ring_finish(q, &err));
	CHECK_INT(taken, EVENTS);
	work_ring_free(q);
}
