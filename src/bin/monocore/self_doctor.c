/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "bin/cli/json.h"
#include "bin/cli/progress.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/self.h"
#include "os/terminal.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

struct report {
	struct cli *cli;
	bool json, colours;
	int worst;
	struct buffer buffer;
};

static const struct {
	const char *name;
	enum colour colour;
} states[] = {{"good", COLOUR_GREEN}, {"note", COLOUR_YELLOW}, {"mend", COLOUR_RED}};

static void add_json(struct report *r, const struct monocore_finding *f, int state)
{
	json_put_open(&r->buffer, '{');
	json_put_key(&r->buffer, "topic");
	json_put_string(&r->buffer, f->topic);
	json_put_key(&r->buffer, "state");
	json_put_string(&r->buffer, states[state].name);
	json_put_key(&r->buffer, "text");
	json_put_string(&r->buffer, f->text);
	json_put_close(&r->buffer, '}');
}

static void tell(void *context, const struct monocore_finding *f)
{
	struct report *r = context;
	int state = f->state < 0 || f->state > 2 ? 2 : f->state;

	if (state > r->worst)
		r->worst = state;
	progress_clear(r->cli->progress);
	if (r->json)
		add_json(r, f, state);
	else
		printf("%s%s%s  %-16s %s\n", r->colours ? table_colour(states[state].colour) : "",
			states[state].name, r->colours ? table_colour(COLOUR_NONE) : "", f->topic, f->text);
}

/* A state directory that cannot be opened is what the caller wants to hear about, and no reason to be
 * silent. */
static int examine(struct cli *cli, struct report *r, struct monocore_error *err)
{
	struct monocore_finding finding = {.topic = "state", .state = 2, .text = err->text};

	if (monocore_open(NULL, &cli->mc, err) < 0) {
		cli->mc = NULL;
		tell(r, &finding);
		return 0;
	}
	return monocore_doctor(cli->mc, tell, r, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct report report = {.cli = cli, .json = o->json, .colours = terminal_has_colours(STDOUT_FILENO)};
	struct monocore_error err;
	int status = 0;

	(void)count;
	(void)words;
	if (o->json)
		json_put_open(&report.buffer, '[');
	if (examine(cli, &report, &err) < 0)
		status = cli_fail(cli, &err);
	if (o->json) {
		json_put_close(&report.buffer, ']');
		fwrite(report.buffer.data, 1, report.buffer.size, stdout);
		putchar('\n');
	}
	buffer_free(&report.buffer);
	return output_finish() || status || report.worst == 2;
}

const struct command self_doctor_command = {
	.name = "doctor",
	.summary = "tell what this host can do, and what to mend",
	.help = "Each finding is good, a note, or something to mend; with any of the last kind the exit "
		"status is "
		"1.",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_HOST,
};
