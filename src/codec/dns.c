/* SPDX-License-Identifier: Apache-2.0 */
/* Reading DNS messages. */
#include "codec/dns.h"

#include <string.h>

#include "codec/dns_parts.h"

enum {
	LABEL_MOST = 63,
	WIRE_NAME_MOST = 255,
	POINTERS_MOST = 127, /* a name has no more labels */
	CHAIN_MOST = 16,
	TTL_MOST = 7 * 24 * 3600 /* longer than anybody needs to remember (RFC 8767 §4) */
};

/* ---- names ------------------------------------------------------------------------------------------- */

struct name_text {
	char *out; /* NULL: not wanted */
	size_t size;
	bool plain; /* every byte so far has a text */
};

static void add_label(struct name_text *t, const uint8_t *label, size_t n)
{
	/* Room: a name of 255 bytes has at most 253 characters. */
	if (t->size && t->out)
		t->out[t->size] = '.';
	t->size += t->size > 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = label[i];

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if (c <= 0x20 || c >= 0x7f || c == '.' || c == '\\')
			t->plain = false;
		if (t->out)
			t->out[t->size] = (char)c;
		t->size++;
	}
}

size_t dns_read_name(const uint8_t *message, size_t n, size_t at, char *name, bool *text)
{
	struct name_text t = {.out = name, .plain = true};
	size_t end = 0, bound = at, wire = 1, pointers = 0;

	for (;;) {
		size_t label;

		if (at >= n)
			return 0;
		label = message[at];
		if (label >> 6 == 3) {
			if (at + 2 > n || ++pointers > POINTERS_MOST)
				return 0;
			if (!end)
				end = at + 2;
			at = be16_get(message + at) & 0x3fff;
			if (at >= bound || at < DNS_HEADER)
				return 0;
			bound = at;
			continue;
		}
		if (label > LABEL_MOST || at + 1 + label > n)
			return 0;
		at++;
		if (label == 0)
			break;
		wire += 1 + label;
		if (wire > WIRE_NAME_MOST)
			return 0;
		add_label(&t, message + at, label);
		at += label;
	}
	if (name)
		name[t.plain ? t.size : 0] = 0;
	if (text)
		*text = t.plain;
	return end ? end : at;
}

size_t dns_read_record(const uint8_t *message, size_t n, size_t at, struct dns_raw *record)
{
	size_t size;

	record->name = at;
	at = dns_read_name(message, n, at, NULL, NULL);
	if (!at || n - at < DNS_RECORD_FIXED)
		return 0;
	record->type_at = at;
	record->type = be16_get(message + at);
	record->class = be16_get(message + at + 2);
	record->ttl = be32_get(message + at + 4);
	if (record->ttl >> 31)
		record->ttl = 0;
	size = be16_get(message + at + 8);
	at += DNS_RECORD_FIXED;
	if (n - at < size)
		return 0;
	record->data = at;
	record->data_size = size;
	return at + size;
}

/* ---- queries ----------------------------------------------------------------------------------------- */

/* What is behind the question: nothing but additional records, of which OPT is of use. */
static bool read_additional(const uint8_t *message, size_t n, size_t at, struct dns_query *q)
{
	uint16_t count = be16_get(message + 10);
	struct dns_raw record;

	for (; count; count--) {
		at = dns_read_record(message, n, at, &record);
		if (!at)
			return false;
		if (record.type != DNS_OPT)
			continue;
		if (q->edns || message[record.name] != 0) /* one only, of the root (RFC 6891 §6.1.1) */
			return false;
		q->edns = true;
		q->dnssec = be16_get(message + record.type_at + 6) & 0x8000;
		q->room = record.class > DNS_UDP_LEAST ? record.class : DNS_UDP_LEAST;
	}
	return at == n;
}

