/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/cli/output.h"
#include "bin/cli/progress.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "monofs/restore.h"
#include "os/fs.h"
#include "os/terminal.h"

struct options {
	const char *path;
};

static const struct option_spec options[] = {
	{"path", 'p', OPTION_STRING, "PATH", offsetof(struct options, path),
		"what lies beneath this path of the tree, in place of all"},
	{NULL},
};

static int open_archive(const char *name, int *fd, struct error *err)
{
	if (!name || !strcmp(name, "-")) {
		if (terminal_is(STDOUT_FILENO))
			return error_set(err, ERROR_USAGE, "an archive is not for a terminal: name a file");
		*fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return *fd < 0 ? error_errno(err, errno, "write standard output") : 0;
	}
	*fd = fs_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, 0666, err);
	return *fd < 0 ? *fd : 0;
}

static void skip(void *context, const char *path, const char *why)
{
	struct cli *cli = context;

	progress_clear(cli->progress);
	complain("monofs: export: %s is left out: %s", path, why);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct place p = {0};
	_cleanup_free_ char *path = NULL;
	_cleanup_fd_ int fd = -1;
	struct restore_options how = {.progress = &p.progress, .skipped = skip, .context = cli};
	struct restore_result result;
	struct object_id commit;
	struct error err;
	int r = place_path(o->path, &path, &err);

	if (r == 0)
		r = place_open(cli, NULL, PLACE_READ, &p, &err);
	if (r == 0)
		r = place_resolve(&p, words[0], &commit, &err);
	if (r == 0 && count > 1 && strcmp(words[1], "-") != 0)
		r = repository_spare(p.repository, words[1], &err);
	if (r == 0)
		r = open_archive(count > 1 ? words[1] : NULL, &fd, &err);
	how.path = path;
	if (r == 0)
		r = restore_tar(p.repository, &commit, fd, &how, &result, &err);
	if (r == 0 && count > 1 && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		r = error_errno(&err, errno, "sync '%s'", words[1]);
	return r < 0 ? cli_complain(cli, &err) : 0;
}

const struct command export_command = {
	.name = "export",
	.arguments = "REV [TAR]",
	.summary = "write a revision as a tar archive",
	.help = "TAR is a file; without one, or with -, it is written to standard output. "
		"It has all but sockets, which no archive can have: they are named.",
	.examples = "monofs export main notes.tar\nmonofs export v1 -p src | zstd > src.tar.zst",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 2,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_REVISIONS,
};
