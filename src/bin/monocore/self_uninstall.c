/* SPDX-License-Identifier: Apache-2.0 */
/* This program's own files go, and the commands that it installed; what users made with it only where they
 * say so. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/prompt.h"
#include "bin/monocore/installed.h"
#include "bin/monocore/output.h"
#include "bin/monocore/own_place.h"
#include "bin/monocore/packaged.h"
#include "bin/monocore/self.h"
#include "os/fs.h"
#include "os/terminal.h"

struct options {
	bool all, yes, dry_run;
};

static const struct option_spec options[] = {
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all),
		"remove $MONOCORE_HOME, too: sandboxes, images, volumes"},
	{"yes", 'y', OPTION_FLAG, NULL, offsetof(struct options, yes), "do not ask"},
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct options, dry_run),
		"list what would be removed, and remove nothing"},
	{NULL},
};

/* What `make install` and upgrades put below a prefix. The program comes last: until then the same again does
 * the rest. */
static const char *const patterns[] = {"share/man/man1/monocore.1*", "share/man/man1/monocore-*.1*",
	"share/man/man1/monofs.1*", "share/man/man1/monofs-*.1*",
	"share/bash-completion/completions/monocore*", "share/bash-completion/completions/monofs*",
	"share/zsh/site-functions/_monocore", "share/zsh/site-functions/_monofs",
	"share/fish/vendor_completions.d/monocore.fish", "share/fish/vendor_completions.d/monofs.fish",
	"include/monocore*.h", "lib*/libmonocore.*", "lib*/*/libmonocore.*", "lib*/pkgconfig/monocore.pc",
	"lib*/*/pkgconfig/monocore.pc", "bin/monofs", OWN_RELEASES, "libexec/monocore", "bin/monocore"};

/* ---- what there is ---------------------------------------------------------------------------------- */

static int add_matches(const char *prefix, const char *pattern, char ***list, struct error *err)
{
	_cleanup_free_ char *whole = text_format(err, "%s/%s", prefix, pattern);
	glob_t found = {0};
	int r = 0;

	if (!whole)
		return -ERROR_NO_MEMORY;
	if (glob(whole, GLOB_NOESCAPE, NULL, &found) == GLOB_NOSPACE)
		r = error_no_memory(err, "find this program's files");
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
		r = text_list_add(list, found.gl_pathv[i], err);
	globfree(&found);
	return r;
}

/* Where somebody only built it, nothing was installed. */
static int check_installed(const struct own_place *place, struct error *err)
{
	_cleanup_free_ char *flat = text_format(err, "%s/libexec/monocore/mcrun", place->prefix);

	if (!flat)
		return -ERROR_NO_MEMORY;
	if (!place->release && access(flat, X_OK) < 0)
		return error_set(
			err, ERROR_UNAVAILABLE, "%s is not installed: %s is not there", place->program, flat);
	return packaged_refuse(place->program, err);
}

static int add_commands(char ***list, struct error *err)
{
	_cleanup_free_ char *directory = installed_directory(NULL);
	_cleanup_list_ DIR *names = NULL;
	const char *name;
	int r = 0;

	if (!directory || fs_list_open(AT_FDCWD, directory, &names, NULL) < 0)
		return 0;
	while (r == 0 && (name = fs_list_next(names))) {
		_cleanup_free_ char *path = NULL;

		if (installed_check_name(name, NULL) < 0 || installed_look(directory, name, NULL, NULL) != 1)
			continue;
		path = text_format(err, "%s/%s", directory, name);
		r = path ? text_list_add(list, path, err) : -ERROR_NO_MEMORY;
	}
	return r;
}

static int collect(const struct own_place *place, const char *home, char ***list, struct error *err)
{
	int r = add_commands(list, err);

	if (r == 0 && home)
		r = text_list_add(list, home, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(patterns); i++)
		r = add_matches(place->prefix, patterns[i], list, err);
	return r;
}

static int refuse_running(struct cli *cli)
{
	struct monocore_sandbox_info *list;
	struct monocore_error failure;
	struct error err;
	size_t count, alive = 0;

	if (monocore_list(cli->mc, &list, &count, &failure) < 0)
		return cli_fail(cli, &failure);
	for (size_t i = 0; i < count; i++)
		alive += list[i].state != MONOCORE_CREATED && list[i].state != MONOCORE_STOPPED;
	monocore_list_free(list, count);
	if (!alive)
		return 0;
	error_set(&err, ERROR_BUSY, "%zu %s: end %s first, by 'monocore stop'", alive,
		alive == 1 ? "sandbox runs" : "sandboxes run", alive == 1 ? "it" : "them");
	return cli_complain(cli, &err);
}

/* ---- the end ---------------------------------------------------------------------------------------- */

/* 1: yes. */
static int ask(const struct options *o, char *const *list, struct error *err)
{
	_cleanup_free_ char *answer = NULL;
	int r;

	if (o->yes)
		return 1;
	if (!terminal_is(STDIN_FILENO))
		return error_set(
			err, ERROR_USAGE, "nobody is there to be asked: --yes removes, --dry-run lists");
	for (; *list; list++)
		fprintf(stderr, "%s\n", *list);
	r = prompt_line("Remove all of this? [y/N]", false, &answer, err);
	return r < 0 ? r : *answer == 'y' || *answer == 'Y';
}

static int remove_all(struct cli *cli, char *const *list)
{
	struct error err;

	for (; *list; list++) {
		if (fs_remove_tree(AT_FDCWD, *list, &err) < 0)
			return cli_complain(cli, &err);
		printf("%s\n", *list);
	}
	return 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct own_place place = {0};
	_cleanup_text_list_ char **list = NULL;
	_cleanup_free_ char *home = NULL;
	struct error err;
	int status, r;

	(void)count;
	(void)words;
	if (own_place_find(&place, &err) < 0 || check_installed(&place, &err) < 0)
		return cli_complain(cli, &err);
	if (cli_open(cli) < 0)
		return 1;
	home = text_copy(monocore_home(cli->mc), &err);
	if (!home || collect(&place, o->all ? home : NULL, &list, &err) < 0)
		return cli_complain(cli, &err);
	if (o->dry_run) {
		for (char **path = list; path && *path; path++)
			printf("%s\n", *path);
		return output_finish();
	}
	status = refuse_running(cli);
	r = status ? 0 : ask(o, list, &err);
	if (r < 0)
		return cli_complain(cli, &err);
	if (r == 0)
		return status ? status : 1;
	cli_close(cli);
	status = remove_all(cli, list);
	if (!status && !o->all)
		complain("monocore: %s stays, with what was made: images, volumes, sandboxes", home);
	return output_finish() ? 1 : status;
}

const struct command self_uninstall_command = {
	.name = "uninstall",
	.summary = "remove this program",
	.help = "Removes the program, its manual pages and libraries, and the commands that 'monocore "
		"install' made, "
		"after asking. $MONOCORE_HOME stays, with images, volumes and sandboxes, but with --all. "
		"Sandboxes "
		"must have stopped. What a package manager has installed is left to it.",
	.examples = "monocore self uninstall --dry-run\nmonocore self uninstall --all --yes",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_HOST,
};
