/* SPDX-License-Identifier: Apache-2.0 */
#include "net/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

struct member {
	uint32_t id, address;
	char *name;     /* lower case */
	char **aliases; /* lower case, or NULL */
	bool hidden;
};

struct names {
	char *group; /* lower case */
	uint32_t subnet, mask, host;
	struct member *members;
	size_t count, capacity;
};

static const char host_internal[] = "host.internal";

static char *lower_copy(const char *text, struct error *err)
{
	char *copy = text_copy(text, err);

	for (char *p = copy; p && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return copy;
}

/* A name that dns_parse_query() may give: labels of 1 to 63 bytes, 253 in all. */
static bool is_dns_name(const char *name)
{
	size_t label = 0, n = 0;

	for (; name[n]; n++) {
		unsigned char c = (unsigned char)name[n];

		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63 || c <= 0x20 || c >= 0x7f || c == '\\')
			return false;
	}
	return label > 0 && n < DNS_NAME_SIZE;
}

/* ---- members ----------------------------------------------------------------------------------------- */

static void member_free(struct member *m)
{
	free(m->name);
	text_list_free(m->aliases);
}

int names_new(const struct names_config *config, struct names **names, struct error *err)
{
	_cleanup_(cleanup_names) struct names *n = calloc(1, sizeof *n);

	if (!n || !(n->group = lower_copy(config->group, err)))
		return error_no_memory(err, "names of a group");
	n->mask = config->bits ? ~0u << (32 - config->bits) : 0;
	n->subnet = config->subnet & n->mask;
	n->host = config->host;
	*names = TAKE_PTR(n);
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->count; i++)
		member_free(&n->members[i]);
	free(n->members);
	free(n->group);
	free(n);
}

static struct member *find_id(const struct names *n, uint32_t id)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->members[i].id == id)
			return &n->members[i];
	return NULL;
}

static int reserve(struct names *n, struct error *err)
{
	size_t capacity = n->capacity ? n->capacity * 2 : 8;
	struct member *members;

	if (n->count == NAMES_MEMBERS_MAX)
		return error_set(err, ERROR_LIMIT, "a group has at most %u members", NAMES_MEMBERS_MAX);
	if (n->count < n->capacity)
		return 0;
	members = reallocarray(n->members, capacity, sizeof *members);
	if (!members)
		return error_no_memory(err, "names of a group");
	n->members = members;
	n->capacity = capacity;
	return 0;
}

static int copy_aliases(char *const *aliases, struct member *m, struct error *err)
{
	int r = 0;

	for (; aliases && *aliases && r == 0; aliases++) {
		_cleanup_free_ char *alias = lower_copy(*aliases, err);

		if (!alias)
			return error_no_memory(err, "an alias");
		if (!is_dns_name(alias))
			return error_set(err, ERROR_INVALID, "the alias '%s' is no name for DNS", *aliases);
		r = text_list_add(&m->aliases, alias, err);
	}
	return r;
}

int names_add(struct names *n, const struct names_member *member, struct error *err)
{
	struct member m = {.id = member->id, .address = member->address, .hidden = member->hidden};
	int r;

	if (find_id(n, member->id))
		return error_set(err, ERROR_EXISTS, "%s has its name already", member->name);
	r = reserve(n, err);
	if (r == 0)
		m.name = lower_copy(member->name, err);
	if (r == 0 && !m.name)
		r = error_no_memory(err, "a name");
	if (r == 0)
		r = copy_aliases(member->aliases, &m, err);
	if (r < 0)
		member_free(&m);
	else
		n->members[n->count++] = m;
	return r;
}

void names_remove(struct names *n, uint32_t id)
{
	struct member *m = find_id(n, id);

	if (!m)
		return;
	member_free(m);
	*m = n->members[--n->count];
}

void names_hide(struct names *n, uint32_t id, bool hidden)
{
	struct member *m = find_id(n, id);

	if (m)
		m->hidden = hidden;
}

/* ---- questions --------------------------------------------------------------------------------------- */

static bool has_name(const struct member *m, const char *name, bool alias)
{
	if (!alias)
		return strcmp(m->name, name) == 0;
	for (char **a = m->aliases; a && *a; a++)
		if (strcmp(*a, name) == 0)
			return true;
	return false;
}

static void collect(
	const struct names *n, uint32_t asker, const char *name, bool alias, struct names_found *found)
{
	for (size_t i = 0; i < n->count && found->count < NAMES_FOUND_MAX; i++) {
		const struct member *m = &n->members[i];

		if ((!m->hidden || m->id == asker) && has_name(m, name, alias))
			found->addresses[found->count++] = m->address;
	}
}

/* A name without the group: addresses of members, by their own names before aliases. */
static void find_member(const struct names *n, uint32_t asker, const char *name, struct names_found *found)
{
	collect(n, asker, name, false, found);
	if (!found->count)
		collect(n, asker, name, true, found);
	found->answer = found->count ? NAMES_FOUND : NAMES_NONE;
}

