/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/progress.h"
#include "bin/monocore/grants.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/verbs.h"
#include "monocore_build.h"

struct options {
	const char *file, *target, *platform, *progress, *reach;
	char **tags, **arguments, **labels;
	uint64_t memory, disk, cpus, parallel;
	bool no_cache, pull, snapshot, json, grant;
};

#define FIELD(name) offsetof(struct options, name)

static const char *const progresses[] = {"auto", "plain", "quiet", NULL};
static const char *const reaches[] = {"none", "local", "public", "any", NULL};

static const struct option_spec rows[] = {
	{"file", 'f', OPTION_STRING, "DOCKERFILE", FIELD(file),
		"build from a Dockerfile; the word is its context"},
	{"tag", 't', OPTION_LIST, "NAME", FIELD(tags), "call the image NAME; may be given often"},
	{"build-arg", 0, OPTION_LIST, "NAME[=VALUE]", FIELD(arguments),
		"set an ARG of the Dockerfile; without VALUE to that of the environment"},
	{"label", 0, OPTION_LIST, "KEY=VALUE", FIELD(labels), "set a label of the image"},
	{"target", 0, OPTION_STRING, "STAGE", FIELD(target), "stop at this stage of the Dockerfile"},
	{"platform", 0, OPTION_STRING, "OS/ARCH", FIELD(platform),
		"which platform of base images; default: this host's"},
	GRANT_OPTION(struct options, grant),
	{"no-cache", 0, OPTION_FLAG, NULL, FIELD(no_cache), "do all steps, also those that were done before"},
	{"pull", 0, OPTION_FLAG, NULL, FIELD(pull), "look for newer base images at their registries"},
	{"snapshot", 0, OPTION_FLAG, NULL, FIELD(snapshot),
		"save its running state after its set-up, too: new sandboxes of it start from there"},
	{"progress", 0, OPTION_CHOICE, "HOW", FIELD(progress), "what to show: auto, plain or quiet",
		progresses},
	{"parallel", 0, OPTION_NUMBER, "N", FIELD(parallel), "build N stages at once; default: 2", NULL, 64},
	{"cpus", 0, OPTION_NUMBER, "N", FIELD(cpus), "virtual cpus of a RUN; default: 1", NULL, 64},
	{"ram", 0, OPTION_SIZE, "SIZE", FIELD(memory), "memory of a RUN; default: 512M"},
	{"disk", 0, OPTION_SIZE, "SIZE", FIELD(disk), "what a RUN may write; default: 10G"},
	{"reach", 0, OPTION_CHOICE, "HOW", FIELD(reach),
		"what a RUN reaches: none, local, public or any; default: public", reaches},
	{"json", 0, OPTION_FLAG, NULL, FIELD(json), "print what happens as JSON, an object a line"},
	{NULL},
};

/* ---- what happens ------------------------------------------------------------------------------------ */

struct view {
	struct cli *cli;
	bool quiet, json;
	bool within_line; /* what a RUN wrote last had no newline */
};

static void print_json(const struct monocore_build_event *e)
{
	static const char *const names[] = {"started", "cached", "output", "done", "failed"};
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "event");
	json_put_string(&b, names[e->state]);
	json_put_key(&b, "stage");
	json_put_string(&b, e->stage);
	json_put_key(&b, "step");
	json_put_number(&b, e->step);
	json_put_key(&b, "steps");
	json_put_number(&b, e->steps);
	json_put_key(&b, "text");
	json_put_string(&b, e->text);
	if (e->state == MONOCORE_BUILD_OUTPUT) {
		_cleanup_free_ char *data = text_copy_bytes(e->data, e->size, NULL);

		json_put_key(&b, "output");
		json_put_string(&b, data ? data : "");
	}
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	fwrite(b.data, 1, b.size, stdout);
	fflush(stdout);
}

/* The first line of a step. */
static int line_size(const char *text)
{
	size_t n = strcspn(text, "\n");

	return (int)(n < 300 ? n : 300);
}

static void print_step(struct view *v, const struct monocore_build_event *e, const char *behind)
{
	if (v->within_line)
		fputc('\n', stderr);
	v->within_line = false;
	complain("[%s %u/%u] %.*s%s", e->stage, e->step, e->steps, line_size(e->text), e->text, behind);
}

static void tell(void *context, const struct monocore_build_event *e)
{
	struct view *v = context;
	char behind[64];

	if (v->json) {
		print_json(e);
		return;
	}
	if (v->quiet)
		return;
	progress_clear(v->cli->progress);
	switch (e->state) {
	case MONOCORE_BUILD_CACHED:
		print_step(v, e, "  CACHED");
		return;
	case MONOCORE_BUILD_STARTED:
		return;
	case MONOCORE_BUILD_OUTPUT:
		fwrite(e->data, 1, e->size, stderr);
		v->within_line = e->size && ((const char *)e->data)[e->size - 1] != '\n';
		return;
	default:
		snprintf(behind, sizeof behind, "  %s %.1fs",
			e->state == MONOCORE_BUILD_DONE ? "done" : "FAILED", (double)e->elapsed / 1e9);
		print_step(v, e, behind);
	}
}

/* ---- the command ------------------------------------------------------------------------------------- */

/* "NAME" gets the value that it has in the environment, or is left out. */
static int add_arguments(char ***list, char *const *given)
{
	int r = 0;

	for (; r == 0 && given && *given; given++) {
		const char *value = strchr(*given, '=') ? "" : getenv(*given);
		_cleanup_free_ char *pair = NULL;

		if (!value)
			continue;
		pair = strchr(*given, '=') ? text_copy(*given, NULL)
					   : text_format(NULL, "%s=%s", *given, value);
		r = pair ? text_list_add(list, pair, NULL) : -ERROR_NO_MEMORY;
	}
	return r;
}

