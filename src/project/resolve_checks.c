/* SPDX-License-Identifier: Apache-2.0 */
/* What only shows when several are seen together: ports of the host, addresses and names in a group. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/load_parts.h"

struct used_port {
	struct project_port port;
	const char *sandbox;
	struct project_place place;
	size_t order;
};

static bool is_open(const struct project_port *ports, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!ports[i].loopback)
			return true;
	return false;
}

void resolve_port(struct load *l, struct component *c, const char *text, struct project_place place)
{
	_cleanup_free_ struct project_port *ports = NULL;
	size_t count = 0;
	int r = l->in->checks->ports(text, &ports, &count, NULL);

	if (r == -ERROR_NO_MEMORY)
		load_fail(l, r, "read ports");
	else if (r == 0 && is_open(ports, count))
		load_reach(l, REACH_PORT, c, text, place);
}

static int compare_ports(const void *a, const void *b)
{
	const struct used_port *x = a, *y = b;

	if (x->port.udp != y->port.udp)
		return x->port.udp ? 1 : -1;
	if (x->port.host != y->port.host)
		return x->port.host < y->port.host ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static bool conflict(const struct project_port *a, const struct project_port *b)
{
	bool same_family = !strchr(a->address, ':') == !strchr(b->address, ':');

	return a->udp == b->udp && a->host == b->host && same_family &&
	       (a->everywhere || b->everywhere || !strcmp(a->address, b->address));
}

/* All ports of the host that the project asks for; the caller frees them. */
static struct used_port *gather_ports(struct load *l, size_t *count)
{
	struct used_port *all = NULL;

	*count = 0;
	for (size_t i = 0; i < l->p->sandbox_count; i++) {
		const struct project_common *common = &l->p->sandboxes[i].common;

		for (size_t k = 0; common->ports && common->ports[k]; k++) {
			_cleanup_free_ struct project_port *ports = NULL;
			struct used_port *grown;
			size_t n = 0;

			if (l->in->checks->ports(common->ports[k], &ports, &n, NULL) == -ERROR_NO_MEMORY)
				load_fail(l, -ERROR_NO_MEMORY, "compare ports");
			if (!n || l->failed)
				continue;
			grown = realloc(all, (*count + n) * sizeof *grown);
			if (!grown) {
				load_fail(l, -ERROR_NO_MEMORY, "compare ports");
				return all;
			}
			all = grown;
			for (size_t j = 0; j < n; j++, ++*count)
				all[*count] =
					(struct used_port){ports[j], common->name, common->place, *count};
		}
	}
	return all;
}

static void tell_conflict(struct load *l, const struct used_port *first, const struct used_port *second)
{
	if (first->sandbox == second->sandbox)
		mistake_add(l->m, second->place, strlen(second->sandbox),
			"'%s' wants the port %u of the host twice", second->sandbox, second->port.host);
	else
		mistake_add(l->m, second->place, strlen(second->sandbox),
			"'%s' and '%s' both want the port %u of the host", first->sandbox, second->sandbox,
			second->port.host);
}

static void check_ports(struct load *l)
{
	size_t count;
	_cleanup_free_ struct used_port *all = gather_ports(l, &count);

	if (l->failed || !count)
		return;
	qsort(all, count, sizeof *all, compare_ports);
	for (size_t i = 1; i < count; i++)
		for (size_t k = i; k-- > 0 && i - k <= 16;)
			if (all[i].port.host && conflict(&all[i].port, &all[k].port)) {
				tell_conflict(l, &all[k], &all[i]);
				break;
			}
}

/* In a group each name and each address is one sandbox's. */
static void claim(struct load *l, struct map *claimed, const struct project_sandbox *s,
	const struct project_membership *m, const char *what, const char *value)
{
	_cleanup_free_ char *key = text_format(l->err, "%s\n%s\n%s", m->group, what, value);
	const struct project_sandbox *there = key ? map_get(claimed, key, strlen(key)) : NULL;

	if (there && there != s)
		mistake_add(l->m, m->place, strlen(m->group),
			"'%s' and '%s' both have the %s '%s' in the group '%s'", there->common.name,
			s->common.name, what, value, m->group);
	else if (!key || map_set(claimed, key, strlen(key), (void *)(uintptr_t)s, NULL, l->err) < 0)
		load_fail(l, -ERROR_NO_MEMORY, "compare addresses");
}

static void check_memberships(struct load *l)
{
	struct map claimed = {0};

	for (size_t i = 0; i < l->p->sandbox_count && !l->failed; i++) {
		const struct project_sandbox *s = &l->p->sandboxes[i];

		for (size_t k = 0; k < s->group_count && !l->failed; k++) {
			const struct project_membership *m = &s->groups[k];

			claim(l, &claimed, s, m, "name", s->common.name);
			if (m->hostname)
				claim(l, &claimed, s, m, "name", m->hostname);
			if (m->ip)
				claim(l, &claimed, s, m, "address", m->ip);
		}
	}
	map_free(&claimed);
}

void resolve_checks(struct load *l)
{
	check_ports(l);
	if (!l->failed)
		check_memberships(l);
}
