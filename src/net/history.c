/* SPDX-License-Identifier: Apache-2.0 */
/* The last denials of a port, newest first, and chains by what was denied, so that one more of the same is
 * found at once whatever a guest tries. */
#include "net/history.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

struct place {
	struct history_entry entry;
	struct place *newer, *older; /* by time */
	struct place *next;          /* in its chain */
	size_t chain;
};

struct history {
	struct place *newest, *oldest;
	struct place *chains[HISTORY_SIZE];
	size_t count;
};

struct history *history_new(void)
{
	return calloc(1, sizeof(struct history));
}

static void place_free(struct place *p)
{
	free(p->entry.name);
	free(p->entry.why);
	free(p);
}
CLEANUP_DEFINE(place, struct place, place_free);

void history_free(struct history *h)
{
	while (h && h->newest) {
		struct place *p = h->newest;

		h->newest = p->older;
		place_free(p);
	}
	free(h);
}

/* FNV-1a over what makes two denials the same. */
static size_t chain_of(const struct flow_key *key, const struct verdict *verdict)
{
	const uint32_t words[] = {
		(uint32_t)verdict->reason, (uint32_t)verdict->rule, key->remote_port, key->protocol};
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof key->remote.bytes; i++)
		hash = (hash ^ key->remote.bytes[i]) * 0x100000001b3;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		hash = (hash ^ words[i]) * 0x100000001b3;
	return (hash >> 32) % HISTORY_SIZE;
}

static bool is_same_name(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct place *find(const struct history *h, size_t chain, const struct flow_key *key,
	const struct verdict *v, const char *name)
{
	struct place *p = h->chains[chain];

	for (; p; p = p->next) {
		const struct history_entry *e = &p->entry;

		if (!e->why && e->key.protocol == key->protocol && e->key.remote_port == key->remote_port &&
			address_equal(&e->key.remote, &key->remote) && e->verdict.reason == v->reason &&
			e->verdict.rule == v->rule && is_same_name(e->name, name))
			return p;
	}
	return NULL;
}

static void take_out(struct history *h, struct place *p)
{
	*(p->newer ? &p->newer->older : &h->newest) = p->older;
	*(p->older ? &p->older->newer : &h->oldest) = p->newer;
}

static void put_first(struct history *h, struct place *p)
{
	p->newer = NULL;
	p->older = h->newest;
	*(h->newest ? &h->newest->newer : &h->oldest) = p;
	h->newest = p;
}

static void forget(struct history *h, struct place *p)
{
	struct place **at = &h->chains[p->chain];

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	take_out(h, p);
	place_free(p);
	h->count--;
}

void history_add(struct history *h, const struct flow_key *key, const struct verdict *verdict,
	const char *name, uint64_t now)
{
	size_t chain = chain_of(key, verdict);
	struct place *p = find(h, chain, key, verdict, name);

	if (p) {
		take_out(h, p);
	} else {
		_cleanup_(cleanup_place) struct place *fresh = calloc(1, sizeof *fresh);

		if (!fresh || (name && !(fresh->entry.name = text_copy(name, NULL))))
			return;
		if (h->count == HISTORY_SIZE)
			forget(h, h->oldest);
		p = TAKE_PTR(fresh);
		p->entry.first = now;
		p->chain = chain;
		p->next = h->chains[chain];
		h->chains[chain] = p;
		h->count++;
	}
	p->entry.key = *key;
	p->entry.verdict = *verdict;
	p->entry.last = now;
	p->entry.count++;
	put_first(h, p);
}

void history_settle(struct history *h, const struct policy *policy)
{
	char why[VERDICT_TEXT_MAX];

	for (struct place *p = h->newest, *next; p; p = next) {
		struct history_entry *e = &p->entry;

		next = p->older;
		if (!e->why)
			e->why = text_copy(verdict_format(policy, &e->key, e->name, &e->verdict, why), NULL);
		if (!e->why) /* its rule would be another's now */
			forget(h, p);
	}
}

const struct history_entry *history_at(const struct history *h, size_t n)
{
	const struct place *p = h->newest;

	while (p && n--)
		p = p->older;
	return p ? &p->entry : NULL;
}

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "icmp";
}

const char *history_line(const struct history_entry *e, const char *sandbox, const struct policy *policy,
	uint64_t realtime, char out[HISTORY_LINE_MAX])
{
	static const char *const kinds[] = {
		[VERDICT_DENY] = "denied", [VERDICT_ALLOW] = "allowed", [VERDICT_INSPECT] = "inspected"};
	char when[31], remote[ADDRESS_TEXT_MAX], why[VERDICT_TEXT_MAX], port[8] = "", local[8] = "",
									times[24] = "";
	const struct flow_key *k = &e->key;

	if (k->protocol != IPPROTO_ICMP) {
		snprintf(local, sizeof local, ":%u", k->local_port);
		snprintf(port, sizeof port, ":%u", k->remote_port);
	}
	if (e->count > 1)
		snprintf(times, sizeof times, " ×%llu", (unsigned long long)e->count);
	snprintf(out, HISTORY_LINE_MAX, "%s %s %s%s → %s%s%s%s%s %s: %s%s", clock_rfc3339(realtime, when),
		protocol_name(k->protocol), sandbox, local, address_format(&k->remote, remote), port,
		e->name ? " (" : "", e->name ? e->name : "", e->name ? ")" : "", kinds[e->verdict.kind],
		e->why ? e->why : verdict_format(policy, k, e->name, &e->verdict, why), times);
	return out;
}

const char *verdict_line(const struct flow_key *key, const struct verdict *verdict, const char *name,
	const char *sandbox, const struct policy *policy, uint64_t realtime, char out[HISTORY_LINE_MAX])
{
	const struct history_entry e = {.key = *key, .verdict = *verdict, .count = 1, .name = (char *)name};

	return history_line(&e, sandbox, policy, realtime, out);
}
