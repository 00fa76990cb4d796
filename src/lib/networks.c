/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: which there are, and what their processes know. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "lib/network.h"
#include "net/control.h"
#include "net/groups.h"
#include "net/ipam_store.h"
#include "sandbox/json_file.h"

#define ANSWER_LIMIT (10 * NANOSECONDS_PER_SECOND)
#define TRACE_LOOK   1000 /* milliseconds */
#define TRACE_AGAIN  MILLISECONDS(50)

CLEANUP_DEFINE(ipam, struct ipam_store, ipam_store_free);

/* ---- the list ----------------------------------------------------------------------------------------- */

struct collecting {
	struct monocore *mc;
	struct monocore_network_info *list;
	size_t count;
	char **up;
	const char *only; /* NULL: all */
};

void monocore_networks_free(struct monocore_network_info *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++) {
		free(list[i].group);
		free(list[i].subnet);
		text_list_free(list[i].sandboxes);
		text_list_free(list[i].addresses);
	}
	free(list);
}

static bool is_among(char *const *list, const char *text)
{
	for (; list && *list; list++)
		if (!strcmp(*list, text))
			return true;
	return false;
}

static struct monocore_network_info *add_group(struct collecting *c, const char *group, const char *sandbox,
	const struct ipam_lease *lease, struct error *err)
{
	struct monocore_network_info *all = realloc(c->list, (c->count + 1) * sizeof *all), *i;
	char subnet[PREFIX_TEXT_MAX];

	if (!all) {
		error_no_memory(err, "list networks");
		return NULL;
	}
	c->list = all;
	i = &all[c->count++];
	*i = (struct monocore_network_info){.group = text_copy(group, err),
		.subnet = text_copy(prefix_format(&lease->subnet, subnet), err),
		.up = is_among(c->up, group),
		.alone = !strcmp(group, sandbox)};
	return i->group && i->subnet ? i : NULL;
}

/* Rows come by group. */
static int collect(void *context, const char *group, const char *sandbox, const struct ipam_lease *lease,
	struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	struct collecting *c = context;
	struct monocore_network_info *i = c->count ? &c->list[c->count - 1] : NULL;
	char address[ADDRESS_TEXT_MAX];
	int r;

	if (c->only && strcmp(group, c->only) != 0)
		return 0;
	d.fd = openat(c->mc->home.sandboxes, sandbox, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d.fd < 0 || record_read(d.fd, &record, NULL) < 0)
		return 0; /* gone, or just being made */
	if (!i || strcmp(i->group, group) != 0)
		i = add_group(c, group, sandbox, lease, err);
	if (!i)
		return -ERROR_NO_MEMORY;
	r = text_list_add(&i->sandboxes, record.name, err);
	return r == 0 ? text_list_add(&i->addresses, address_format_ipv4(lease->address, address), err) : r;
}

static int collect_all(struct monocore *mc, const char *only, struct collecting *c, struct error *err)
{
	const struct net_place place = {.home = mc->home.fd};
	_cleanup_(cleanup_ipam) struct ipam_store *store = NULL;
	_cleanup_text_list_ char **up = NULL;
	int r = net_groups_list(&place, &up, err);

	*c = (struct collecting){.mc = mc, .up = up, .only = only};
	if (r == 0)
		r = ipam_store_open(mc->home.path, &store, err);
	if (r == 0)
		r = ipam_store_each(store, collect, c, err);
	c->up = NULL;
	if (r < 0) {
		monocore_networks_free(c->list, c->count);
		c->list = NULL;
	}
	return r;
}

int monocore_networks(
	struct monocore *mc, struct monocore_network_info **list, size_t *count, struct monocore_error *error)
{
	struct collecting c;
	struct error err;

	if (collect_all(mc, NULL, &c, &err) < 0)
		return give_error(error, &err);
	*list = c.list;
	*count = c.count;
	return 0;
}

/* ---- what a group's process tells --------------------------------------------------------------------- */

static int connect_group(struct monocore *mc, const char *group, struct peer *peer, struct error *err)
{
	const struct net_place place = {.home = mc->home.fd};

	return net_connect(&place, group, peer, err);
}

/* Sends a request whose answer is JSON. *json is the caller's. */
static int ask(struct peer *peer, uint16_t type, const char *name, json_t **json, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	json_error_t why;
	struct frame f;
	int r;

	if (name)
		net_name_encode(name, &payload);
	r = request(peer, type, &payload, NET_TEXT, &f, clock_monotonic() + ANSWER_LIMIT, err);
	if (r < 0)
		return r;
	*json = json_loadb((const char *)f.payload, f.size, 0, &why);
	return *json ? 0 : error_set(err, ERROR_CORRUPT, "the network's answer: %s", why.text);
}

