/* SPDX-License-Identifier: Apache-2.0 */
/* What of a component is changed while its sandbox runs: reach, rules, bandwidth, ports. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "monocore_network.h"

int component_network(const struct component *c, struct network *n, struct error *err)
{
	const struct monocore_sandbox_options *o = &c->options;
	const struct network_wishes w = {.groups = o->groups,
		.aliases = o->aliases,
		.subnets = o->subnets,
		.reach = o->reach,
		.allow = o->allow,
		.deny = o->deny,
		.ports = o->ports,
		.bandwidth = o->bandwidth};

	return network_make(&w, c->name, n, err);
}

static bool same_texts(char *const *a, char *const *b)
{
	for (; a && *a && b && *b && !strcmp(*a, *b); a++, b++)
		;
	return (!a || !*a) && (!b || !*b);
}

static bool has_port(const struct network *n, const struct port *wanted)
{
	char a[PORT_TEXT_MAX], b[PORT_TEXT_MAX];

	for (size_t i = 0; i < n->port_count; i++)
		if (!strcmp(port_format(&n->ports[i], a), port_format(wanted, b)))
			return true;
	return false;
}

static bool is_other(const struct network *wanted, const struct network *has)
{
	if (wanted->reach != has->reach || wanted->bandwidth != has->bandwidth ||
		wanted->port_count != has->port_count || !same_texts(wanted->rules, has->rules))
		return true;
	for (size_t i = 0; i < wanted->port_count; i++)
		if (!has_port(has, &wanted->ports[i]))
			return true;
	return false;
}

int component_network_is_other(
	const struct component *c, const struct directory *d, bool *other, struct error *err)
{
	_cleanup_network_ struct network wanted = {0}, has = {0};
	int r = component_network(c, &wanted, err);

	if (r == 0)
		r = network_read(d->fd, &has, err);
	*other = r == 0 && is_other(&wanted, &has);
	return r;
}

/* Ports that `a` has and `b` has not; as they are published, where they are. */
static int ports_only_in(const struct network *a, const struct network *b, char ***list, struct error *err)
{
	bool published = a->published_count == a->port_count;
	char text[PORT_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->port_count; i++)
		if (!has_port(b, &a->ports[i]))
			r = text_list_add(
				list, port_format(published ? &a->published[i] : &a->ports[i], text), err);
	return r;
}

static int take_error(const struct monocore_error *error, struct error *err)
{
	return error_set(err, (enum error_code)error->code, "%s", error->text);
}

static int change_ports(struct monocore *mc, const char *name, const struct network *wanted,
	const struct network *has, struct error *err)
{
	_cleanup_text_list_ char **gone = NULL, **more = NULL;
	struct monocore_error error;
	int r = ports_only_in(has, wanted, &gone, err);

	if (r == 0)
		r = ports_only_in(wanted, has, &more, err);
	if (r < 0)
		return r;
	if (gone && monocore_ports_remove(mc, name, (const char *const *)gone, &error) < 0)
		return take_error(&error, err);
	if (more && monocore_ports_add(mc, name, (const char *const *)more, NULL, &error) < 0)
		return take_error(&error, err);
	return 0;
}

int component_network_change(struct monocore *mc, const struct component *c, struct error *err)
{
	static const char *const none[] = {NULL};
	const struct monocore_sandbox_options *o = &c->options;
	struct monocore_network_change change = MONOCORE_NETWORK_CHANGE_INIT;
	_cleanup_network_ struct network wanted = {0}, has = {0};
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	struct monocore_error error;
	int r = component_network(c, &wanted, err);

	change.reach = o->reach ? o->reach : "public";
	change.allow = o->allow ? o->allow : none;
	change.deny = o->deny ? o->deny : none;
	change.set_bandwidth = true;
	change.bandwidth = o->bandwidth;
	if (r == 0 && monocore_network_policy(mc, c->name, &change, &error) < 0)
		r = take_error(&error, err);
	if (r == 0)
		r = directory_find(&mc->home, c->name, &d, err);
	if (r == 0)
		r = network_read(d.fd, &has, err);
	return r == 0 ? change_ports(mc, c->name, &wanted, &has, err) : r;
}
