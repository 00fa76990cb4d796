/* SPDX-License-Identifier: Apache-2.0 */
/* The table of special.h, and looking something up in it. */
#include "net/special.h"

#define GROUP(g) (uint8_t)((g) >> 8), (uint8_t)((g)&0xff)
#define X4(id, a, b, c, d, size, text, number, reach) \
	[SPECIAL_##id] = { \
		.prefix = {.address = {{[10] = 0xff, [11] = 0xff, a, b, c, d}}, .bits = 96 + (size)}, \
		.scope = SCOPE_##reach, \
		.rfc = number, \
		.what = text, \
	},
#define X6(id, g0, g1, g2, g3, g4, g5, g6, g7, size, text, number, reach) \
	[SPECIAL_##id] = { \
		.prefix = {.address = {{GROUP(g0), GROUP(g1), GROUP(g2), GROUP(g3), GROUP(g4), GROUP(g5), \
				   GROUP(g6), GROUP(g7)}}, \
			.bits = size}, \
		.scope = SCOPE_##reach, \
		.rfc = number, \
		.what = text, \
	},

const struct special special_table[SPECIAL_COUNT] = {SPECIAL_ADDRESSES(X4, X6)};

enum special_row special_find(const struct address *a)
{
	enum special_row best = address_is_ipv4(a) ? SPECIAL_IPV4 : SPECIAL_IPV6;

	for (int i = 0; i < SPECIAL_COUNT; i++)
		if (special_table[i].prefix.bits > special_table[best].prefix.bits &&
			prefix_contains(&special_table[i].prefix, a))
			best = (enum special_row)i;
	return best;
}