static void found_one(struct names_found *found, uint32_t address)
{
	found->addresses[0] = address;
	found->count = 1;
	found->answer = NAMES_FOUND;
}

const char *names_domain(const char *group, const char *name)
{
	size_t length = strlen(name), tail = sizeof ".internal" - 1;

	if (length < tail || strcasecmp(name + length - tail, ".internal") != 0)
		return NULL;
	for (const char *g = group; g; g = strchr(g, '-') ? strchr(g, '-') + 1 : NULL) {
		size_t n = strlen(g);
		const char *at = length >= n + tail ? name + length - tail - n : NULL;

		if (at && n && strncasecmp(at, g, n) == 0 && (at == name || at[-1] == '.'))
			return at;
	}
	return NULL;
}

/* Names that lead to addresses. */
static void find_forward(
	const struct names *n, uint32_t asker, const char *name, uint16_t type, struct names_found *found)
{
	const char *domain = names_domain(n->group, name);
	char bare[DNS_NAME_SIZE];

	if (strcmp(name, host_internal) == 0) {
		found_one(found, n->host);
	} else if (strcmp(name, "localhost") == 0 || text_ends(name, ".localhost")) {
		found_one(found, 0x7f000001); /* RFC 6761 §6.3 */
	} else if (domain == name) {
		found->answer = NAMES_NO_DATA;
	} else if (domain) {
		size_t size = (size_t)(domain - name) - 1;

		memcpy(bare, name, size);
		bare[size] = 0;
		find_member(n, asker, bare, found);
	} else {
		find_member(n, asker, name, found);
		/* Of the world's top-level domains, others may be asked; for addresses of bare words nobody
		 * is. */
		if (found->answer == NAMES_NONE &&
			(strchr(name, '.') || name[0] == 0 || (type != DNS_A && type != DNS_AAAA)))
			found->answer = NAMES_FOREIGN;
	}
	if (found->answer == NAMES_FOUND && type != DNS_A && type != DNS_ANY)
		found->answer = NAMES_NO_DATA;
}

/* "4.3.2.1.in-addr.arpa": 1.2.3.4 (RFC 1035 §3.5). False: another name. */
static bool parse_reverse(const char *name, uint32_t *address)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned octet = 0, digits = 0;

		for (; *name >= '0' && *name <= '9' && digits < 4; name++, digits++)
			octet = octet * 10 + (unsigned)(*name - '0');
		if (digits == 0 || octet > 255 || *name != '.' || (digits > 1 && name[-(int)digits] == '0'))
			return false;
		value |= (uint32_t)octet << (8 * i);
		name++;
	}
	*address = value;
	return strcmp(name, "in-addr.arpa") == 0;
}

static void found_name(struct names_found *found, const char *name, const char *group)
{
	int size = group ? snprintf(found->name, sizeof found->name, "%s.%s.internal", name, group)
			 : snprintf(found->name, sizeof found->name, "%s", name);

	found->answer = size > 0 && (size_t)size < sizeof found->name && is_dns_name(found->name)
				? NAMES_FOUND
				: NAMES_NO_DATA;
}

static void find_reverse(const struct names *n, uint32_t asker, uint32_t address, struct names_found *found)
{
	found->answer = (address & n->mask) == n->subnet ? NAMES_NONE : NAMES_FOREIGN;
	if (address == n->host)
		found_name(found, host_internal, NULL);
	if (address == 0x7f000001)
		found_name(found, "localhost", NULL);
	for (size_t i = 0; i < n->count; i++)
		if (n->members[i].address == address && (!n->members[i].hidden || n->members[i].id == asker))
			found_name(found, n->members[i].name, n->group);
}

void names_find(
	const struct names *n, uint32_t asker, const char *name, uint16_t type, struct names_found *found)
{
	uint32_t address;

	*found = (struct names_found){.answer = NAMES_FOREIGN};
	if (!parse_reverse(name, &address)) {
		find_forward(n, asker, name, type, found);
		return;
	}
	find_reverse(n, asker, address, found);
	if (found->answer == NAMES_FOUND && type != DNS_PTR && type != DNS_ANY)
		found->answer = NAMES_NO_DATA;
}

size_t names_reply(
	const struct names *n, uint32_t asker, const struct dns_query *q, uint8_t *out, size_t room)
{
	struct names_found found;
	size_t size;

	names_find(n, asker, q->name, q->type, &found);
	if (found.answer == NAMES_FOREIGN)
		return 0;
	if (found.answer == NAMES_FOUND && found.count)
		size = dns_build_addresses(q, found.addresses, found.count, NAMES_TTL, out, room);
	else if (found.answer == NAMES_FOUND)
		size = dns_build_pointer(q, found.name, NAMES_TTL, out, room);
	else
		size = dns_build_status(
			q, found.answer == NAMES_NONE ? DNS_NXDOMAIN : DNS_NOERROR, NULL, out, room);
	return size ? size : dns_build_truncated(q, out, room);
}
