/* SPDX-License-Identifier: Apache-2.0 */
/* Building DNS messages. */
#include <string.h>

#include "codec/dns.h"
#include "codec/dns_parts.h"

enum {
	QUESTION_NAME = 0xc000 | DNS_HEADER, /* compressed: the name of the question */
	COUNT_QUESTIONS = 4,
	COUNT_ANSWERS = 6,
	COUNT_AUTHORITIES = 8,
	COUNT_ADDITIONAL = 10,
	OPTION_ERROR = 15, /* RFC 8914 */
	ERROR_OTHER = 0,
	ERROR_PROHIBITED = 18,
	WHY_MOST = 200
};

/* A message that grows; nothing is written past its room, which is remembered. */
struct message {
	uint8_t *out;
	size_t size, room;
	bool full;
};

static uint8_t *grow(struct message *m, size_t n)
{
	uint8_t *at = m->out + m->size;

	if (m->full || n > m->room - m->size) {
		m->full = true;
		return NULL;
	}
	m->size += n;
	return at;
}

static void add(struct message *m, const void *bytes, size_t n)
{
	uint8_t *at = grow(m, n);

	if (at && n)
		memcpy(at, bytes, n);
}

static void add16(struct message *m, uint16_t v)
{
	uint8_t bytes[2];

	be16_put(bytes, v);
	add(m, bytes, sizeof bytes);
}

static void add32(struct message *m, uint32_t v)
{
	add16(m, (uint16_t)(v >> 16));
	add16(m, (uint16_t)v);
}

static void add_name(struct message *m, const char *name)
{
	while (*name) {
		size_t label = strcspn(name, ".");
		uint8_t size = (uint8_t)label;

		if (label == 0 || label > 63)
			m->full = true;
		add(m, &size, 1);
		add(m, name, label);
		name += label;
		name += *name == '.';
	}
	add(m, "", 1);
}

static void set_count(struct message *m, size_t where, size_t count)
{
	if (!m->full)
		be16_put(m->out + where, (uint16_t)count);
}

static size_t finish(const struct message *m)
{
	return m->full ? 0 : m->size;
}

/* The header of a reply and the question as the client wrote it. */
static struct message begin(const struct dns_query *q, uint16_t flags, uint8_t *out, size_t room)
{
	struct message m = {.out = out, .room = room};

	flags |= DNS_FLAG_QR | DNS_FLAG_RA;
	if (q->recursion)
		flags |= DNS_FLAG_RD;
	if (q->checking_off)
		flags |= DNS_FLAG_CD;
	add16(&m, q->id);
	add16(&m, flags);
	add16(&m, 1);
	add32(&m, 0);
	add16(&m, 0);
	add(&m, q->message + DNS_HEADER, q->question_end - DNS_HEADER);
	return m;
}

static void add_opt(struct message *m, bool dnssec, uint16_t options)
{
	add(m, "", 1);
	add16(m, DNS_OPT);
	add16(m, DNS_UDP_MOST);
	add16(m, 0); /* extended code, version */
	add16(m, dnssec ? 0x8000 : 0);
	add16(m, options);
	set_count(m, COUNT_ADDITIONAL, 1);
}

size_t dns_build_error(const uint8_t *message, size_t n, enum dns_rcode code, uint8_t *out, size_t room)
{
	struct message m = {.out = out, .room = room};

	if (n < DNS_HEADER)
		return 0;
	add16(&m, be16_get(message));
	add16(&m, (uint16_t)((be16_get(message + 2) & (DNS_FLAG_OPCODE | DNS_FLAG_RD)) | DNS_FLAG_QR |
			     DNS_FLAG_RA | code));
	add32(&m, 0);
	add32(&m, 0);
	return finish(&m);
}

size_t dns_build_status(
	const struct dns_query *q, enum dns_rcode code, const char *why, uint8_t *out, size_t room)
{
	struct message m = begin(q, (uint16_t)code, out, room);
	size_t text = why ? strnlen(why, WHY_MOST) : 0;

	if (!q->edns)
		return finish(&m);
	/* Without the reason where there is no room for it. */
	if (why && m.room - m.size < DNS_OPT_SIZE + 6 + text)
		why = NULL;
	add_opt(&m, q->dnssec, why ? (uint16_t)(6 + text) : 0);
	if (why) {
		add16(&m, OPTION_ERROR);
		add16(&m, (uint16_t)(2 + text));
		add16(&m, code == DNS_REFUSED ? ERROR_PROHIBITED : ERROR_OTHER);
		add(&m, why, text);
	}
	return finish(&m);
}

