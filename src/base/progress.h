/* SPDX-License-Identifier: Apache-2.0 */
/* How long work tells how far it is: a callback that the caller passes down and the front end draws. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress_event {
	const char *task; /* stable within one run: "layer sha256:1a2b…", "root file system", "template" */
	const char *unit; /* "bytes", "steps" */
	uint64_t done;
	uint64_t total; /* 0: not known */
	bool finished;
};

struct progress {
	/* Called from the thread that works, at most every 50 ms a task, and once with `finished` set. */
	void (*report)(void *context, const struct progress_event *event);
	void *context;
};

static inline void progress_report(const struct progress *p, const struct progress_event *event)
{
	if (p && p->report)
		p->report(p->context, event);
}
