/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a hostile guest: what parses lies within its frame, every answer to it is a right frame itself,
 * and rewriting keeps checksums as they were.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const uint8_t *frame, size_t n)
{
	struct packet p;

	if (!n)
		return;
	assert(packet_parse(frame, n, &p) == PACKET_RIGHT && p.size == n);
	assert(p.ethertype == PACKET_ARP || packet_checksum_right(&p));
}

static void try_answers(const struct packet *p)
{
	static const uint8_t mac[6] = {0x52, 0x4d, 10, 0, 0, 1};
	static uint8_t out[PACKET_FRAME_MOST];
	size_t n;

	check_answer(out, packet_build_arp_reply(p, mac, out, PACKET_ANSWER_ROOM));
	check_answer(out, packet_build_tcp_reset(p, out, PACKET_ANSWER_ROOM));
	check_answer(out, packet_build_tcp_abort(p, out, PACKET_ANSWER_ROOM));
	n = packet_build_icmp_unreachable(p, 0x0a000001, mac, 4, 1400, out, PACKET_ANSWER_ROOM);
	check_answer(out, n);
	check_answer(out, packet_build_icmp_echo_reply(p, out, sizeof out));
}

static void try_rewriting(const struct packet *p, uint32_t address)
{
	_cleanup_free_ uint8_t *copy = malloc(p->size);
	struct packet changed, again;
	bool right = packet_checksum_right(p);

	assert(copy);
	memcpy(copy, p->frame, p->size);
	assert(packet_parse(copy, p->size, &changed) == PACKET_RIGHT);
	packet_set_destination(copy, &changed, address, NULL);
	packet_set_source(copy, &changed, ~address, NULL);
	packet_set_segments(copy, &changed, (uint16_t)address);
	assert(packet_parse(copy, p->size, &again) == PACKET_RIGHT);
	assert(again.destination == address && again.source == ~address);
	assert(packet_checksum_right(&again) == right);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet p;
	struct packet_quote q;

	if (packet_parse(data, size, &p) != PACKET_RIGHT)
		return 0;
	assert(p.size <= size);
	try_answers(&p);
	if (p.ethertype != PACKET_IPV4)
		return 0;
	assert(p.payload_at + p.payload_size <= p.size && p.data_at + p.data_size <= p.size);
	packet_quoted(&p, &q);
	try_rewriting(&p, p.sequence ^ p.source ^ (uint32_t)size);
	return 0;
}
