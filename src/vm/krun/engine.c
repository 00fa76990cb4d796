/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/engine.h"

static int available(struct error *err)
{
	return error_set(err, ERROR_UNAVAILABLE, "the engine krun is not built in yet");
}

const struct vm_engine engine_krun = {.name = "krun", .available = available};
