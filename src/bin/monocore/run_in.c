/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/run_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/monocore/environment.h"
#include "bin/monocore/grants.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/project_change.h"

struct runner {
	struct cli *cli;
	const struct run_in *wish;
	struct monocore_project *project; /* NULL: the sandbox is of none */
	char *sandbox;
	enum monocore_state state;
	bool there;     /* the sandbox was made already */
	bool component; /* it is a component's */
	char **command; /* NULL: what the sandbox runs by itself */
	char **env;
};

static void release(struct runner *r)
{
	monocore_project_close(r->project);
	monocore_free(r->sandbox);
	monocore_free_strings(r->command);
	text_list_free(r->env);
}

/* ---- which sandbox ------------------------------------------------------------------------------------ */

static int look(struct runner *r)
{
	struct monocore_sandbox_info *list;
	struct monocore_error err;
	size_t count;

	r->there = false;
	if (monocore_list(r->cli->mc, &list, &count, &err) < 0)
		return cli_fail(r->cli, &err);
	for (size_t i = 0; i < count && !r->there; i++) {
		r->there = !strcmp(list[i].name, r->sandbox);
		r->state = list[i].state;
	}
	monocore_list_free(list, count);
	return 0;
}

/* A component of the project; else a sandbox that has this very name. */
static int find(struct runner *r)
{
	struct monocore_error err = {0};
	struct error failure;
	int status = cli_find_project(r->cli, &r->project);

	if (status)
		return status;
	if (r->project &&
		monocore_project_sandbox(r->cli->mc, r->project, r->wish->name, &r->sandbox, &err) == 0)
		return look(r);
	if (r->project && err.code != MONOCORE_NOT_FOUND)
		return cli_fail(r->cli, &err);
	r->sandbox = text_copy(r->wish->name, &failure);
	status = r->sandbox ? look(r) : cli_complain(r->cli, &failure);
	if (status == 0 && !r->there && r->project)
		return cli_fail(r->cli, &err);
	monocore_project_close(TAKE_PTR(r->project));
	return status;
}

static bool lives(const struct runner *r)
{
	return r->there &&
	       (r->state == MONOCORE_STARTING || r->state == MONOCORE_RUNNING || r->state == MONOCORE_PAUSED);
}

/* ---- what it needs ------------------------------------------------------------------------------------ */

/* The component is made as the file has it now, and what it depends on runs. */
static int prepare(struct runner *r)
{
	const char *const names[] = {r->wish->name, NULL};
	struct monocore_project_change_options change = MONOCORE_PROJECT_CHANGE_OPTIONS_INIT;
	struct monocore_error err;
	int status = cli_grants(r->cli, r->project, r->wish->grant);

	if (status)
		return status;
	change.wish = MONOCORE_PROJECT_UP;
	change.names = names;
	change.prepare = true;
	status = project_change(r->cli, r->project, &change);
	if (status)
		return status == STATUS_INTERRUPTED ? status : STATUS_NOT_STARTED;
	/* A project gets its name with the first that is made of it. */
	monocore_free(TAKE_PTR(r->sandbox));
	if (monocore_project_sandbox(r->cli->mc, r->project, r->wish->name, &r->sandbox, &err) < 0)
		return cli_fail(r->cli, &err);
	return 0;
}

/* ---- what is run -------------------------------------------------------------------------------------- */

static int find_shell(struct runner *r)
{
	const char *shell = r->project ? monocore_project_shell(r->project, r->wish->name) : "/bin/sh";
	struct error err;
	int e = text_list_add(&r->command, shell, &err);

	for (char *const *a = r->wish->arguments; e == 0 && a && *a; a++)
		e = text_list_add(&r->command, *a, &err);
	return e < 0 ? cli_complain(r->cli, &err) : 0;
}

