/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names within a group: each member's `name`, aliases and `name.group.internal`, `host.internal` for this
 * host as the group sees it, localhost, and the way back from an address (PTR). A core without I/O.
 *
 * Names are case-insensitive, as DNS has them. A name may belong to several members by alias: then all their
 * addresses are given; a member's own name goes before aliases. A group `shop-back` is called
 * `back`, too: so its project calls it. What is asked within `group.internal`, a bare word that nobody has,
 * and addresses of the group's subnet that are nobody's do not exist; they never leave this host. Everything
 * else is foreign.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "codec/dns.h"

#define NAMES_TTL         5u /* seconds: members come and go */
#define NAMES_FOUND_MAX   32u
#define NAMES_MEMBERS_MAX 1024u

struct names;

struct names_config {
	const char *group;
	uint32_t subnet; /* host order */
	uint8_t bits;
	uint32_t host; /* host.internal */
};

struct names_member {
	uint32_t id;
	uint32_t address;
	const char *name;
	char *const *aliases; /* NULL-terminated, or NULL */
	bool hidden;          /* the others do not see it (it has no link); it sees itself */
};

int names_new(const struct names_config *config, struct names **names, struct error *err);
void names_free(struct names *n);
CLEANUP_DEFINE(names, struct names, names_free);

/* Copies all of the member. INVALID: an alias that is no DNS name; EXISTS: the id is there; LIMIT. A name
 * that is none ("a..b") is not found by anybody. */
int names_add(struct names *n, const struct names_member *member, struct error *err);
void names_remove(struct names *n, uint32_t id);
void names_hide(struct names *n, uint32_t id, bool hidden);

/* Where in a name the domain of a group begins: "shop-back.internal", and "back.internal"; NULL: the name
 * does not lie there. The domain's own name does. */
const char *names_domain(const char *group, const char *name);

enum names_answer {
	NAMES_FOREIGN, /* not ours to answer */
	NAMES_FOUND,   /* addresses, or a name for PTR */
	NAMES_NO_DATA, /* the name is ours, but has nothing of this type */
	NAMES_NONE     /* ours, and does not exist */
};

struct names_found {
	enum names_answer answer;
	uint32_t addresses[NAMES_FOUND_MAX];
	size_t count;
	char name[DNS_NAME_SIZE]; /* of PTR */
};

/* What member `asker` finds for a question. name: as dns_parse_query() gives it. */
void names_find(
	const struct names *n, uint32_t asker, const char *name, uint16_t type, struct names_found *found);

/* The whole reply to a question of `asker`, cut where it does not fit in `room` (at least DNS_UDP_LEAST); 0:
 * the name is foreign. */
size_t names_reply(
	const struct names *n, uint32_t asker, const struct dns_query *q, uint8_t *out, size_t room);
