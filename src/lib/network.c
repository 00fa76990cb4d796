/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox may reach is changed: by its supervisor, or where none runs, in its directory. */
#include "lib/network.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "net/control.h"
#include "sandbox/control.h"

#define ANSWER_LIMIT (30 * NANOSECONDS_PER_SECOND)

void network_target_close(struct network_target *t)
{
	peer_close(&t->peer);
	network_free(&t->network);
	record_free(&t->record);
	directory_close(&t->d);
}

int network_target_open(struct monocore *mc, const char *name, struct network_target *t, struct error *err)
{
	int r = find_sandbox(mc, name, &t->d, &t->record, err);

	if (r == 0)
		r = lock_or_connect(&t->d, &t->record, &t->peer, err);
	if (r == 0)
		r = network_read(t->d.fd, &t->network, err);
	return r == -ERROR_NOT_FOUND && t->d.fd >= 0
		       ? error_set(err, ERROR_UNAVAILABLE, "sandbox '%s' has no network", name)
		       : r;
}

int network_target_request(struct network_target *t, uint16_t type, const struct buffer *payload,
	uint16_t also, struct frame *f, struct error *err)
{
	return request(&t->peer, type, payload, also, f, clock_monotonic() + ANSWER_LIMIT, err);
}

int network_target_write(struct network_target *t, struct error *err)
{
	return network_write(t->d.fd, &t->network, true, err);
}

static int ask_policy(struct network_target *t, struct error *err)
{
	const struct net_policy m = {(uint8_t)t->network.reach, t->network.rules};
	_cleanup_buffer_ struct buffer payload = {0};
	struct frame f;

	net_policy_encode(&m, &payload);
	return network_target_request(t, CONTROL_POLICY, &payload, 0, &f, err);
}

static int ask_bandwidth(struct network_target *t, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct frame f;

	buffer_u64(&payload, t->network.bandwidth);
	return network_target_request(t, CONTROL_BANDWIDTH, &payload, 0, &f, err);
}

static int apply(struct network *n, const struct monocore_network_change *c, struct error *err)
{
	int r = c->reach ? reach_parse(c->reach, &n->reach, err) : 0;

	if (r == 0)
		r = network_set_rules(n, c->allow, c->deny, c->add, err);
	if (r == 0 && c->set_bandwidth)
		r = network_set_bandwidth(n, c->bandwidth, err);
	return r;
}

static int change(
	struct monocore *mc, const char *name, const struct monocore_network_change *c, struct error *err)
{
	_cleanup_network_target_ struct network_target t = NETWORK_TARGET_NONE;
	int r = network_target_open(mc, name, &t, err);

	if (r == 0)
		r = apply(&t.network, c, err);
	if (r < 0)
		return r;
	if (t.peer.fd < 0)
		return network_target_write(&t, err);
	if (c->reach || c->allow || c->deny)
		r = ask_policy(&t, err);
	return r == 0 && c->set_bandwidth ? ask_bandwidth(&t, err) : r;
}

int monocore_network_policy(struct monocore *mc, const char *name, const struct monocore_network_change *c,
	struct monocore_error *error)
{
	struct error err;

	return change(mc, name, c, &err) < 0 ? give_error(error, &err) : 0;
}

int network_ports(const struct network *n, bool runs, char ***list, struct error *err)
{
	bool published = runs && n->published_count;
	const struct port *ports = published ? n->published : n->ports;
	size_t count = published ? n->published_count : n->port_count;
	char text[PORT_TEXT_MAX];
	int r = 0;

	*list = calloc(1, sizeof **list);
	if (!*list)
		return error_no_memory(err, "list ports");
	for (size_t i = 0; r == 0 && i < count; i++)
		r = text_list_add(list, port_format(&ports[i], text), err);
	return r;
}

static int read_policy(
	struct monocore *mc, const char *name, struct monocore_network_policy_info *policy, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_network_ struct network n = {0};
	char *remark = NULL;
	int r = find_sandbox(mc, name, &d, &record, err);

	if (r == 0)
		r = network_read(d.fd, &n, err);
	if (r == 0)
		r = network_remark(&n, &remark, err);
	if (r < 0)
		return r;
	*policy = (struct monocore_network_policy_info){.reach = text_copy(reach_name(n.reach), err),
		.rules = n.rules ? TAKE_PTR(n.rules) : calloc(1, sizeof *n.rules),
		.bandwidth = n.bandwidth};
	policy->remark = remark;
	if (policy->reach && policy->rules)
		return 0;
	monocore_network_policy_free(policy);
	return error_no_memory(err, "read a policy");
}

int monocore_network_policy_read(struct monocore *mc, const char *name,
	struct monocore_network_policy_info *policy, struct monocore_error *error)
{
	struct error err;

	return read_policy(mc, name, policy, &err) < 0 ? give_error(error, &err) : 0;
}

void monocore_network_policy_free(struct monocore_network_policy_info *policy)
{
	free(policy->reach);
	free(policy->remark);
	text_list_free(policy->rules);
	*policy = (struct monocore_network_policy_info){0};
}