static json_t *status_of(struct monocore *mc, const char *group)
{
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	json_t *json = NULL;

	if (connect_group(mc, group, &peer, NULL) < 0 || ask(&peer, NET_STATUS, NULL, &json, NULL) < 0)
		return json_null();
	return json;
}

/* What a group's process says about one sandbox; its connections are for `net inspect`. */
static json_t *live_of(struct monocore *mc, const char *group, const char *id)
{
	_cleanup_json_ json_t *status = status_of(mc, group);
	const json_t *all = json_object_get(status, "sandboxes");

	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *one = json_array_get(all, i);
		const char *its = json_string_value(json_object_get(one, "id"));

		if (its && !strcmp(its, id)) {
			json_object_del(one, "flows");
			json_object_set_new(one, "group", json_string(group));
			return json_incref(one);
		}
	}
	return json_null();
}

int network_report(struct monocore *mc, const struct directory *d, json_t **json, struct error *err)
{
	_cleanup_network_ struct network n = {0};
	json_t *live = NULL;
	int r = network_read(d->fd, &n, err);

	*json = NULL;
	if (r < 0)
		return r == -ERROR_NOT_FOUND ? 0 : r;
	*json = network_describe(&n);
	if (directory_is_locked(d))
		live = json_array();
	for (uint32_t i = 0; live && i < n.group_count; i++)
		json_array_append_new(live, live_of(mc, n.groups[i].name, d->id));
	if (!*json || (live && json_object_set_new(*json, "live", live) < 0))
		return error_no_memory(err, "describe a sandbox");
	return 0;
}

static json_t *members_to_json(const struct monocore_network_info *i)
{
	json_t *list = json_array();

	for (size_t n = 0; list && i->sandboxes && i->sandboxes[n]; n++)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "name", i->sandboxes[n], "address", i->addresses[n]));
	return list;
}

static int describe(
	struct monocore *mc, const struct monocore_network_info *i, char **text, struct error *err)
{
	_cleanup_json_ json_t *json = NULL;
	char gateway[ADDRESS_TEXT_MAX], host[ADDRESS_TEXT_MAX];
	struct prefix subnet;
	int r = prefix_parse(i->subnet, &subnet, err);

	if (r < 0)
		return r;
	json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o}", "group", i->group, "subnet", i->subnet,
		"gateway", address_format_ipv4(ipam_gateway(&subnet), gateway), "host",
		address_format_ipv4(ipam_host(&subnet), host), "up", i->up, "alone", i->alone, "sandboxes",
		members_to_json(i), "status", i->up ? status_of(mc, i->group) : json_null());
	*text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	return *text ? 0 : error_no_memory(err, "describe a network");
}

static int no_such_group(struct monocore *mc, const char *name, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	struct collecting c;
	const char *nearest = NULL;

	if (collect_all(mc, NULL, &c, NULL) == 0) {
		for (size_t i = 0; i < c.count; i++)
			text_list_add(&names, c.list[i].group, NULL);
		monocore_networks_free(c.list, c.count);
	}
	nearest = names ? text_nearest(name, (const char *const *)names) : NULL;
	if (nearest)
		return error_set(err, ERROR_NOT_FOUND, "no group '%s': did you mean '%s'?", name, nearest);
	return error_set(
		err, ERROR_NOT_FOUND, "no group '%s': 'monocore net ls' lists those there are", name);
}

/* A group, or the sandbox that is alone in its own. */
static int inspect(struct monocore *mc, const char *name, char **json, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	struct collecting c;
	int r = collect_all(mc, name, &c, err);

	if (r == 0 && !c.count && directory_find(&mc->home, name, &d, NULL) == 0)
		r = collect_all(mc, d.id, &c, err);
	if (r < 0)
		return r;
	r = c.count ? describe(mc, &c.list[0], json, err) : no_such_group(mc, name, err);
	monocore_networks_free(c.list, c.count);
	return r;
}

int monocore_network_inspect(
	struct monocore *mc, const char *group, char **json, struct monocore_error *error)
{
	struct error err;

