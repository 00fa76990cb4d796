/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/project_change.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/grants.h"
#include "bin/monocore/live_table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"

const struct change_options change_defaults = {.grace = UINT64_MAX};

const struct option_spec change_up_rows[] = {
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct change_options, dry_run),
		"show what would be done, and do nothing"},
	GRANT_OPTION(struct change_options, grant),
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct change_options, json), "with --dry-run: print JSON"},
	{"wait", 0, OPTION_FLAG, NULL, offsetof(struct change_options, wait),
		"until all that have a healthcheck are healthy"},
	{"build", 0, OPTION_FLAG, NULL, offsetof(struct change_options, build),
		"build images of the project again first, as far as something in them has changed"},
	{"time", 't', OPTION_DURATION, "TIME", offsetof(struct change_options, grace),
		"how long what is stopped may take to end before it is killed; default: 10s"},
	{"parallel", 0, OPTION_NUMBER, "N", offsetof(struct change_options, parallel),
		"so many steps at once; default: as many as this host can do", .most = 64},
	{NULL},
};

CLEANUP_DEFINE(project, struct monocore_project, monocore_project_close);

/* ---- Ctrl-C ------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupts;

/* The first lets what is being done end; the second does not wait for that. */
static void on_interrupt(int signal)
{
	(void)signal;
	if (++interrupts > 1)
		_exit(STATUS_INTERRUPTED);
}

static void catch_interrupts(struct sigaction old[2])
{
	struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

	interrupts = 0;
	sigaction(SIGINT, &action, &old[0]);
	sigaction(SIGTERM, &action, &old[1]);
}

static void leave_interrupts(const struct sigaction old[2])
{
	sigaction(SIGINT, &old[0], NULL);
	sigaction(SIGTERM, &old[1], NULL);
}

/* ---- doing -------------------------------------------------------------------------------------------- */

struct doing {
	struct live_table *table;
	bool told; /* that it ends */
};

static void tell(void *context, const struct monocore_project_step *step)
{
	struct doing *d = context;

	live_table_tell(d->table, step);
}

static bool is_stopped(void *context)
{
	(void)context;
	return interrupts > 0;
}

static void tell_waiting(void *context)
{
	struct doing *d = context;

	live_table_say(d->table, "another command changes this project: waiting for it");
}

static void print_name(const char *component, const char *sandbox)
{
	(void)component;
	printf("%s\n", sandbox);
}

int project_change(struct cli *cli, const struct monocore_project *project,
	struct monocore_project_change_options *options)
{
	struct doing d = {.table = live_table_new(cli)};
	struct sigaction old[2];
	struct monocore_error err;
	size_t failed;
	int r, status = 0;

	if (!d.table) {
		complain("monocore: %s: out of memory", cli->path);
		return 1;
	}
	options->tell = tell;
	options->stopped = is_stopped;
	options->waits = tell_waiting;
	options->context = &d;
	catch_interrupts(old);
	r = monocore_project_change(cli->mc, project, options, &err);
	leave_interrupts(old);
	failed = live_table_end(d.table);
	if (r < 0 && (!failed || interrupts))
		status = cli_fail(cli, &err);
	else if (r < 0)
		status = monocore_exit_status(err.code);
	if (cli->global.quiet && r == 0 && !options->prepare)
		live_table_each(d.table, print_name);
	live_table_free(d.table);
	return r < 0 && interrupts ? STATUS_INTERRUPTED : status;
}

/* ---- showing ------------------------------------------------------------------------------------------ */

struct showing {
	struct table table;
	struct buffer json;
	size_t count;
};

static void show(void *context, const struct monocore_project_step *s)
{
	struct showing *w = context;

	if (s->silent)
		return;
	w->count++;
	table_row(&w->table);
	table_cell(&w->table, 0, s->verb, 0, COLOUR_NONE);
	table_cell(&w->table, 1, s->component, 0, COLOUR_NONE);
	table_cell(&w->table, 2, s->why ? s->why : "", 0, COLOUR_DIM);
	json_put_open(&w->json, '{');
	json_put_key(&w->json, "verb");
	json_put_string(&w->json, s->verb);
	json_put_key(&w->json, "component");
	json_put_string(&w->json, s->component);
	json_put_key(&w->json, "sandbox");
	json_put_string(&w->json, s->sandbox);
	json_put_key(&w->json, "why");
	json_put_string(&w->json, s->why);
	json_put_close(&w->json, '}');
}

static int show_plan(struct cli *cli, const struct monocore_project *project, bool json,
	struct monocore_project_change_options *options)
{
	static const char *const titles[] = {"STEP", "COMPONENT", "WHY"};
	struct showing w = {.table = {.columns = ARRAY_SIZE(titles)}};
	struct monocore_error err;
	int status;

	table_titles(&w.table, titles);
	json_put_open(&w.json, '[');
	options->tell = show;
	options->context = &w;
	status = monocore_project_plan(cli->mc, project, options, &err) < 0 ? cli_fail(cli, &err) : 0;
	json_put_close(&w.json, ']');
	if (status == 0 && json) {
		status = output_json(cli, &w.json);
	} else if (status == 0 && w.count) {
		status = output_table(cli, &w.table);
	} else if (status == 0) {
		complain("monocore: %s: there is nothing to do", cli->path);
	}
	table_free(&w.table);
	buffer_free(&w.json);
	return status;
}

int project_change_run(
	struct cli *cli, const struct change_options *o, enum monocore_project_wish wish, char **names)
{
	struct monocore_project_change_options options = MONOCORE_PROJECT_CHANGE_OPTIONS_INIT;
	_cleanup_(cleanup_project) struct monocore_project *project = NULL;
	int status = cli_open_project(cli, &project);

	options.wish = wish;
	options.names = names && *names ? (const char *const *)names : NULL;
	options.wait = o->wait;
	options.build = o->build;
	options.grace = o->grace;
	options.parallel = (unsigned)o->parallel;
	if (status == 0 && cli_open(cli) < 0)
		status = 1;
	if (status)
		return status;
	if (o->dry_run)
		return show_plan(cli, project, o->json, &options);
	if (wish != MONOCORE_PROJECT_DOWN && (status = cli_grants(cli, project, o->grant)) != 0)
		return status;
	return project_change(cli, project, &options);
}
