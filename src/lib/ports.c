/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of the host that lead to a sandbox. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/network.h"
#include "net/control.h"
#include "sandbox/control.h"

struct ports {
	struct port *list;
	size_t count;
};

static void ports_free(struct ports *p)
{
	free(p->list);
}
#define _cleanup_ports_ __attribute__((cleanup(ports_free)))

static int parse(const char *const *texts, struct ports *p, struct error *err)
{
	int r = 0;

	for (; r == 0 && texts && *texts; texts++)
		r = ports_parse(*texts, &p->list, &p->count, err);
	if (r == 0 && !p->count)
		r = error_set(err, ERROR_USAGE, "no port was named");
	return r;
}

static int give_texts(const struct ports *p, char ***out, struct error *err)
{
	const struct network n = {.ports = p->list, .port_count = p->count};

	return out ? network_ports(&n, false, out, err) : 0;
}

static int list(struct monocore *mc, const char *name, char ***out, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_network_ struct network n = {0};
	int r = find_sandbox(mc, name, &d, &record, err);

	if (r == 0)
		r = network_read(d.fd, &n, err);
	return r < 0 && r != -ERROR_NOT_FOUND ? r
	       : d.fd < 0                     ? r
					      : network_ports(&n, directory_is_locked(&d), out, err);
}

int monocore_ports(struct monocore *mc, const char *name, char ***out, struct monocore_error *error)
{
	struct error err;

	return list(mc, name, out, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- more of them ------------------------------------------------------------------------------------- */

static int ask_for_more(struct network_target *t, const struct ports *p, char ***published, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	_cleanup_ports_ struct ports done = {0};
	struct frame f;
	int r;

	net_ports_encode(p->list, p->count, &payload);
	r = network_target_request(t, CONTROL_PORT_ADD, &payload, CONTROL_PORTS, &f, err);
	if (r == 0)
		r = net_ports_decode(cursor_of(f.payload, f.size), &done.list, &done.count, err);
	return r == 0 ? give_texts(&done, published, err) : r;
}

static int write_more(struct network_target *t, const struct ports *p, char ***published, struct error *err)
{
	int r = network_add_ports(&t->network, p->list, p->count, err);

	if (r == 0)
		r = network_target_write(t, err);
	return r == 0 ? give_texts(p, published, err) : r;
}

static int add(
	struct monocore *mc, const char *name, const char *const *texts, char ***published, struct error *err)
{
	_cleanup_network_target_ struct network_target t = NETWORK_TARGET_NONE;
	_cleanup_ports_ struct ports p = {0};
	int r = parse(texts, &p, err);

	if (r == 0)
		r = network_target_open(mc, name, &t, err);
	if (r < 0)
		return r;
	return t.peer.fd >= 0 ? ask_for_more(&t, &p, published, err) : write_more(&t, &p, published, err);
}

int monocore_ports_add(struct monocore *mc, const char *name, const char *const *ports, char ***published,
	struct monocore_error *error)
{
	struct error err;

	return add(mc, name, ports, published, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- fewer of them ------------------------------------------------------------------------------------ */

/* "8080", a port of the host's; or all of a port, where a host's port of 0, which "80" is as well, means
 * whichever leads there. */
static bool is_meant(const struct port *p, const struct port *wish)
{
	if (!wish->host)
		return wish->guest == p->host && wish->protocol == p->protocol;
	return wish->host == p->host && wish->guest == p->guest && wish->protocol == p->protocol &&
	       address_equal(&wish->address, &p->address);
}

static int find(const struct ports *among, const struct ports *wishes, struct ports *found, struct error *err)
{
	found->list = calloc(wishes->count, sizeof *found->list);
	if (!found->list)
		return error_no_memory(err, "remove ports");
	for (size_t i = 0; i < wishes->count; i++) {
		char text[PORT_TEXT_MAX];
		size_t n = 0;

		while (n < among->count && !is_meant(&among->list[n], &wishes->list[i]))
			n++;
		if (n == among->count)
			return error_set(err, ERROR_NOT_FOUND, "port %s is not published",
				port_format(&wishes->list[i], text));
		found->list[found->count++] = among->list[n];
	}
	return 0;
}

static int remove_ports(struct monocore *mc, const char *name, const char *const *texts, struct error *err)
{
	_cleanup_network_target_ struct network_target t = NETWORK_TARGET_NONE;
	_cleanup_ports_ struct ports wishes = {0}, found = {0};
	_cleanup_buffer_ struct buffer payload = {0};
	struct ports among;
	struct frame f;
	int r = parse(texts, &wishes, err);

	if (r == 0)
		r = network_target_open(mc, name, &t, err);
	if (r < 0)
		return r;
	among = t.peer.fd >= 0 && t.network.published_count
			? (struct ports){t.network.published, t.network.published_count}
			: (struct ports){t.network.ports, t.network.port_count};
	r = find(&among, &wishes, &found, err);
	if (r < 0)
		return r;
	if (t.peer.fd < 0) {
		network_remove_ports(&t.network, found.list, found.count);
		return network_target_write(&t, err);
	}
	net_ports_encode(found.list, found.count, &payload);
	return network_target_request(&t, CONTROL_PORT_REMOVE, &payload, 0, &f, err);
}

int monocore_ports_remove(
	struct monocore *mc, const char *name, const char *const *ports, struct monocore_error *error)
{
	struct error err;

	return remove_ports(mc, name, ports, &err) < 0 ? give_error(error, &err) : 0;
}
