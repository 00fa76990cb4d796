/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that the relay of volumes has given to what it asks for to be made, and goes on with before it
 * has the reply (volume.h: VOLUME_GIVES): what the host calls that. A number has one place; who comes later
 * takes it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/volume.h"

struct volume_given {
	struct {
		uint32_t number;
		bool pending;  /* there is no reply */
		uint64_t node; /* 0: nothing was made */
	} made[VOLUME_GIVEN_MAX];
};

/* A request gives the number; its reply says what it has made: 0, nothing. */
void volume_given_begin(struct volume_given *g, uint32_t number);
void volume_given_settle(struct volume_given *g, uint32_t number, uint64_t node);

/* What a request's nodeid means: itself, if it was not given; the host's number; 0, if it is nothing's.
 * *pending: that is not known yet. */
uint64_t volume_given_node(const struct volume_given *g, uint64_t node, bool *pending);
