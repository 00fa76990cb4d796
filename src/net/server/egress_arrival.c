/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments of TCP that come before their turn. libslirp keeps each of them, however small, in a buffer of
 * four KiB and more, and looks through all of them for each that comes: a guest that sends every other byte
 * of its window would have 128 MiB by one connection. Between a guest and here nothing is reordered, and lost
 * is only what was dropped on purpose, so few are kept, and the rest is left to be sent again.
 *
 * In turn is what begins where libslirp says that it waits. It says so at once, as a rule; where it takes its
 * time, small segments are in turn that follow each other from there, each looked at whether libslirp will
 * take it; large ones are counted, since the window has room for few. The count begins anew when libslirp has
 * all that came early.
 */
#include "codec/packet.h"
#include "net/server/egress_parts.h"

#define EARLY_MOST 32
#define SMALL      2048 /* bytes; 32 of them are libslirp's window */

static bool is_behind(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

void arrival_from_slirp(struct arrival *a, uint32_t acknowledged)
{
	a->known = true;
	a->expected = a->chain = acknowledged;
	if (a->early && !is_behind(a->early_end, acknowledged))
		a->early = 0;
}

bool arrival_from_guest(struct arrival *a, const uint8_t *frame, size_t n)
{
	struct packet p;
	uint32_t end;

	if (!a->known || packet_parse(frame, n, &p) != PACKET_RIGHT)
		return true;
	end = p.sequence + (uint32_t)p.data_size + !!(p.tcp_flags & PACKET_FIN);
	if (!is_behind(end, a->expected) || end == p.sequence)
		return true; /* nothing that it does not have */
	if (p.sequence == a->chain && p.data_size <= SMALL) {
		if (!packet_checksum_right(&p))
			return false;
		a->chain = end;
		return true;
	}
	if (!is_behind(p.sequence, a->expected))
		return true;
	if (a->early >= EARLY_MOST)
		return false;
	if (!a->early || is_behind(end, a->early_end))
		a->early_end = end;
	a->early++;
	return true;
}
