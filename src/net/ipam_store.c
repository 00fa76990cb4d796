/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ipam_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/db.h"

#define QUERY(q) _cleanup_(cleanup_db_query) struct db_query *q = NULL

struct ipam_store {
	struct db *db;
};

/* Checks by the database itself would need ranges; all changes are made by the functions below, each in one
 * transaction that nobody else writes beside. */
static const char *const steps[] = {
	"CREATE TABLE subnet ("
	"  group_name TEXT PRIMARY KEY,"
	"  base INTEGER NOT NULL UNIQUE,"
	"  bits INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE TABLE address ("
	"  group_name TEXT NOT NULL REFERENCES subnet (group_name),"
	"  sandbox TEXT NOT NULL,"
	"  address INTEGER NOT NULL,"
	"  PRIMARY KEY (group_name, sandbox),"
	"  UNIQUE (group_name, address)"
	") WITHOUT ROWID;"
	"CREATE INDEX address_sandbox ON address (sandbox)",
};

int ipam_store_open(const char *home, struct ipam_store **out, struct error *err)
{
	const struct db_schema schema = {.name = "network", .steps = steps, .count = ARRAY_SIZE(steps)};
	_cleanup_free_ char *path = text_format(err, "%s/monocore.db", home);
	struct ipam_store *store;
	int r;

	if (!path)
		return -ERROR_NO_MEMORY;
	store = calloc(1, sizeof *store);
	if (!store)
		return error_no_memory(err, "open the addresses of sandboxes");
	r = db_open(path, &schema, &store->db, err);
	if (r < 0) {
		free(store);
		return r;
	}
	*out = store;
	return 0;
}

int ipam_store_relax(struct ipam_store *store, struct error *err)
{
	return db_relax(store->db, err);
}

void ipam_store_free(struct ipam_store *store)
{
	if (!store)
		return;
	db_close(store->db);
	free(store);
}

/* ---- take ------------------------------------------------------------------------------------------- */

/* Lists that grow as rows come. */
struct taken_list {
	struct ipam_taken *items;
	size_t count;
	char **names;
};

static void free_taken(struct taken_list *l)
{
	free(l->items);
	text_list_free(l->names);
}

static struct prefix row_subnet(struct db_query *q, int column)
{
	return prefix_ipv4((uint32_t)db_number(q, column), (unsigned)db_number(q, column + 1));
}

static int add_taken(struct taken_list *l, const struct prefix *subnet, const char *by, struct error *err)
{
	struct ipam_taken *items = reallocarray(l->items, l->count + 1, sizeof *items);

	if (!items)
		return error_no_memory(err, "find a subnet");
	l->items = items;
	items[l->count++] = (struct ipam_taken){*subnet, by};
	return 0;
}

/* What keeps a new group's subnet from being given. */
static int list_taken(
	struct ipam_store *s, const struct ipam_request *request, struct taken_list *l, struct error *err)
{
	QUERY(q);
	int r = db_prepare(s->db, "SELECT group_name, base, bits FROM subnet", &q, err);

	while (r == 0 && (r = db_step(q, err)) > 0) {
		struct prefix subnet = row_subnet(q, 1);
		_cleanup_free_ char *by = text_format(err, "the group %s", db_text(q, 0));

		r = by ? text_list_add(&l->names, by, err) : -ERROR_NO_MEMORY;
		if (r == 0)
			r = add_taken(l, &subnet, NULL, err);
	}
	for (size_t i = 0; r == 0 && i < l->count; i++)
		l->items[i].by = l->names[i];
	for (size_t i = 0; r == 0 && i < request->taken_count; i++)
		r = add_taken(l, &request->taken[i].subnet, request->taken[i].by, err);
	return r;
}

static int find_subnet(struct ipam_store *s, const char *group, struct prefix *subnet, struct error *err)
{
	QUERY(q);
	int r = db_prepare(s->db, "SELECT base, bits FROM subnet WHERE group_name = ?", &q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, group);
	r = db_step(q, err);
	if (r > 0)
		*subnet = row_subnet(q, 0);
	return r < 0 ? r : r > 0 ? 0 : error_set(err, ERROR_NOT_FOUND, "the group %s has no subnet", group);
}

