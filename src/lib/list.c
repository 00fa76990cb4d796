/* SPDX-License-Identifier: Apache-2.0 */
/* What there is, and what it has said. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/json.h"
#include "lib/handle.h"
#include "lib/network.h"
#include "os/fs.h"
#include "sandbox/command.h"
#include "sandbox/output.h"
#include "sandbox/restart.h"

static void info_free(struct monocore_sandbox_info *i)
{
	free(i->id);
	free(i->name);
	free(i->image);
	free(i->command);
	free(i->reason);
	free(i->health);
	free(i->origin);
	text_list_free(i->labels);
	text_list_free(i->groups);
	text_list_free(i->addresses);
	text_list_free(i->ports);
}

void monocore_list_free(struct monocore_sandbox_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		info_free(&list[i]);
	free(list);
}

static const char *reason_of(const struct status *s, bool interrupted)
{
	return interrupted ? "its supervisor was killed" : s->reason;
}

/* A sandbox that was made before there were networks has none. */
static int fill_network(struct directory *d, struct monocore_sandbox_info *i, struct error *err)
{
	_cleanup_network_ struct network n = {0};
	bool runs = i->state == MONOCORE_RUNNING || i->state == MONOCORE_PAUSED;
	char address[ADDRESS_TEXT_MAX];
	int r = network_read(d->fd, &n, err);

	if (r == -ERROR_NOT_FOUND)
		return 0;
	for (uint32_t g = 0; r == 0 && g < n.group_count; g++) {
		r = text_list_add(&i->groups, n.groups[g].name, err);
		if (r == 0)
			r = text_list_add(
				&i->addresses, address_format_ipv4(n.groups[g].address, address), err);
	}
	return r == 0 ? network_ports(&n, runs, &i->ports, err) : r;
}

static bool recovers(const struct record *r, bool interrupted)
{
	struct restart restart;

	return restart_parse(r->restart, &restart, NULL) == 0 && restart_recovers(&restart, interrupted);
}

static int fill_info(struct directory *d, struct monocore_sandbox_info *i, struct error *err)
{
	_cleanup_record_ struct record record = {0};
	_cleanup_status_ struct status status = {0};
	int r = record_read(d->fd, &record, err);

	if (r == 0)
		r = status_read(d->fd, &status, err);
	if (r < 0)
		return r;
	i->state = sandbox_state(d, &status, &i->interrupted);
	i->created = record.created;
	i->started = status.started;
	i->finished = i->state == MONOCORE_STOPPED || i->state == MONOCORE_RESTARTING ? status.finished : 0;
	i->exit_status = i->interrupted ? 128 + SIGKILL : (int)status.exit_status;
	i->id = TAKE_PTR(record.id);
	i->name = TAKE_PTR(record.name);
	i->image = TAKE_PTR(record.image);
	i->labels = TAKE_PTR(record.labels);
	i->restarts = status.restarts;
	i->recovers = i->state == MONOCORE_STOPPED && recovers(&record, i->interrupted);
	i->command = command_line(record.argv, err);
	i->reason = text_copy(reason_of(&status, i->interrupted), err);
	i->health = text_copy(i->state == MONOCORE_STOPPED ? "" : status.health, err);
	i->origin = TAKE_PTR(status.origin);
	return i->command && i->reason && i->health ? fill_network(d, i, err) : -ERROR_NO_MEMORY;
}

static int oldest_first(const void *a, const void *b)
{
	const struct monocore_sandbox_info *x = a, *y = b;

	return x->created < y->created ? -1 : x->created > y->created;
}

static int list_all(
	struct monocore *mc, struct monocore_sandbox_info **list, size_t *count, struct error *err)
{
	_cleanup_text_list_ char **ids = NULL;
	struct monocore_sandbox_info *all;
	size_t n = 0;
	int r = directory_list(&mc->home, &ids, err);

	if (r < 0)
		return r;
	all = calloc(text_list_size(ids) + 1, sizeof *all);
	if (!all)
		return error_no_memory(err, "list sandboxes");
	for (size_t i = 0; ids && ids[i]; i++) {
		_cleanup_directory_ struct directory d = DIRECTORY_NONE;

		d.fd = openat(mc->home.sandboxes, ids[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (d.fd < 0)
			continue; /* removed meanwhile */
		r = fill_info(&d, &all[n], err);
		if (r == 0)
			n++;
		else {
			info_free(&all[n]);
			all[n] = (struct monocore_sandbox_info){0};
			if (r == -ERROR_NO_MEMORY) {
				monocore_list_free(all, n);
				return r;
			}
		}
	}
	qsort(all, n, sizeof *all, oldest_first);
	*list = all;
	*count = n;
	return 0;
}

int monocore_list(
	struct monocore *mc, struct monocore_sandbox_info **list, size_t *count, struct monocore_error *error)
{
	struct error err;

	return list_all(mc, list, count, &err) < 0 ? give_error(error, &err) : 0;
}

static int inspect(struct monocore *mc, const char *name, char **json, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_status_ struct status status = {0};
	_cleanup_json_ json_t *network = NULL;
	bool interrupted;
	int r = find_sandbox(mc, name, &d, &record, err);

	if (r == 0)
		r = status_read(d.fd, &status, err);
	if (r < 0)
		return r;
	sandbox_state(&d, &status, &interrupted);
	if (interrupted) {
		free(status.state);
		free(status.reason);
		free(TAKE_PTR(status.health));
		status.state = text_copy("stopped", err);
		status.reason = text_copy(reason_of(&status, true), err);
		status.exit_status = 128 + SIGKILL;
		status.pid = 0;
		if (!status.state || !status.reason)
			return -ERROR_NO_MEMORY;
	}
	r = network_report(mc, &d, &network, err);
	if (r < 0)
		return r;
	*json = record_describe(&record, &status, network, err);
	return *json ? 0 : -ERROR_NO_MEMORY;
}

int monocore_inspect(struct monocore *mc, const char *name, char **json, struct monocore_error *error)
{
	struct error err;

	return inspect(mc, name, json, &err) < 0 ? give_error(error, &err) : 0;
}

struct log_reader {
	int (*line)(void *context, const struct monocore_log_line *line);
	void *context;
};

static int give_line(void *context, const struct output_line *line)
{
	const struct log_reader *r = context;
	const struct monocore_log_line out = {
		.time = line->time, .stream = line->stream, .data = line->data, .size = line->size};

	return r->line(r->context, &out);
}

int monocore_log(struct monocore *mc, const char *name, const struct monocore_log_options *o,
	int (*line)(void *context, const struct monocore_log_line *line), void *context,
	struct monocore_error *error)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	struct log_reader reader = {line, context};
	struct output_query query = {.last = o->last,
		.since = o->since,
		.until = o->until,
		.streams = o->streams,
		.grep = o->grep,
		.follow = o->follow};
	struct error err = {0};
	int r = find_sandbox(mc, name, &d, &record, &err);

	if (r == 0)
		r = output_read(d.fd, &query, give_line, &reader, &err);
	return err.code ? give_error(error, &err) : r;
}