int dns_parse_query(const uint8_t *message, size_t n, struct dns_query *q)
{
	uint16_t flags;
	size_t at;
	bool text;

	*q = (struct dns_query){.message = message, .room = DNS_UDP_LEAST};
	if (n < DNS_HEADER)
		return -1;
	q->id = be16_get(message);
	flags = be16_get(message + 2);
	if (flags & DNS_FLAG_QR)
		return -1;
	q->recursion = flags & DNS_FLAG_RD;
	q->checking_off = flags & DNS_FLAG_CD;
	if (flags & DNS_FLAG_OPCODE)
		return DNS_NOTIMP;
	if (be16_get(message + 4) != 1 || be16_get(message + 6) || be16_get(message + 8))
		return DNS_FORMERR;
	at = dns_read_name(message, n, DNS_HEADER, q->name, &text);
	if (!at || !text || n - at < 4)
		return DNS_FORMERR;
	q->type = be16_get(message + at);
	q->class = be16_get(message + at + 2);
	q->question_end = at + 4;
	if (!read_additional(message, n, q->question_end, q))
		return DNS_FORMERR;
	return q->class == DNS_CLASS_IN && q->type != DNS_AXFR && q->type != DNS_IXFR ? 0 : DNS_NOTIMP;
}

/* ---- replies ----------------------------------------------------------------------------------------- */

/* What the records of a section say of how long they may be kept. */
struct lifetime {
	uint32_t answers;  /* the least of the answers' */
	uint32_t negative; /* of the SOA in the authority section */
	bool has_soa;
};

static bool read_soa(const uint8_t *message, size_t n, const struct dns_raw *record, struct lifetime *life)
{
	size_t at = dns_read_name(message, n, record->data, NULL, NULL);
	uint32_t minimum;

	at = at ? dns_read_name(message, n, at, NULL, NULL) : 0;
	if (!at || at + 20 != record->data + record->data_size)
		return false;
	minimum = be32_get(message + at + 16);
	life->has_soa = true;
	life->negative = minimum < record->ttl ? minimum : record->ttl; /* RFC 2308 §5 */
	return true;
}

/* Reads a section's records; returns where it ends, 0: malformed. */
static size_t read_section(
	const struct dns_reply *r, size_t n, size_t at, uint16_t count, bool answers, struct lifetime *life)
{
	struct dns_raw record;

	for (; count && at; count--) {
		at = dns_read_record(r->message, n, at, &record);
		if (!at)
			return 0;
		if (answers && record.ttl < life->answers)
			life->answers = record.ttl;
		if (answers && record.type == DNS_A && record.data_size != 4)
			return 0;
		if (!answers && record.type == DNS_SOA && !read_soa(r->message, n, &record, life))
			return 0;
	}
	return at;
}

/* The codes above the four bits of the header, which OPT has; -1: malformed. */
static int read_extended_code(const uint8_t *message, size_t n, size_t at)
{
	uint16_t count = be16_get(message + 10);
	struct dns_raw record;
	int code = 0;

	for (; count; count--) {
		at = dns_read_record(message, n, at, &record);
		if (!at)
			return -1;
		if (record.type == DNS_OPT)
			code = message[record.type_at + 4];
	}
	return code;
}

static bool same_question(const uint8_t *message, size_t n, const struct dns_query *q, size_t *end)
{
	char name[DNS_NAME_SIZE];
	bool text;
	size_t at = dns_read_name(message, n, DNS_HEADER, name, &text);

	if (!at || !text || n - at < 4 || strcmp(name, q->name) != 0 || be16_get(message + at) != q->type ||
		be16_get(message + at + 2) != q->class)
		return false;
	*end = at + 4;
	/* The same name has the same length, unless it is compressed. */
	return *end == q->question_end;
}

static void judge_lifetime(struct dns_reply *r, const struct lifetime *life)
{
	bool answered = r->rcode == DNS_NOERROR && r->answers;
	bool negative =
		(r->rcode == DNS_NXDOMAIN || (r->rcode == DNS_NOERROR && !r->answers)) && life->has_soa;

	r->cacheable = !r->truncated && (answered || negative);
	if (!r->cacheable)
		return;
	r->ttl = TTL_MOST;
	if (r->answers && life->answers < r->ttl)
		r->ttl = life->answers;
	if (negative && life->negative < r->ttl)
		r->ttl = life->negative;
}