static int insert_subnet(
	struct ipam_store *s, const char *group, const struct prefix *subnet, struct error *err)
{
	QUERY(q);
	int r = db_prepare(s->db, "INSERT INTO subnet (group_name, base, bits) VALUES (?, ?, ?)", &q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, group);
	db_bind_number(q, 2, address_ipv4(&subnet->address));
	db_bind_number(q, 3, subnet->bits - 96);
	return db_step(q, err);
}

static int make_subnet(
	struct ipam_store *s, const struct ipam_request *request, struct prefix *subnet, struct error *err)
{
	_cleanup_(free_taken) struct taken_list taken = {0};
	int r = list_taken(s, request, &taken, err);

	if (r == 0 && request->subnet) {
		*subnet = *request->subnet;
		r = ipam_check_subnet(subnet, taken.items, taken.count, err);
	} else if (r == 0) {
		r = ipam_pick_subnet(request->pool, request->group, taken.items, taken.count, subnet, err);
	}
	return r < 0 ? r : insert_subnet(s, request->group, subnet, err);
}

/* The group's, which may have to be made. */
static int take_subnet(
	struct ipam_store *s, const struct ipam_request *request, struct prefix *subnet, struct error *err)
{
	const struct prefix *wanted = request->subnet;
	char has[PREFIX_TEXT_MAX], text[PREFIX_TEXT_MAX];
	int r = find_subnet(s, request->group, subnet, NULL);

	if (r == -ERROR_NOT_FOUND)
		return make_subnet(s, request, subnet, err);
	if (r < 0)
		return find_subnet(s, request->group, subnet, err);
	if (!wanted || (address_equal(&wanted->address, &subnet->address) && wanted->bits == subnet->bits))
		return 0;
	return error_set(err, ERROR_BUSY,
		"the group %s has the subnet %s, not %s, while sandboxes are in it: "
		"remove them first",
		request->group, prefix_format(subnet, has), prefix_format(wanted, text));
}

/* The group's addresses in rising order; *taken is the caller's. */
static int list_addresses(
	struct ipam_store *s, const char *group, uint32_t **taken, size_t *count, struct error *err)
{
	QUERY(q);
	int r = db_prepare(
		s->db, "SELECT address FROM address WHERE group_name = ? ORDER BY address", &q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, group);
	while ((r = db_step(q, err)) > 0) {
		uint32_t *more = reallocarray(*taken, *count + 1, sizeof **taken);

		if (!more)
			return error_no_memory(err, "find an address");
		*taken = more;
		more[(*count)++] = (uint32_t)db_number(q, 0);
	}
	return r;
}

static int check_free(struct ipam_store *s, const struct ipam_request *request, struct error *err)
{
	QUERY(q);
	char text[ADDRESS_TEXT_MAX];
	int r = db_prepare(
		s->db, "SELECT sandbox FROM address WHERE group_name = ? AND address = ?", &q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, request->group);
	db_bind_number(q, 2, request->address);
	r = db_step(q, err);
	if (r > 0)
		return error_set(err, ERROR_EXISTS,
			"the address %s in the group %s is that of the sandbox %s",
			address_format_ipv4(request->address, text), request->group, db_text(q, 0));
	return r;
}

static int insert_address(
	struct ipam_store *s, const struct ipam_request *request, uint32_t address, struct error *err)
{
	QUERY(q);
	int r = db_prepare(
		s->db, "INSERT INTO address (group_name, sandbox, address) VALUES (?, ?, ?)", &q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, request->group);
	db_bind_text(q, 2, request->sandbox);
	db_bind_number(q, 3, address);
	return db_step(q, err);
}

static int make_address(
	struct ipam_store *s, const struct ipam_request *request, struct ipam_lease *lease, struct error *err)
{
	_cleanup_free_ uint32_t *taken = NULL;
	size_t count = 0;
	int r;

	lease->address = request->address;
	if (request->address) {
		r = ipam_check_address(&lease->subnet, request->address, err);
		if (r == 0)
			r = check_free(s, request, err);
	} else {
		r = list_addresses(s, request->group, &taken, &count, err);
		if (r == 0)
			r = ipam_pick_address(&lease->subnet, taken, count, &lease->address, err);
	}
	return r < 0 ? r : insert_address(s, request, lease->address, err);
}