	return inspect(mc, group, json, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- one sandbox's ------------------------------------------------------------------------------------ */

static int find_running(
	struct monocore *mc, const char *name, struct directory *d, struct network *n, struct error *err)
{
	_cleanup_record_ struct record record = {0};
	int r = find_sandbox(mc, name, d, &record, err);

	if (r == 0)
		r = network_read(d->fd, n, err);
	if (r == 0 && !directory_is_locked(d))
		r = error_set(err, ERROR_BUSY, "sandbox '%s' is not running", record.name);
	return r;
}

static int why(struct monocore *mc, const char *name, char **text, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_network_ struct network n = {0};
	_cleanup_json_ json_t *all = json_array();
	int r = find_running(mc, name, &d, &n, err);

	for (uint32_t i = 0; r == 0 && i < n.group_count; i++) {
		_cleanup_(peer_close) struct peer peer = PEER_NONE;
		json_t *json = NULL;

		r = connect_group(mc, n.groups[i].name, &peer, err);
		if (r == 0)
			r = ask(&peer, NET_WHY, d.id, &json, err);
		if (r == 0)
			json_object_set_new(json, "group", json_string(n.groups[i].name));
		if (r == 0)
			json_array_append_new(all, json);
	}
	if (r < 0)
		return r;
	*text = json_dumps(all, JSON_INDENT(2));
	return *text ? 0 : error_no_memory(err, "tell what was denied");
}

int monocore_network_why(struct monocore *mc, const char *name, char **json, struct monocore_error *error)
{
	struct error err;

	return why(mc, name, json, &err) < 0 ? give_error(error, &err) : 0;
}

struct tracing {
	int (*line)(void *context, const char *text);
	void *context;
	struct peer peers[NETWORK_GROUPS_MAX];
	uint32_t count;
	int answer;
};

static void tracing_close(struct tracing *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		peer_close(&t->peers[i]);
}

static int start_trace(
	struct monocore *mc, struct tracing *t, const char *group, const char *id, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct peer *p = &t->peers[t->count];
	struct frame f;
	int r = connect_group(mc, group, p, err);

	if (r < 0)
		return r;
	t->count++;
	net_name_encode(id, &payload);
	return request(p, NET_TRACE, &payload, 0, &f, clock_monotonic() + ANSWER_LIMIT, err);
}

static int give_lines(struct tracing *t, struct peer *p, struct error *err)
{
	struct frame f;
	int r = 0;

	while (!t->answer && (r = peer_next(p, &f, err)) > 0) {
		char *text = f.type == NET_LINE ? text_copy_bytes(f.payload, f.size, err) : NULL;

		if (text)
			t->answer = t->line(t->context, text);
		free(text);
	}
	return r;
}

/* CLOSED: a network has ended. */
static int follow(struct tracing *t, const struct directory *d, struct error *err)
{
	struct pollfd p[NETWORK_GROUPS_MAX];
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < t->count; i++)
		r = give_lines(t, &t->peers[i], err);
	while (!t->answer && r >= 0 && directory_is_locked(d)) {
		for (uint32_t i = 0; i < t->count; i++)
			p[i] = (struct pollfd){.fd = t->peers[i].fd, .events = POLLIN};
		if (poll(p, t->count, TRACE_LOOK) < 0 && errno != EINTR)
			return error_errno(err, errno, "follow the verdicts");
		for (uint32_t i = 0; r >= 0 && i < t->count; i++)
			if (p[i].revents && (r = peer_receive(&t->peers[i], err)) >= 0)
				r = give_lines(t, &t->peers[i], err);
	}
	return r < 0 ? r : 0;
}

static int start_traces(struct monocore *mc, struct tracing *t, const struct network *n,
	const struct directory *d, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n->group_count; i++)
		r = start_trace(mc, t, n->groups[i].name, d->id, err);
	return r;
}

/* While the sandbox runs, a network that has ended is just being replaced. */
static int trace(struct monocore *mc, const char *name, struct tracing *t, struct error *err)
{
	const struct timespec pause = {.tv_nsec = TRACE_AGAIN};
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_network_ struct network n = {0};
	int r = find_running(mc, name, &d, &n, err);

	if (r == 0)
		r = start_traces(mc, t, &n, &d, err);
	if (r == 0)
		r = follow(t, &d, err);
	while (r < 0 && (r == -ERROR_CLOSED || r == -ERROR_NOT_FOUND) && directory_is_locked(&d)) {
		tracing_close(t);
		t->count = 0;
		nanosleep(&pause, NULL);
		r = start_traces(mc, t, &n, &d, err);
		if (r == 0)
			r = follow(t, &d, err);
	}
	return d.fd >= 0 && !directory_is_locked(&d) && r == -ERROR_CLOSED ? 0 : r;
}

int monocore_network_trace(struct monocore *mc, const char *name,
	int (*line)(void *context, const char *text), void *context, struct monocore_error *error)
{
	_cleanup_(tracing_close) struct tracing t = {.line = line, .context = context};
	struct error err;

	return trace(mc, name, &t, &err) < 0 ? give_error(error, &err) : t.answer;
}
