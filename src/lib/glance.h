/* SPDX-License-Identifier: Apache-2.0 */
/* How one sandbox stands, for who waits until it is ready. */
#pragma once

#include "lib/handle.h"

struct glance {
	enum monocore_state state;
	bool interrupted, checked; /* checked: it has a healthcheck */
	struct status status;      /* glance_free() */
};
int glance(struct monocore *mc, const char *name, struct glance *g, struct error *err);
void glance_free(struct glance *g);
static inline void cleanup_glance(struct glance *g)
{
	glance_free(g);
}
#define _cleanup_glance_ __attribute__((cleanup(cleanup_glance)))

/* 1: ready; 0: not yet; START: it will not be. What has no healthcheck is as soon as it runs, and what came
 * to a good end was, too. */
int glance_judge(const struct glance *g, struct error *err);
