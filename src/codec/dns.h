/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035, EDNS of RFC 6891), as a forwarder with a cache needs them: questions are parsed,
 * answers are walked, replies are built. A pure core without allocation; both sides are hostile: every name
 * and record is bounded, and compression only ever points backwards.
 *
 * Names are text: lower-case, without a trailing dot, the root "". A label that holds a byte besides letters,
 * digits, "-", "_" and other printable ASCII that is no dot or backslash has no text here, and a message that
 * asks for one is malformed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_PORT         53u
#define DNS_NAME_SIZE    254u   /* text of a name with its NUL */
#define DNS_MESSAGE_MOST 65535u /* of TCP */
#define DNS_UDP_LEAST    512u   /* what every client takes */
#define DNS_UDP_MOST     1232u  /* what we offer to resolvers (DNS flag day 2020) */
#define DNS_QUERY_MOST   300u   /* bytes of what dns_build_query() makes */

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_OPT = 41,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
	DNS_IXFR = 251,
	DNS_AXFR = 252,
	DNS_ANY = 255
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5
};

/* A query. Borrows the message it was read from, whose question is what replies begin with. */
struct dns_query {
	const uint8_t *message;
	size_t question_end; /* header and question are message[0, question_end) */
	char name[DNS_NAME_SIZE];
	uint16_t id, type, class;
	bool recursion;    /* RD */
	bool checking_off; /* CD (RFC 4035) */
	bool edns, dnssec; /* has an OPT record; its DO bit */
	uint16_t room;     /* bytes of a reply by UDP that it takes: 512 or what EDNS says */
};

/*
 * Reads a query. 0: there. -1: no query (cut in its header, or a reply): it gets no answer. Otherwise a code
 * to answer with by dns_build_error(): FORMERR (no single question, a name without text, cut) or NOTIMP (no
 * standard query, no class IN).
 */
int dns_parse_query(const uint8_t *message, size_t n, struct dns_query *q);

/* ---- replies to clients ------------------------------------------------------------------------------ */

/* Each returns the size of the reply; 0 where it does not fit in `room`. */

/* To what dns_parse_query() did not take: the header alone. */
size_t dns_build_error(const uint8_t *message, size_t n, enum dns_rcode code, uint8_t *out, size_t room);

/* No records: NXDOMAIN, REFUSED, SERVFAIL, …; NOERROR: "no data". why (NULL: none) goes to clients with EDNS
 * as an extended error (RFC 8914: for REFUSED 18, prohibited; else 0, other). */
size_t dns_build_status(
	const struct dns_query *q, enum dns_rcode code, const char *why, uint8_t *out, size_t room);

size_t dns_build_addresses(const struct dns_query *q, const uint32_t *addresses, size_t count, uint32_t ttl,
	uint8_t *out, size_t room);
size_t dns_build_pointer(
	const struct dns_query *q, const char *name, uint32_t ttl, uint8_t *out, size_t room);

/* The header with TC: ask again by TCP. */
size_t dns_build_truncated(const struct dns_query *q, uint8_t *out, size_t room);

/* ---- to resolvers and back --------------------------------------------------------------------------- */

/* A query of our own for the same: id, name, type and class, CD, and with edns our size and the DO bit; RD
 * always, since what a resolver has in its cache is nobody's business. Nothing else of the client's message.
 */
size_t dns_build_query(const struct dns_query *q, uint16_t id, bool edns, uint8_t *out, size_t room);

/* A resolver's reply. Borrows the message. */
struct dns_reply {
	const uint8_t *message;
	size_t answers_at; /* behind the question */
	size_t size;       /* header to authority: the additional records are not kept */
	uint16_t answers, authorities;
	uint8_t rcode;
	bool truncated;
	bool cacheable; /* an answer, or a negative one with an SOA (RFC 2308) */
	uint32_t ttl;   /* the least of its records, of an SOA its minimum, too; 0 where not cacheable */
};

/* Whether the message is the reply to a query with this id and question, and well-formed to its end. */
bool dns_parse_reply(
	const uint8_t *message, size_t n, const struct dns_query *q, uint16_t id, struct dns_reply *r);

/*
 * The reply to a client whose question is the reply's: the client's id and spelling, TTLs less `age` seconds
 * (at least 0), EDNS where the client has it. 0: not within `room`, or a reply that is malformed when it
 * ages.
 */
size_t dns_build_reply(
	const struct dns_query *q, const struct dns_reply *r, uint32_t age, uint8_t *out, size_t room);

#define DNS_ANSWERS_MOST 256u /* that are walked; nobody means the ones behind */

/* The records of a reply's answers, one after the other. */
struct dns_walk {
	size_t at; /* 0: at the first */
	uint16_t done;
};

struct dns_record {
	char name[DNS_NAME_SIZE];
	char target[DNS_NAME_SIZE]; /* of CNAME, PTR and NS */
	bool has_name, has_target;  /* false: it has no text */
	uint16_t type, class;
	uint32_t ttl;
	uint32_t address; /* of A, in host order */
};
bool dns_next_answer(const struct dns_reply *r, struct dns_walk *walk, struct dns_record *record);

/* Calls for every address that the reply has for the question, directly or through CNAMEs (16 at most). ttl:
 * the least on the way. */
typedef void dns_address_fn(void *context, uint32_t address, uint32_t ttl);
void dns_each_address(
	const struct dns_reply *r, const struct dns_query *q, dns_address_fn *call, void *context);
