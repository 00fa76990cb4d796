/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "guest/agent.h"

/* Prepares everything that the loop needs; HELLO may be sent afterwards. */
int loop_prepare(struct agent *a, struct error *err);

/* Runs for ever. */
_Noreturn void loop_run(struct agent *a);
