/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/cli/output.h"
#include "bin/monofs/trees.h"
#include "bin/monofs/verbs.h"
#include "os/fs.h"

struct options {
	bool memory;
};

static const struct option_spec options[] = {
	{"memory", 0, OPTION_FLAG, NULL, offsetof(struct options, memory), "keep it in memory (/dev/shm)"},
	{NULL},
};

/* A directory for the repository, and, where the user names none, for the mount. */
static int make_around(const struct options *o, char **around, struct error *err)
{
	const char *set = getenv("TMPDIR");

	*around = text_format(err, "%s/" TREE_TMP "XXXXXX",
		o->memory            ? "/dev/shm"
		: set && *set == '/' ? set
				     : "/tmp");
	if (!*around)
		return -ERROR_NO_MEMORY;
	return mkdtemp(*around) ? 0 : error_errno(err, errno, "make a directory '%s'", *around);
}

static int mark(const char *repository, bool made, struct error *err)
{
	const char *text = made ? "made\n" : "kept\n";
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, repository, O_RDONLY | O_DIRECTORY, 0, err);

	return fd < 0 ? fd : fs_write_atomic(fd, TREE_TEMPORARY, text, strlen(text), 0600, err);
}

static int make(struct cli *cli, const char *around, const char *typed, struct error *err)
{
	_cleanup_free_ char *own = text_format(err, "%s/tree", around), *directory = NULL;
	_cleanup_free_ char *path = text_format(err, "%s/tree" TREE_SUFFIX, around);
	_cleanup_place_ struct place p = {0};
	struct mount_options o = {0};
	struct repository_new n = {0};
	bool made = false;
	int r;

	if (!own || !path)
		return -ERROR_NO_MEMORY;
	r = tree_directory(typed ? typed : own, &directory, &made, err);
	if (r == 0)
		r = repository_create(path, &n, err);
	if (r == 0)
		r = mark(path, made, err);
	p.path = TAKE_PTR(path);
	if (r == 0)
		r = place_open_found(cli, 0, &p, err);
	if (r == 0)
		r = tree_mount(&p, directory, &o, err);
	if (r < 0)
		tree_directory_forget(directory, &made);
	return r < 0 ? r : tree_tell(cli, p.path, directory);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_free_ char *around = NULL;
	struct error err;
	int r;

	if (make_around(given, &around, &err) < 0)
		return cli_complain(cli, &err);
	r = make(cli, around, count ? words[0] : NULL, &err);
	if (r >= 0)
		return r;
	r = cli_complain(cli, &err);
	fs_remove_tree(AT_FDCWD, around, NULL);
	return r;
}

const struct command tmp_command = {
	.name = "tmp",
	.arguments = "[DIR]",
	.summary = "mount a tree that is gone once it is detached",
	.help = "It has revisions as any other. Without DIR it is mounted in a directory of its own, which "
		"is "
		"printed.",
	.examples = "monofs tmp scratch\ncd $(monofs tmp -q --memory)",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_FILES,
};
