/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random layers in the words of merge_make.h, and what they make together by the plainest way there is: each
 * layer's tree by itself, then over the older ones, the oldest first. The model knows no symbolic links in
 * paths; those it makes are never gone through.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MERGE_MODEL_LAYERS 4
#define MERGE_MODEL_BYTES  8192

struct merge_model {
	const char *layers[MERGE_MODEL_LAYERS + 1]; /* the oldest first, NULL behind the last */
	char text[MERGE_MODEL_LAYERS][MERGE_MODEL_BYTES];
	char expected[MERGE_MODEL_BYTES];
};

void merge_model_random(struct merge_model *m, uint64_t seed);