bool dns_parse_reply(
	const uint8_t *message, size_t n, const struct dns_query *q, uint16_t id, struct dns_reply *r)
{
	struct lifetime life = {.answers = UINT32_MAX};
	uint16_t flags;
	size_t at;
	int extended;

	*r = (struct dns_reply){.message = message};
	if (n < DNS_HEADER || n > DNS_MESSAGE_MOST || be16_get(message) != id)
		return false;
	flags = be16_get(message + 2);
	if (!(flags & DNS_FLAG_QR) || flags & DNS_FLAG_OPCODE || be16_get(message + 4) != 1 ||
		!same_question(message, n, q, &r->answers_at))
		return false;
	r->truncated = flags & DNS_FLAG_TC;
	r->rcode = flags & DNS_FLAG_RCODE;
	if (r->truncated) { /* what it holds is worth nothing (RFC 2181 §9) */
		r->size = r->answers_at;
		return true;
	}
	r->answers = be16_get(message + 6);
	r->authorities = be16_get(message + 8);
	at = read_section(r, n, r->answers_at, r->answers, true, &life);
	at = at ? read_section(r, n, at, r->authorities, false, &life) : 0;
	extended = at ? read_extended_code(message, n, at) : -1;
	if (extended < 0)
		return false;
	if (extended)
		r->rcode = DNS_SERVFAIL;
	r->size = at;
	judge_lifetime(r, &life);
	return true;
}

bool dns_next_answer(const struct dns_reply *r, struct dns_walk *walk, struct dns_record *record)
{
	struct dns_raw raw;
	size_t next;
	bool target;

	if (walk->done == r->answers || walk->done == DNS_ANSWERS_MOST)
		return false;
	walk->done++;
	next = dns_read_record(r->message, r->size, walk->at ? walk->at : r->answers_at, &raw);
	if (!next)
		return false;
	walk->at = next;
	*record = (struct dns_record){.type = raw.type, .class = raw.class, .ttl = raw.ttl};
	dns_read_name(r->message, r->size, raw.name, record->name, &record->has_name);
	if (raw.class == DNS_CLASS_IN && raw.type == DNS_A)
		record->address = be32_get(r->message + raw.data);
	if (raw.type != DNS_CNAME && raw.type != DNS_PTR && raw.type != DNS_NS)
		return true;
	record->has_target = dns_read_name(r->message, r->size, raw.data, record->target, &target) ==
				     raw.data + raw.data_size &&
			     target;
	if (!record->has_target)
		record->target[0] = 0;
	return true;
}

/* ---- from a name to its addresses -------------------------------------------------------------------- */

/* Goes from a name to where its CNAME leads. False: nowhere. */
static bool follow(const struct dns_reply *r, char name[DNS_NAME_SIZE], uint32_t *ttl)
{
	struct dns_walk walk = {0};
	struct dns_record record;

	while (dns_next_answer(r, &walk, &record)) {
		if (record.type != DNS_CNAME || record.class != DNS_CLASS_IN || !record.has_name ||
			!record.has_target || strcmp(record.name, name) != 0)
			continue;
		memcpy(name, record.target, sizeof record.target);
		if (record.ttl < *ttl)
			*ttl = record.ttl;
		return true;
	}
	return false;
}

void dns_each_address(
	const struct dns_reply *r, const struct dns_query *q, dns_address_fn *call, void *context)
{
	struct dns_walk walk = {0};
	struct dns_record record;
	char name[DNS_NAME_SIZE];
	uint32_t ttl = TTL_MOST;
	size_t links = 0;

	memcpy(name, q->name, sizeof name);
	while (links < CHAIN_MOST && follow(r, name, &ttl))
		links++;
	while (dns_next_answer(r, &walk, &record)) {
		if (record.type != DNS_A || record.class != DNS_CLASS_IN || !record.has_name ||
			strcmp(record.name, name) != 0)
			continue;
		call(context, record.address, record.ttl < ttl ? record.ttl : ttl);
	}
}
