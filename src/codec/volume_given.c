/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/volume_given.h"

void volume_given_begin(struct volume_given *g, uint32_t number)
{
	uint32_t i = number % VOLUME_GIVEN_MAX;

	g->made[i].number = number;
	g->made[i].pending = true;
	g->made[i].node = 0;
}

void volume_given_settle(struct volume_given *g, uint32_t number, uint64_t node)
{
	uint32_t i = number % VOLUME_GIVEN_MAX;

	if (g->made[i].number != number || !g->made[i].pending)
		return;
	g->made[i].pending = false;
	g->made[i].node = node;
}

uint64_t volume_given_node(const struct volume_given *g, uint64_t node, bool *pending)
{
	uint32_t number = (uint32_t)node, i = number % VOLUME_GIVEN_MAX;

	*pending = false;
	if (!volume_is_given(node))
		return node;
	if (g->made[i].number != number)
		return 0;
	*pending = g->made[i].pending;
	return g->made[i].node;
}
