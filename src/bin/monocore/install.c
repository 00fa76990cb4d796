/* SPDX-License-Identifier: Apache-2.0 */
/* A command of this host that runs in a sandbox. The image is kept under a name of the command's own, so that
 * it stays what it is whatever is pulled or removed under other names. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/monocore/install.h"
#include "bin/monocore/installed.h"
#include "bin/monocore/output.h"
#include "bin/monocore/own_place.h"
#include "bin/monocore/tmp_options.h"
#include "bin/monocore/verbs.h"
#include "oci/reference.h"

struct options {
	bool list, json, plain_http;
	const char *platform;
	struct install_wishes wishes;
};

#define WISH(name) offsetof(struct options, wishes.name)

static const char *const reaches[] = {"none", "local", "public", "any", NULL};

static const struct option_spec options[] = {
	{"mount-cwd", 0, OPTION_FLAG, NULL, WISH(mount_cwd),
		"the command finds the directory that it is called in, and works there"},
	{"cpus", 0, OPTION_NUMBER, "N", WISH(cpus), "processors; default: 1", .most = 64},
	{"ram", 0, OPTION_SIZE, "SIZE", WISH(memory), "memory, such as 512M or 1G; default: 512M"},
	{"env", 'e', OPTION_LIST, "KEY=VALUE", WISH(env),
		"set a variable; KEY alone: with the value it has where the command is called"},
	{"volume", 'v', OPTION_LIST, "SOURCE:PATH[:OPTIONS]", WISH(volumes),
		"mount a directory or file, such as ~/notes, or a volume by its name"},
	{"port", 'p', OPTION_LIST, "[ADDRESS:][PORT:]PORT", WISH(ports),
		"lead a port of this host to one of the sandbox"},
	{"workdir", 'w', OPTION_STRING, "DIR", WISH(workdir),
		"run it in this directory; default: the image's"},
	{"user", 'u', OPTION_STRING, "USER[:GROUP]", WISH(user), "run it as this user; default: the image's"},
	{"entrypoint", 0, OPTION_STRING, "PROGRAM", WISH(entrypoint),
		"run this program of the image in place of what it is made for"},
	{"reach", 0, OPTION_CHOICE, "REACH", WISH(reach), "what it may reach; default: public", reaches},
	{"allow", 0, OPTION_LIST, "RULE", WISH(allow), "let it reach this, too, as 'monocore tmp' has it"},
	{"deny", 0, OPTION_LIST, "RULE", WISH(deny), "let it not reach this"},
	{"platform", 0, OPTION_STRING, "OS/ARCH", offsetof(struct options, platform),
		"which of the image's platforms; default: this host's"},
	{"plain-http", 0, OPTION_FLAG, NULL, offsetof(struct options, plain_http),
		"speak HTTP without TLS to the image's registry"},
	{"list", 0, OPTION_FLAG, NULL, offsetof(struct options, list),
		"list the commands that are installed"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON, with --list"},
	{NULL},
};

/* ---- the image -------------------------------------------------------------------------------------- */

static int told(struct cli *cli, const struct monocore_error *err)
{
	return -(cli_fail(cli, err) ?: 1);
}

static int load_image(struct cli *cli, const char *path, const char *own)
{
	struct monocore_image_load_options load = MONOCORE_IMAGE_LOAD_OPTIONS_INIT;
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct monocore_error failure;
	struct error err;
	char **names;
	int r = 0;

	if (fd < 0) {
		error_errno(&err, errno, "open %s", path);
		return -cli_complain(cli, &err);
	}
	load.name = own;
	load.path = path;
	if (monocore_image_load(cli->mc, fd, &load, &names, &failure) < 0)
		r = told(cli, &failure);
	monocore_free_strings(names);
	return r;
}

