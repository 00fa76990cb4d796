/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

typedef int record_call(void *context, const struct record *record, struct error *err);

/* Calls `each` for the record of every sandbox, until it fails. Those that are removed meanwhile, or can
 * never be started again, are left out. */
int records_each(const struct home *home, record_call *each, void *context, struct error *err);

/* The same for those that somebody has saved in snapshots: as they were then. */
int records_each_saved(const struct home *home, record_call *each, void *context, struct error *err);
