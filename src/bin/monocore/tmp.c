/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "bin/cli/progress.h"
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"
#include "bin/monocore/streams.h"
#include "bin/monocore/tmp_options.h"
#include "bin/monocore/verbs.h"

static int start_detached(struct cli *cli, const char *name)
{
	struct monocore_attach_options attach = MONOCORE_ATTACH_OPTIONS_INIT;
	struct monocore_error err;

	if (monocore_start(cli->mc, name, &attach, NULL, &err) < 0) {
		struct monocore_error ignored;

		monocore_remove(cli->mc, name, true, &ignored); /* nobody was told its name */
		return cli_fail_start(cli, &err);
	}
	progress_clear(cli->progress);
	printf("%s\n", name);
	return output_finish();
}

/* Of "SOURCE:PATH:OPTION,OPTION" one is "stage". */
static bool is_staged(const char *volume)
{
	const char *colon = strchr(volume, ':'), *at = colon ? strchr(colon + 1, ':') : NULL;

	while (at) {
		size_t n = strcspn(++at, ",");

		if (n == 5 && !memcmp(at, "stage", n))
			return true;
		at = at[n] ? at + n : NULL;
	}
	return false;
}

/* The sandbox goes when it has ended, unless something is staged in it. */
static void tell_staged(struct cli *cli, const char *name, const struct monocore_sandbox_options *o)
{
	struct monocore_error ignored;
	bool staged = false;
	char *json;
	int status;

	for (const char *const *v = o->volumes; v && *v; v++)
		staged |= is_staged(*v);
	if (!staged)
		return;
	monocore_wait(cli->mc, name, &status, &ignored);
	if (monocore_inspect(cli->mc, name, &json, &ignored) < 0)
		return;
	monocore_free(json);
	complain("monocore: what it has written to staged volumes is kept: see it with 'monocore volume diff "
		 "%s', "
		 "then 'monocore volume apply %s' or 'monocore volume discard %s'",
		name, name, name);
}

static int start_attached(struct cli *cli, const char *name, const struct streams *streams)
{
	struct monocore_attach_options attach = MONOCORE_ATTACH_OPTIONS_INIT;
	struct monocore_process *process;
	struct monocore_error err;
	int status;

	attach.owner = true;
	attach.rows = streams->rows;
	attach.columns = streams->columns;
	if (monocore_start(cli->mc, name, &attach, &process, &err) < 0) {
		struct monocore_error ignored;

		monocore_remove(cli->mc, name, true, &ignored);
		return cli_fail_start(cli, &err);
	}
	progress_clear(cli->progress);
	if (streams_relay(streams, process, &status, &err) < 0)
		status = cli_fail_start(cli, &err);
	monocore_process_free(process);
	return status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct tmp_options *o = given;
	struct streams_wish wish = {o->detach, o->interactive, o->tty, o->no_tty};
	struct streams streams = streams_choose(&wish);
	_cleanup_(tmp_sandbox_release) struct tmp_sandbox sandbox = {0};
	struct monocore_error failure;
	struct error err;
	char *name;
	int status, r;

	r = tmp_sandbox_fill(&sandbox, o, count, words, &err);
	if (r < 0) {
		status = cli_complain(cli, &err);
		return r == -ERROR_USAGE || r == -ERROR_UNAVAILABLE ? status : STATUS_NOT_STARTED;
	}
	sandbox.options.tty = streams.tty;
	sandbox.options.stdin_open = !o->detach && streams.in >= 0;
	if (cli_open(cli) < 0)
		return STATUS_NOT_STARTED;
	if (monocore_create(cli->mc, &sandbox.options, &name, &failure) < 0)
		return cli_fail_start(cli, &failure);
	if (o->allow || o->deny)
		net_remark(cli, name);
	status = o->detach ? start_detached(cli, name) : start_attached(cli, name, &streams);
	if (!o->detach)
		tell_staged(cli, name, &sandbox.options);
	monocore_free(name);
	return status;
}

static const struct tmp_options defaults = {.pids = 4096};

const struct command tmp_command = {
	.name = "tmp",
	.arguments = "IMAGE[~SCRIPT] [[--] COMMAND [ARGUMENT]...]",
	.summary = "run a command in a throw-away sandbox",
	.help = "Makes a sandbox from IMAGE, runs its command (or COMMAND) in it, streams the output, "
		"forwards "
		"signals, and removes the sandbox when the command has ended. Options stand before IMAGE; "
		"what "
		"follows it belongs to the command.\n\n"
		"IMAGE is a name as docker has it, such as alpine or quay.io/acme/x:1, and pulled where it "
		"is "
		"not here; or oci:DIR or oci:FILE (an OCI layout, as a directory or a tar), "
		"docker-archive:FILE, "
		"rootfs:DIR, or a path to one of these. ~SCRIPT runs a script that the image brings in its "
		"label "
		"dev.monocore.scripts; ~start is its Entrypoint and Cmd.\n\n"
		"With --detach the sandbox runs in the background, its name is printed, and it stays when "
		"the "
		"command has ended, until 'monocore rm' (with --rm: it does not stay).\n\n"
		"--volume SOURCE:PATH shows a directory or file of this host at PATH in the sandbox. SOURCE "
		"is a "
		"path where it "
		"begins with /, ./, ../ or ~; else it is the name of a volume, made at its first use "
		"('monocore "
		"volume ls') and filled with what the image has at PATH, but with :nocopy. Files that the "
		"sandbox makes belong to you here; owners, modes and devices "
		"that it "
		"sets are kept beside them and shown to sandboxes. :ro makes it read-only; with :stage what "
		"is "
		"written stays in the sandbox until 'monocore volume apply'; :squash keeps no "
		"owners, "
		"for file systems that cannot; several have commas between, :stage,squash. A project's "
		"monocore.yaml, and what that reads, is read-only "
		"in "
		"any volume; with :stage it can be changed, and applied with --configuration.\n\n"
		"A sandbox reaches what the internet is made of, and nothing else: not this host, not its "
		"network. --reach, --allow and --deny say otherwise, also while it runs ('monocore net "
		"policy'); 'monocore net why' tells what was denied. Sandboxes of a --group reach each other "
		"by "
		"name. --port leads a port of this host to it, of 127.0.0.1 where no other address is "
		"given.\n\n"
		"Where standard input and output are terminals, the command gets a terminal.\n\n"
		"The exit status is the command's; 125 where the sandbox could not be started or broke down, "
		"126 where the "
		"command cannot be executed, 127 where there is none of this name, 128+N where signal N "
		"ended "
		"it.",
	.examples = "monocore tmp oci:./image -- python3 -c 'print(\"hello\")'\n"
		    "monocore tmp --ram 1G --cpus 2 -e DEBUG=1 oci:./image make test\n"
		    "monocore tmp -d --name web --label project=shop docker-archive:web.tar\n"
		    "echo 'uname -a; id' | monocore tmp oci:./image sh",
	.options = tmp_option_rows,
	.size = sizeof(struct tmp_options),
	.defaults = &defaults,
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_FILES,
	.stop_early = true,
};