/* What is here already under this name is taken as it is. */
static int pull_image(struct cli *cli, const struct options *o, const char *image, const char *own)
{
	struct monocore_pull_options pull = MONOCORE_PULL_OPTIONS_INIT;
	struct monocore_pulled *pulled;
	struct monocore_error err;

	pull.platform = o->platform;
	pull.plain_http = o->plain_http;
	if (monocore_image_tag(cli->mc, image, own, &err) == 0)
		return 0;
	if (err.code != MONOCORE_NOT_FOUND || monocore_image_pull(cli->mc, image, &pull, &pulled, &err) < 0)
		return told(cli, &err);
	monocore_pulled_free(pulled);
	return monocore_image_tag(cli->mc, image, own, &err) < 0 ? told(cli, &err) : 0;
}

static void cleanup_reference(struct reference *r)
{
	reference_free(r);
}

/* Has the command's own name lead to the image. Negative: told. */
static int keep_image(struct cli *cli, const struct options *o, const char *image, const char *own)
{
	_cleanup_(cleanup_reference) struct reference where = {0};
	struct error err;

	if (reference_parse(image, &where, &err) < 0)
		return -cli_complain(cli, &err);
	if (where.kind == REFERENCE_NAME)
		return pull_image(cli, o, image, own);
	if (where.kind != REFERENCE_DIRECTORY && !where.tag && !where.digest)
		return load_image(cli, where.path, own);
	error_set(&err, ERROR_UNAVAILABLE,
		where.kind == REFERENCE_DIRECTORY
			? "a directory is no image that can be kept: 'monocore commit' makes one of a sandbox"
			: "an archive or layout is installed as a whole: leave the tag or digest out, or "
			  "'monocore load' it and install one of its names");
	return -cli_complain(cli, &err);
}

/* ---- the words -------------------------------------------------------------------------------------- */

/* The default name: the script's, or the last part of the image's name without its tag. */
static char *default_name(const char *image, const char *script, struct error *err)
{
	const char *from = strrchr(image, '/'), *end;
	size_t n;

	if (script && strcmp(script, "start") != 0)
		return text_copy(script, err);
	from = from ? from + 1 : image;
	if (text_starts(from, "oci:") || text_starts(from, "docker-archive:"))
		from = strchr(from, ':') + 1;
	end = from + strcspn(from, ":@");
	n = (size_t)(end - from);
	if (n > 4 && !strncmp(end - 4, ".tar", 4))
		n -= 4;
	return text_copy_bytes(from, n, err);
}

struct target {
	char *image, *name, *own, *directory;
	const char *script;
};

static void target_release(struct target *t)
{
	free(t->image);
	free(t->name);
	free(t->own);
	free(t->directory);
}

static int target_fill(struct target *t, int count, char **words, struct error *err)
{
	int r = tmp_split_script(words[0], &t->image, &t->script, err);

	if (r < 0)
		return r;
	t->name = count > 1 ? text_copy(words[1], err) : default_name(t->image, t->script, err);
	if (!t->name)
		return -ERROR_NO_MEMORY;
	r = installed_check_name(t->name, err);
	if (r < 0)
		return r;
	t->own = installed_image(t->name, err);
	if (!t->own)
		return -ERROR_NO_MEMORY;
	t->directory = installed_directory(err);
	return t->directory ? 0 : -(int)err->code;
}

/* ---- what the caller should know -------------------------------------------------------------------- */

/* The first file of that name in each part of PATH: before the directory of our commands, and behind it. */
static bool look_along_path(const struct target *t, char before[PATH_MAX], char after[PATH_MAX])
{
	bool seen = false;

	*before = *after = 0;
	for (const char *path = getenv("PATH") ?: ""; *path;) {
		size_t n = strcspn(path, ":");
		char *found = seen ? after : before, here[PATH_MAX];

		if (n == strlen(t->directory) && !strncmp(path, t->directory, n))
			seen = true;
		else if (n && !*found &&
			 snprintf(here, sizeof here, "%.*s/%s", (int)n, path, t->name) < PATH_MAX &&
			 access(here, X_OK) == 0)
			memcpy(found, here, sizeof here);
		path += n + (path[n] == ':');
	}
	return seen;
}