size_t dns_build_truncated(const struct dns_query *q, uint8_t *out, size_t room)
{
	struct message m = begin(q, DNS_FLAG_TC, out, room);

	if (q->edns)
		add_opt(&m, q->dnssec, 0);
	return finish(&m);
}

static void add_answer(struct message *m, uint16_t type, uint32_t ttl, uint16_t size)
{
	add16(m, QUESTION_NAME);
	add16(m, type);
	add16(m, DNS_CLASS_IN);
	add32(m, ttl);
	add16(m, size);
}

size_t dns_build_addresses(const struct dns_query *q, const uint32_t *addresses, size_t count, uint32_t ttl,
	uint8_t *out, size_t room)
{
	struct message m = begin(q, DNS_NOERROR, out, room);

	for (size_t i = 0; i < count; i++) {
		add_answer(&m, DNS_A, ttl, 4);
		add32(&m, addresses[i]);
	}
	set_count(&m, COUNT_ANSWERS, count);
	if (q->edns)
		add_opt(&m, q->dnssec, 0);
	return finish(&m);
}

size_t dns_build_pointer(const struct dns_query *q, const char *name, uint32_t ttl, uint8_t *out, size_t room)
{
	struct message m = begin(q, DNS_NOERROR, out, room);

	add_answer(&m, DNS_PTR, ttl, (uint16_t)(name[0] ? strlen(name) + 2 : 1));
	add_name(&m, name);
	set_count(&m, COUNT_ANSWERS, 1);
	if (q->edns)
		add_opt(&m, q->dnssec, 0);
	return finish(&m);
}

size_t dns_build_query(const struct dns_query *q, uint16_t id, bool edns, uint8_t *out, size_t room)
{
	struct message m = {.out = out, .room = room};

	add16(&m, id);
	add16(&m, (uint16_t)(DNS_FLAG_RD | (q->checking_off ? DNS_FLAG_CD : 0)));
	add16(&m, 1);
	add32(&m, 0);
	add16(&m, 0);
	add_name(&m, q->name);
	add16(&m, q->type);
	add16(&m, q->class);
	if (edns)
		add_opt(&m, q->dnssec, 0);
	return finish(&m);
}

static void age_records(struct message *m, size_t at, size_t count, uint32_t age)
{
	struct dns_raw record;

	for (; count && !m->full; count--) {
		at = dns_read_record(m->out, m->size, at, &record);
		if (!at) {
			m->full = true;
			return;
		}
		be32_put(m->out + record.type_at + 4, record.ttl > age ? record.ttl - age : 0);
	}
}

/* A hostile name that points into a TTL may be another one now. */
static bool same_answers(const struct dns_reply *a, const struct dns_reply *b)
{
	struct dns_walk at_a = {0}, at_b = {0};
	struct dns_record x, y;
	bool more;

	do {
		more = dns_next_answer(a, &at_a, &x);
		if (dns_next_answer(b, &at_b, &y) != more)
			return false;
		if (more && (x.has_name != y.has_name || x.has_target != y.has_target ||
				    (x.has_name && strcmp(x.name, y.name) != 0) ||
				    (x.has_target && strcmp(x.target, y.target) != 0)))
			return false;
	} while (more);
	return true;
}

size_t dns_build_reply(
	const struct dns_query *q, const struct dns_reply *r, uint32_t age, uint8_t *out, size_t room)
{
	uint16_t authentic = be16_get(r->message + 2) & DNS_FLAG_AD;
	struct message m = begin(q, (uint16_t)((q->dnssec ? authentic : 0) | r->rcode), out, room);
	struct dns_reply aged;

	/* Compression points into the question, too: it must lie where it lay. */
	if (r->truncated || r->answers_at != q->question_end)
		return 0;
	add(&m, r->message + r->answers_at, r->size - r->answers_at);
	set_count(&m, COUNT_ANSWERS, r->answers);
	set_count(&m, COUNT_AUTHORITIES, r->authorities);
	age_records(&m, r->answers_at, (size_t)r->answers + r->authorities, age);
	if (q->edns)
		add_opt(&m, q->dnssec, 0);
	return !m.full && dns_parse_reply(out, m.size, q, q->id, &aged) && same_answers(r, &aged) ? m.size
												  : 0;
}
