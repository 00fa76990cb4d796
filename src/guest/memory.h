/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "guest/boot.h"

/* How many processes of the sandbox the kernel has killed for want of memory. */
uint64_t memory_oom_kills(const struct boot *b);