static int find_command(struct runner *r)
{
	struct monocore_script_options script = MONOCORE_SCRIPT_OPTIONS_INIT;
	struct monocore_error err;

	if (r->wish->shell)
		return find_shell(r);
	script.project = r->project;
	script.component = r->wish->name;
	script.script = r->wish->script;
	script.line = r->wish->line;
	script.arguments = (const char *const *)r->wish->arguments;
	if (monocore_script(r->cli->mc, r->sandbox, &script, &r->command, &err) < 0)
		return cli_fail(r->cli, &err);
	return 0;
}

static struct monocore_exec_options describe(const struct runner *r, const struct streams *streams)
{
	struct monocore_exec_options exec = MONOCORE_EXEC_OPTIONS_INIT;

	exec.command = (const char *const *)r->command;
	exec.env = (const char *const *)r->env;
	exec.user = r->wish->user;
	exec.workdir = r->wish->workdir;
	exec.detach = r->wish->streams.detach;
	exec.tty = streams->tty;
	exec.stdin_open = !exec.detach && streams->in >= 0;
	exec.rows = streams->rows;
	exec.columns = streams->columns;
	return exec;
}

static int relay(struct runner *r, const struct streams *streams, struct monocore_process *process)
{
	struct monocore_error err;
	int status;

	progress_clear(r->cli->progress);
	if (streams_relay(streams, process, &status, &err) < 0)
		status = cli_fail_start(r->cli, &err);
	monocore_process_free(process);
	return status;
}

static int tell_name(struct runner *r)
{
	progress_clear(r->cli->progress);
	printf("%s\n", r->sandbox);
	return output_finish();
}

/* In one that runs: one process more, or, where it is to do what it does already, its own. */
static int join(struct runner *r, const struct streams *streams)
{
	struct monocore_exec_options exec = describe(r, streams);
	struct monocore_process *process = NULL;
	struct monocore_error err;
	int e;

	if (!r->command && exec.detach)
		return tell_name(r);
	e = r->command ? monocore_exec(r->cli->mc, r->sandbox, &exec, &process, &err)
		       : monocore_attach(r->cli->mc, r->sandbox, NULL, &process, &err);
	if (e < 0)
		return cli_fail_start(r->cli, &err);
	if (!exec.detach)
		return relay(r, streams, process);
	monocore_process_free(process);
	return tell_name(r);
}

/* In the background it is the sandbox's own start, where nothing else was asked for. */
static int start(struct runner *r, const struct streams *streams)
{
	struct monocore_attach_options attach = MONOCORE_ATTACH_OPTIONS_INIT;
	struct monocore_exec_options exec = describe(r, streams);
	struct monocore_process *process = NULL;
	struct monocore_error err;
	bool plain = exec.detach && !r->command && !r->env && !exec.user && !exec.workdir;

	attach.owner = !exec.detach;
	attach.rows = streams->rows;
	attach.columns = streams->columns;
	attach.instead = plain ? NULL : &exec;
	if (monocore_start(r->cli->mc, r->sandbox, &attach, exec.detach ? NULL : &process, &err) < 0)
		return cli_fail_start(r->cli, &err);
	return exec.detach ? tell_name(r) : relay(r, streams, process);
}

static int run(struct runner *r)
{
	struct streams_wish wish = r->wish->streams;
	struct streams streams;
	struct error err;
	int status;

	if (environment_collect(&r->env, r->wish->env_files, r->wish->env, &err) < 0)
		return cli_complain(r->cli, &err);
	if (cli_open(r->cli) < 0)
		return 1;
	status = find(r);
	if (status == 0 && r->project && !lives(r))
		status = prepare(r);
	if (status == 0)
		status = find_command(r);
	if (status)
		return status;
	/* What runs already has its terminal, or none. */
	wish.no_tty |= lives(r) && !r->command;
	streams = streams_choose(&wish);
	return lives(r) ? join(r, &streams) : start(r, &streams);
}

int run_in_sandbox(struct cli *cli, const struct run_in *wish)
{
	_cleanup_(release) struct runner r = {.cli = cli, .wish = wish};

	return run(&r);
}