int ipam_store_find(struct ipam_store *s, const char *group, const char *sandbox, struct ipam_lease *lease,
	struct error *err)
{
	QUERY(q);
	int r = db_prepare(s->db,
		"SELECT address, base, bits FROM address JOIN subnet USING (group_name) "
		"WHERE group_name = ? AND sandbox = ?",
		&q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, group);
	db_bind_text(q, 2, sandbox);
	r = db_step(q, err);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, "the sandbox %s has no address in the group %s",
			sandbox, group);
	if (r > 0)
		*lease = (struct ipam_lease){row_subnet(q, 1), (uint32_t)db_number(q, 0)};
	return r < 0 ? r : 0;
}

static int take(
	struct ipam_store *s, const struct ipam_request *request, struct ipam_lease *lease, struct error *err)
{
	char has[ADDRESS_TEXT_MAX], text[ADDRESS_TEXT_MAX];
	int r = take_subnet(s, request, &lease->subnet, err);

	if (r < 0)
		return r;
	r = ipam_store_find(s, request->group, request->sandbox, lease, NULL);
	if (r == -ERROR_NOT_FOUND)
		return make_address(s, request, lease, err);
	if (r < 0)
		return ipam_store_find(s, request->group, request->sandbox, lease, err);
	if (!request->address || request->address == lease->address)
		return 0;
	return error_set(err, ERROR_BUSY, "the sandbox %s has the address %s in the group %s, not %s",
		request->sandbox, address_format_ipv4(lease->address, has), request->group,
		address_format_ipv4(request->address, text));
}

int ipam_store_take(
	struct ipam_store *s, const struct ipam_request *request, struct ipam_lease *lease, struct error *err)
{
	int r = db_begin(s->db, err);

	if (r == 0)
		r = take(s, request, lease, err);
	if (r == 0)
		r = db_commit(s->db, err);
	db_end(s->db);
	return r;
}

/* ---- release ---------------------------------------------------------------------------------------- */

static int release(struct ipam_store *s, const char *sandbox, struct error *err)
{
	int r = db_run(s->db, err, "DELETE FROM address WHERE sandbox = ?", sandbox, NULL);

	if (r > 0)
		r = db_run(s->db, err,
			"DELETE FROM subnet WHERE group_name NOT IN (SELECT group_name FROM address)", NULL);
	return r < 0 ? r : 0;
}

int ipam_store_release(struct ipam_store *s, const char *sandbox, struct error *err)
{
	int r = db_begin(s->db, err);

	if (r == 0)
		r = release(s, sandbox, err);
	if (r == 0)
		r = db_commit(s->db, err);
	db_end(s->db);
	return r;
}

static int list_sandboxes(struct ipam_store *s, char ***sandboxes, struct error *err)
{
	QUERY(q);
	int r = db_prepare(s->db, "SELECT DISTINCT sandbox FROM address", &q, err);

	while (r == 0 && (r = db_step(q, err)) > 0)
		r = text_list_add(sandboxes, db_text(q, 0), err);
	return r;
}

/* Nobody takes an address while it is asked who lives: one that was taken just now has a sandbox in the
 * making, which `lives` sees. */
int ipam_store_sweep(struct ipam_store *s, bool (*lives)(void *context, const char *sandbox), void *context,
	struct error *err)
{
	_cleanup_text_list_ char **sandboxes = NULL;
	int r = db_begin(s->db, err);

	if (r == 0)
		r = list_sandboxes(s, &sandboxes, err);
	for (size_t i = 0; r == 0 && sandboxes && sandboxes[i]; i++)
		if (!lives(context, sandboxes[i]))
			r = release(s, sandboxes[i], err);
	if (r == 0)
		r = db_commit(s->db, err);
	db_end(s->db);
	return r;
}

/* ---- look ------------------------------------------------------------------------------------------- */

int ipam_store_each(struct ipam_store *s, ipam_store_call each, void *context, struct error *err)
{
	QUERY(q);
	int r = db_prepare(s->db,
		"SELECT group_name, sandbox, address, base, bits FROM address JOIN subnet USING (group_name) "
		"ORDER BY group_name, address",
		&q, err);

	while (r == 0 && (r = db_step(q, err)) > 0) {
		struct ipam_lease lease = {row_subnet(q, 3), (uint32_t)db_number(q, 2)};

		r = each(context, db_text(q, 0), db_text(q, 1), &lease, err);
	}
	return r;
}
