/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A switch without virtual machines: guests whose frames a test writes byte by byte, and a record of what
 * came out, and where. The group is 10.1.2.0/24; guest n has the address 10.1.2.(3 + n).
 */
#pragma once

#include "codec/packet.h"
#include "net/flows.h"
#include "net/history.h"
#include "net/policy.h"
#include "net/switch.h"

#define LAB_EGRESS  (-1) /* whom a frame came out to: a guest's number, or the world */
#define LAB_SUBNET  0x0a010200u
#define LAB_GATEWAY (LAB_SUBNET + 1)
#define LAB_HOST    (LAB_SUBNET + 2)
#define LAB_OUTSIDE 0x08080808u /* public */
#define LAB_PRIVATE 0xc0a80101u
#define LAB_FRAMES  4096

struct frame {
	size_t n;
	uint8_t bytes[70000];
};

struct came_out {
	int to;
	size_t n;
	uint8_t *bytes;
};

struct lab {
	struct net_switch *sw;
	struct frame frame; /* that was made last */
	uint64_t now;
	uint32_t id[SWITCH_PORTS_MAX];
	bool stuck[SWITCH_PORTS_MAX];           /* reads nothing */
	bool forget;                            /* what comes out is counted only: */
	size_t forgotten[SWITCH_PORTS_MAX + 1]; /* to whom, from LAB_EGRESS on */
	uint8_t copy[70000];
	struct came_out out[LAB_FRAMES];
	size_t count; /* frames that came out */
	size_t questions, verdicts;
	uint32_t far;        /* the subnet, of 24 bits, of another group; 0: there is none */
	size_t went_far;     /* frames to it */
	struct verdict last; /* of verdicts */
	char last_name[256];
	void (*on_egress)(struct lab *lab, const uint8_t *frame, size_t n); /* may answer; may be NULL */
};

void lab_open(struct lab *lab);
int lab_make(struct lab *lab, struct error *err); /* the switch of a zeroed one */
void lab_parse(const char *policy, struct policy *p);
void lab_close(struct lab *lab);
/* Guest n with a policy: "reach; allow RULE; deny RULE; …". */
void lab_add(struct lab *lab, int n, const char *policy);
void lab_policy(struct lab *lab, int n, const char *policy);
uint32_t lab_address(int n);
const uint8_t *lab_mac(uint32_t address, uint8_t mac[6]);
void lab_forget(struct lab *lab);                             /* what came out until now */
void lab_from(struct lab *lab, int n, const struct frame *f); /* LAB_EGRESS: from the world */
/* The frame that came out last to whom; NULL: none did. */
const struct came_out *lab_last(const struct lab *lab, int to);
size_t lab_count(const struct lab *lab, int to);
uint64_t lab_dropped(const struct lab *lab, int n, enum switch_drop why);
struct switch_counters lab_counters(const struct lab *lab, int n);

/* Frames, with right lengths and checksums, between the stations that have these addresses. */
struct segment {
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	uint32_t sequence, acknowledgement;
	uint8_t flags;
	const void *data;
	size_t size;
};
struct frame *frame_tcp(struct frame *f, const struct segment *s);
struct frame *frame_udp(struct frame *f, const struct segment *s);
struct frame *frame_icmp(struct frame *f, uint32_t source, uint32_t destination, uint8_t type, uint8_t code,
	uint32_t rest, const void *data, size_t n);
struct frame *frame_arp(struct frame *f, uint32_t sender, uint32_t target, uint16_t operation);
/* Sets right what a test changed: IP's header checksum, and that of what is inside. */
void frame_sum(struct frame *f);

/* Guests 0 and, unless b is NULL, 1. */
void lab_open_with(struct lab *lab, const char *a, const char *b);
void lab_tcp(struct lab *lab, int from, struct segment s);
void lab_udp(struct lab *lab, int from, struct segment s);
/* From guest 0's port 40000; and the same turned round. */
struct segment a_to(uint32_t destination, uint16_t port, uint8_t flags);
struct segment answer_to(struct segment s, uint8_t flags);
/* What came out last to somebody: whole and right. */
struct packet lab_packet(const struct lab *lab, int to);
void lab_check_same(const struct lab *lab, int to); /* … is the frame that was made last */
void lab_check_reset(const struct lab *lab, int to, uint32_t from);
void lab_check_unreachable(const struct lab *lab, int to, uint8_t code);
void lab_check_silence(const struct lab *lab); /* nothing came out */

uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
void put_u16(uint8_t *p, uint16_t v);
void put_u32(uint8_t *p, uint32_t v);