static void remark_on_path(const struct target *t)
{
	char before[PATH_MAX], after[PATH_MAX];

	if (!look_along_path(t, before, after))
		complain("monocore: install: %s is not in PATH: add it to call %s by its name", t->directory,
			t->name);
	else if (*before)
		complain("monocore: install: %s is hidden by %s, which comes earlier in PATH", t->name,
			before);
	else if (*after)
		complain("monocore: install: %s now stands before %s", t->name, after);
}

static int write_command(struct cli *cli, const struct target *t, const char *given, char *const *words)
{
	_cleanup_place_ struct own_place place = {0};
	struct installed_script script = {
		.name = t->name, .image = given, .home = monocore_home(cli->mc), .words = words};
	struct error err;

	if (own_place_find(&place, &err) < 0)
		return -cli_complain(cli, &err);
	script.program = place.program;
	return installed_write(t->directory, &script, &err) < 0 ? -cli_complain(cli, &err) : 0;
}

static int install(struct cli *cli, const struct options *o, const struct target *t, const char *given)
{
	_cleanup_text_list_ char **words = NULL;
	struct monocore_error failure;
	struct error err;
	char *json;
	int there = installed_look(t->directory, t->name, NULL, &err), r;

	if (there < 0)
		return -cli_complain(cli, &err);
	r = keep_image(cli, o, t->image, t->own);
	if (r < 0)
		return r;
	if (monocore_image_inspect(cli->mc, t->own, o->platform, &json, &failure) < 0) {
		r = told(cli, &failure);
	} else {
		if (install_words(&o->wishes, t->own, t->script, json, &words, &err) < 0)
			r = -cli_complain(cli, &err);
		monocore_free(json);
	}
	if (r == 0)
		r = write_command(cli, t, given, words);
	if (r < 0 && !there)
		monocore_image_remove(cli->mc, t->own, true, NULL, &failure);
	return r;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_(target_release) struct target t = {0};
	struct error err;
	int r;

	if (o->list && !count)
		return install_list(cli, o->json);
	if (!count || o->list || o->json) {
		error_set(&err, ERROR_USAGE,
			count ? "--list and --json name no image"
			      : "expected IMAGE[~SCRIPT] [NAME], or --list");
		return cli_complain(cli, &err);
	}
	if (target_fill(&t, count, words, &err) < 0)
		return cli_complain(cli, &err);
	if (cli_open(cli) < 0)
		return 1;
	r = install(cli, o, &t, words[0]);
	if (r < 0)
		return -r;
	progress_clear(cli->progress);
	if (cli->global.quiet)
		printf("%s\n", t.name);
	else
		printf("%s/%s\n", t.directory, t.name);
	remark_on_path(&t);
	return output_finish();
}

const struct command install_command = {
	.name = "install",
	.arguments = "[IMAGE[~SCRIPT] [NAME]]",
	.summary = "make a command that runs in a sandbox",
	.help = "Writes a small script NAME into ~/.local/bin, which runs IMAGE in a sandbox of its own each "
		"time that it is called: what it is given becomes the arguments of the image's Entrypoint, "
		"of "
		"its Cmd where it has no Entrypoint, or of SCRIPT. Standard streams, signals, the terminal "
		"and "
		"the exit status pass through, so that it behaves as any other command, in a pipeline, too. "
		"With --mount-cwd it finds the files of the directory that it is called in.\n\n"
		"The image is pulled where it is not here, and kept for the command as it is now: 'monocore "
		"install' with the same words takes a newer one. NAME, by default the script's name or the "
		"last "
		"part of the image's, is made of small letters, digits, '.', '_' and '-'. A file that was "
		"not "
		"written by 'monocore install' is never overwritten.",
	.examples = "monocore install ghcr.io/jqlang/jq\n"
		    "monocore install --mount-cwd python:3.12-slim py\n"
		    "monocore install --list",
	.options = options,
	.size = sizeof(struct options),
	.most = 2,
	.run = run,
	.group = GROUP_SANDBOXES,
	.words = WORDS_IMAGES,
};
