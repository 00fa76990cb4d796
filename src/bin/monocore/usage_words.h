/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox uses, as it is printed. */
#pragma once

#include "base/buffer.h"
#include "monocore_observe.h"

#define USAGE_WORDS_SIZE 48

/* "12.34%" of one cpu. Each returns out, which has USAGE_WORDS_SIZE bytes. */
const char *usage_cpu(uint32_t thousandth, char *out);
/* "12.34%" of a whole; "-" where that is 0. */
const char *usage_share(uint64_t part, uint64_t whole, char *out);
/* "1.5 MiB / 512 MiB" */
const char *usage_pair(uint64_t a, uint64_t b, char *out);

void usage_write_json(struct buffer *b, const struct monocore_usage *u);
