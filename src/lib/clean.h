/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of monocore_clean() share. */
#pragma once

#include "lib/handle.h"
#include "monocore_observe.h"

struct cleaning {
	struct monocore *mc;
	const struct monocore_clean_options *options;
	void (*tell)(void *context, const struct monocore_cleaned *what);
	void *context;
};

void clean_tell(
	const struct cleaning *c, const char *kind, const char *name, uint64_t size, const char *kept);

/* Running states of images that are not there any more, or, where unused images go, that no sandbox is made
 * of. What somebody has saved stays. */
int clean_snapshots(const struct cleaning *c, struct error *err);
