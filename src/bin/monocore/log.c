/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "codec/when.h"

struct options {
	bool follow, timestamps, json;
	const char *tail, *since, *until, *stream, *grep;
};

static const char *const streams[] = {"out", "err", "system", "all", NULL};

static const struct option_spec options[] = {
	{"follow", 'f', OPTION_FLAG, NULL, offsetof(struct options, follow),
		"go on with what is written from now on, until the sandbox stops"},
	{"tail", 'n', OPTION_STRING, "N", offsetof(struct options, tail),
		"only the last N lines; default: all"},
	{"since", 0, OPTION_STRING, "TIME", offsetof(struct options, since),
		"only lines since then: 10m (that long ago) or 2026-01-31T23:59:59Z"},
	{"until", 0, OPTION_STRING, "TIME", offsetof(struct options, until), "only lines before then"},
	{"stream", 0, OPTION_CHOICE, "STREAM", offsetof(struct options, stream), "only this stream",
		.choices = streams},
	{"grep", 0, OPTION_STRING, "RE", offsetof(struct options, grep),
		"only lines that match this extended regular expression"},
	{"timestamps", 't', OPTION_FLAG, NULL, offsetof(struct options, timestamps),
		"put the time before each line"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print a JSON object for each line"},
	{NULL},
};

struct printer {
	const struct options *options;
	bool failed;
};

static const char *stream_name(unsigned stream)
{
	return stream == MONOCORE_OUT ? "out" : stream == MONOCORE_ERR ? "err" : "system";
}

static bool print_json(const struct monocore_log_line *line)
{
	_cleanup_buffer_ struct buffer b = {0};
	const char *data = line->data;
	size_t size = line->size;

	json_put_open(&b, '{');
	json_put_key(&b, "time");
	json_put_time(&b, line->time);
	json_put_key(&b, "stream");
	json_put_string(&b, stream_name(line->stream));
	json_put_key(&b, "text");
	json_put_text(&b, data, size && data[size - 1] == '\n' ? size - 1 : size);
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	return !b.failed && fwrite(b.data, 1, b.size, stdout) == b.size;
}

/* As docker has it, what the command wrote to standard error goes there; but a stream that was asked for is
 * a result, and results go to standard output. */
static bool print_plain(const struct options *o, const struct monocore_log_line *line)
{
	FILE *out = line->stream == MONOCORE_ERR && !o->stream ? stderr : stdout;
	char time[31];

	if (out == stderr)
		fflush(stdout);
	if (o->timestamps)
		fprintf(out, "%s ", clock_rfc3339(line->time, time));
	return fwrite(line->data, 1, line->size, out) == line->size;
}

static int print_line(void *context, const struct monocore_log_line *line)
{
	struct printer *p = context;
	bool good = p->options->json ? print_json(line) : print_plain(p->options, line);

	if (good && p->options->follow)
		good = fflush(stdout) == 0;
	p->failed = !good;
	return !good;
}

static int fill(struct monocore_log_options *log, const struct options *o, struct error *err)
{
	uint64_t now = clock_realtime();

	log->follow = o->follow;
	log->grep = o->grep;
	if (!o->stream)
		log->streams = (1u << MONOCORE_OUT) | (1u << MONOCORE_ERR);
	else if (!strcmp(o->stream, "all"))
		log->streams = 0;
	else
		log->streams = !strcmp(o->stream, "out")   ? 1u << MONOCORE_OUT
			       : !strcmp(o->stream, "err") ? 1u << MONOCORE_ERR
							   : 1;
	if (o->since && when_parse(o->since, "--since", now, &log->since, err) < 0)
		return -ERROR_USAGE;
	if (o->until && when_parse(o->until, "--until", now, &log->until, err) < 0)
		return -ERROR_USAGE;
	if (!o->tail || !strcmp(o->tail, "all"))
		return 0;
	if (text_parse_u64(o->tail, UINT32_MAX, "-n/--tail", &log->last, err) < 0)
		return -ERROR_USAGE;
	if (!log->last && log->since < now)
		log->since = now; /* none of what is there; the library's 0 would be all of it */
	return 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_log_options log = MONOCORE_LOG_OPTIONS_INIT;
	struct printer printer = {.options = o};
	struct monocore_error failure;
	struct error err;

	(void)count;
	if (fill(&log, o, &err) < 0) {
		err.code = ERROR_USAGE;
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_log(cli->mc, words[0], &log, print_line, &printer, &failure) < 0) {
		output_finish();
		return cli_fail(cli, &failure);
	}
	return output_finish() || printer.failed;
}

const struct command log_command = {
	.name = "log",
	.arguments = "NAME",
	.summary = "show what a sandbox's command has written",
	.help = "Works for stopped sandboxes too. What the command wrote to standard error goes to standard "
		"error, and all else to standard output; with --stream all of it goes to standard output. "
		"The "
		"system's own lines (why the sandbox stopped, say) are shown with --stream system or all.",
	.examples = "monocore log -f web\nmonocore log --since 1h --grep 'error|warning' web",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOXES,
};
