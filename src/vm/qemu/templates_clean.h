/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "vm/vm.h"

/* vm_templates_clean() of this engine. */
int templates_clean(const char *home, int64_t before, bool dry_run, vm_template_tell *tell, void *context,
	struct error *err);
