/* SPDX-License-Identifier: Apache-2.0 */
/* GET, PUT, READ, WRITE, STAT, LIST, UPPER and REMOVE, as the process of a transfer does them: in order, and
 * blocking. */
#pragma once

#include "guest/worker.h"

#define LIST_MOST 100000 /* names of one LIST */

/* A worker_task for all of them. Paths are resolved in the agent's root, which is the sandbox's. */
int task_run(struct worker *w, uint16_t type, const struct message_request *m, struct error *err);

/* Whether it changes nothing, so that its process may be killed at any moment. */
bool task_only_reads(uint16_t type);
