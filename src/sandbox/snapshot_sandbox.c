/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes that go on where a snapshot was made: its record and its networks become those of another one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "net/control.h"
#include "net/groups.h"
#include "os/fs.h"
#include "sandbox/network.h"
#include "sandbox/snapshot.h"

static int replace_text(char **to, const char *text, struct error *err)
{
	char *copy = text_copy(text, err);

	if (!copy)
		return -ERROR_NO_MEMORY;
	free(*to);
	*to = copy;
	return 0;
}

/* It is no part of a project: a plan would take it for the saved one. */
static void drop_project(struct record *r)
{
	size_t kept = 0;

	for (size_t i = 0; r->labels && r->labels[i]; i++)
		if (text_starts(r->labels[i], "dev.monocore."))
			free(r->labels[i]);
		else
			r->labels[kept++] = r->labels[i];
	if (r->labels)
		r->labels[kept] = NULL;
}

/* The saved one's record becomes the new one's. */
static int derive(struct record *r, const struct snapshot_wishes *w, const char *id, struct error *err)
{
	bool named = !strcmp(r->hostname, r->name);
	char machine_id[33];
	uint8_t random[16];
	int result;

	if (!sandbox_name_valid(w->name))
		return error_set(err, ERROR_INVALID,
			"'%s' is not a sandbox's name: letters, digits, '_', '.' and '-', at most 63",
			w->name);
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return error_errno(err, errno, "get random bytes");
	random[6] = (uint8_t)((random[6] & 0x0f) | 0x40); /* machine-id(5): a version 4 UUID */
	random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(machine_id + 2 * i, 3, "%02x", random[i]);
	result = replace_text(&r->id, id, err);
	if (result == 0)
		result = replace_text(&r->name, w->name, err);
	if (result == 0 && named)
		result = replace_text(&r->hostname, w->name, err);
	if (result == 0)
		result = replace_text(&r->machine_id, machine_id, err);
	if (result == 0)
		result = replace_text(&r->snapshot, w->tag ? w->tag : "", err);
	drop_project(r);
	r->created = clock_realtime();
	r->discard &= w->discard;
	return result;
}

static int rename_group(struct network_group *g, const char *suffix, struct error *err)
{
	char *name = text_format(err, "%s%s", g->name, suffix);

	if (!name)
		return -ERROR_NO_MEMORY;
	free(g->name);
	g->name = name;
	return net_group_check(name, err);
}

static int derive_network(struct network *n, const struct record *saved, const struct snapshot_wishes *w,
	const char *id, struct error *err)
{
	bool own = network_is_own(n, saved->id);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n->group_count; i++) {
		struct network_group *g = &n->groups[i];

		g->address = 0;
		g->subnet_fixed = false;
		if (own)
			r = replace_text(&g->name, id, err);
		else if (w->suffix)
			r = rename_group(g, w->suffix, err);
	}
	if (r == 0 && w->suffix && text_list_size(n->aliases) < NET_ALIASES_MAX)
		r = text_list_add(&n->aliases, saved->name, err);
	n->published_count = 0;
	for (size_t i = 0; w->free_ports && i < n->port_count; i++)
		n->ports[i].host = 0;
	return r;
}

static int make_network(const struct home *home, int fd, const struct record *saved,
	const struct snapshot_wishes *w, const struct directory *d, bool durable, struct error *err)
{
	_cleanup_network_ struct network network = {0};
	int r = network_read(fd, &network, err);

	if (r == 0)
		r = derive_network(&network, saved, w, d->id, err);
	if (r == 0)
		r = network_take(home, d->id, &network, durable, err);
	return r == 0 ? network_write(d->fd, &network, durable, err) : r;
}

static int mark_discard(const struct directory *d, struct error *err)
{
	int fd = fs_open(d->fd, "discard", O_WRONLY | O_CREAT, 0600, err);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int fill(const struct home *home, int fd, const struct snapshot_wishes *w, struct directory *d,
	struct error *err)
{
	_cleanup_record_ struct record record = {0}, saved = {0};
	bool durable = false;
	int r = record_read(fd, &record, err);

	if (r == 0)
		r = snapshot_check(fd, &record, err);
	if (r == 0)
		r = record_read(fd, &saved, err);
	if (r == 0)
		r = derive(&record, w, d->id, err);
	durable = r == 0 && !record.discard;
	if (r == 0)
		r = snapshot_give(fd, &record, false, d, err);
	if (r == 0 && record.discard)
		r = mark_discard(d, err);
	if (r == 0)
		r = record_write(d->fd, &record, durable, err);
	return r == 0 ? make_network(home, fd, &saved, w, d, durable, err) : r;
}

int snapshot_provision(const struct home *home, int fd, const struct snapshot_wishes *w, struct directory *d,
	struct error *err)
{
	char temporary[SANDBOX_ID_SIZE + sizeof ".new-"];
	int r = directory_create(home, d, err);

	if (r < 0)
		return r;
	r = fill(home, fd, w, d, err);
	if (r < 0) {
		snprintf(temporary, sizeof temporary, ".new-%s", d->id);
		fs_remove_tree(home->sandboxes, temporary, NULL);
	} else {
		r = directory_publish(home, d, w->name, false, err);
	}
	if (r < 0) {
		network_release(home, d->id);
		directory_close(d);
	}
	return r;
}