static int finish(struct view *v, const char *name, const char *digest)
{
	if (v->json) {
		_cleanup_buffer_ struct buffer b = {0};

		json_put_open(&b, '{');
		json_put_key(&b, "event");
		json_put_string(&b, "built");
		json_put_key(&b, "name");
		json_put_string(&b, name ? name : "");
		json_put_key(&b, "digest");
		json_put_string(&b, digest);
		json_put_close(&b, '}');
		buffer_u8(&b, '\n');
		fwrite(b.data, 1, b.size, stdout);
		return 0;
	}
	progress_clear(v->cli->progress);
	puts(digest);
	return 0;
}

static int build_file(
	struct view *v, const struct options *o, struct monocore_build_options *b, const char *context)
{
	_cleanup_text_list_ char **arguments = NULL;
	struct monocore_error err;
	char *digest = NULL;

	if (add_arguments(&arguments, o->arguments) < 0)
		return 1;
	b->context = context;
	b->dockerfile = o->file;
	b->names = (const char *const *)o->tags;
	b->arguments = (const char *const *)arguments;
	b->labels = (const char *const *)o->labels;
	b->target = o->target;
	if (monocore_build(v->cli->mc, b, &digest, &err) < 0)
		return cli_fail(v->cli, &err);
	finish(v, o->tags ? o->tags[0] : NULL, digest);
	monocore_free(digest);
	return output_finish();
}

static int build_project(
	struct view *v, const struct monocore_build_options *b, bool grant, int count, char **words)
{
	const char *const *names = count ? (const char *const *)words : NULL;
	struct monocore_project *project = NULL;
	char **digests = NULL;
	struct monocore_error err;
	int status = cli_open_project(v->cli, &project);

	if (status == 0)
		status = cli_grants(v->cli, project, grant);
	if (status) {
		monocore_project_close(project);
		return status;
	}
	if (monocore_project_build(v->cli->mc, project, names, b, &digests, &err) < 0)
		status = cli_fail(v->cli, &err);
	for (size_t i = 0; status == 0 && digests && digests[i]; i++)
		finish(v, count ? words[i] : NULL, digests[i]);
	monocore_free_strings(digests);
	monocore_project_close(project);
	return output_finish() ? 1 : status;
}

/* A directory with a Dockerfile is docker's way of saying what is to be built. */
static bool is_context(const char *word)
{
	return !strcmp(word, ".") || strchr(word, '/');
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct view v = {.cli = cli, .json = o->json};
	struct monocore_build_options b = MONOCORE_BUILD_OPTIONS_INIT;
	bool from_file = o->file || o->tags || o->target || (count == 1 && is_context(words[0]));

	v.quiet = cli->global.quiet || (o->progress && !strcmp(o->progress, "quiet"));
	b.platform = o->platform;
	b.no_cache = o->no_cache;
	b.pull = o->pull;
	b.snapshot = o->snapshot;
	b.cpus = (unsigned)o->cpus;
	b.parallel = (unsigned)o->parallel;
	b.memory = o->memory;
	b.disk = o->disk;
	b.reach = o->reach;
	b.tell = tell;
	b.tell_context = &v;
	if (from_file && count > 1) {
		struct error err;

		error_set(&err, ERROR_USAGE, "from a Dockerfile one context is built, not '%s' and '%s'",
			words[0], words[1]);
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		return 1;
	return from_file ? build_file(&v, o, &b, count ? words[0] : ".")
			 : build_project(&v, &b, o->grant, count, words);
}

const struct command build_command = {
	.name = "build",
	.arguments = "[NAME...] | -f DOCKERFILE [DIR]",
	.summary = "build images, of the project or from a Dockerfile",
	.help = "Builds what the project's file has under builds: those named, or all, and what they need. "
		"With -f, "
		"-t, --target, or a word that is a path, builds from a Dockerfile; DIR is its context, out "
		"of which no "
		"link leads, and a .dockerignore in it is followed.\n\n"
		"Each RUN is done in a sandbox of its own, and what it has changed is one layer more; files "
		"that are "
		"copied need none. A step is taken from the cache where it was done before on the same image "
		"with the "
		"same inputs. What steps have made is kept for 30 days after its last use, and goes with "
		"'monocore image "
		"prune --all'.\n\n"
		"With SOURCE_DATE_EPOCH (seconds since 1970) in the environment no file of a new layer is "
		"younger than "
		"that, and copied ones are that old: the same inputs then give the same digest, which is "
		"printed.\n\n"
		"With --snapshot what was built is then started, with the machine of the build, its volumes "
		"and its script start. Once its healthcheck is good, or, where it has none, once it has come "
		"to rest, it is saved as it runs. New sandboxes of the image go on there in place of "
		"booting, "
		"each with a name, addresses, clock and random numbers of its own; but those that ask for "
		"another machine, other volumes, or another command, environment, user or terminal boot, and "
		"with --verbose say why.\n\n"
		"Not done: ADD from the network, ONBUILD, RUN --mount.",
	.examples = "monocore build\n"
		    "monocore build app\n"
		    "monocore build --snapshot app && monocore up\n"
		    "monocore build -t acme/app:2 .\n"
		    "monocore build -f docker/Dockerfile --build-arg VERSION=2 --target test .",
	.options = rows,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.group = GROUP_IMAGES,
	.words = WORDS_BUILDS,
};
