/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "os/fs.h"
#include "os/terminal.h"

struct options {
	const char *output, *format, *platform;
};

static const char *const formats[] = {"oci", "docker", "oci-dir", NULL};

static const struct option_spec options[] = {
	{"output", 'o', OPTION_STRING, "FILE", offsetof(struct options, output),
		"write to FILE; default: standard output"},
	{"format", 0, OPTION_CHOICE, "FORMAT", offsetof(struct options, format), "what to write", formats},
	{"platform", 0, OPTION_STRING, "OS/ARCH", offsetof(struct options, platform),
		"only this one; default: all that are here"},
	{NULL},
};

static const struct options defaults = {.format = "oci"};

static int save(struct cli *cli, const struct options *o, char **images, int fd)
{
	struct monocore_image_save_options save = MONOCORE_IMAGE_SAVE_OPTIONS_INIT;
	struct monocore_error err;

	save.platform = o->platform;
	save.format = !strcmp(o->format, "docker")    ? MONOCORE_IMAGE_DOCKER
		      : !strcmp(o->format, "oci-dir") ? MONOCORE_IMAGE_LAYOUT
						      : MONOCORE_IMAGE_OCI;
	if (monocore_image_save(cli->mc, (const char *const *)images, &save, fd, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	return 0;
}

static int fail(struct cli *cli, const char *what, const char *name)
{
	struct error err;

	error_errno(&err, errno, "%s %s", what, name);
	return cli_complain(cli, &err);
}

/* A file without a name in the directory of `path`, so that nothing is left when this process is killed; or,
 * where the file system has no such thing, the file `temporary`. */
static int open_nameless(const char *path, const char *temporary, bool *named)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *directory =
		slash ? text_format(NULL, "%.*s", (int)(slash - path) + 1, path) : text_copy(".", NULL);
	int fd = directory ? open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;

	*named = fd < 0;
	return fd >= 0 ? fd : open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static int give_name(int fd, const char *temporary)
{
	char self[32];

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW);
}

/* Appears as a whole, or not at all. */
static int save_file(struct cli *cli, const struct options *o, char **images)
{
	_cleanup_free_ char *temporary = text_format(NULL, "%s.%d.tmp", o->output, (int)getpid());
	_cleanup_fd_ int fd = -1;
	bool named;
	int status;

	if (!temporary)
		return 1;
	fd = open_nameless(o->output, temporary, &named);
	if (fd < 0)
		return fail(cli, "make", temporary);
	status = save(cli, o, images, fd);
	if (status == 0 && fsync(fd) < 0)
		status = fail(cli, "sync", temporary);
	if (status == 0 && !named && give_name(fd, temporary) < 0)
		status = fail(cli, "make", temporary);
	named |= status == 0;
	if (status == 0 && rename(temporary, o->output) < 0)
		status = fail(cli, "make", o->output);
	if (status != 0 && named)
		unlink(temporary);
	return status;
}

/* A pipe or a device: written to as it is. */
static int save_stream(struct cli *cli, const struct options *o, char **images)
{
	_cleanup_fd_ int fd = open(o->output, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? fail(cli, "open", o->output) : save(cli, o, images, fd);
}

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	bool empty = d;

	while (d && (e = readdir(d)))
		empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return empty;
}

/* An empty directory, or a new one, which goes again when nothing comes of it. */
static int save_directory(struct cli *cli, const struct options *o, char **images)
{
	bool made = mkdir(o->output, 0777) == 0;
	_cleanup_fd_ int fd = -1;
	struct error err;
	int status;

	if (!made && errno != EEXIST)
		return fail(cli, "make", o->output);
	fd = open(o->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(cli, "open", o->output);
	if (!is_empty(o->output)) {
		error_set(&err, ERROR_EXISTS, "%s is there and not empty: name another directory", o->output);
		return cli_complain(cli, &err);
	}
	status = save(cli, o, images, fd);
	if (status != 0 && made)
		fs_remove_tree(AT_FDCWD, o->output, NULL);
	return status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	bool directory = !strcmp(o->format, "oci-dir");
	struct error err;
	struct stat st;

	(void)count;
	if (!o->output && (directory || terminal_is(STDOUT_FILENO))) {
		error_set(&err, ERROR_USAGE,
			directory ? "--format oci-dir: name the directory by --output"
				  : "standard output is a terminal: redirect it, or name a file by --output");
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		return 1;
	if (directory)
		return save_directory(cli, o, words);
	if (!o->output)
		return save(cli, o, words, STDOUT_FILENO);
	if (stat(o->output, &st) == 0 && !S_ISREG(st.st_mode))
		return save_stream(cli, o, words);
	return save_file(cli, o, words);
}

const struct command save_command = {
	.name = "save",
	.arguments = "IMAGE...",
	.summary = "write images to a file",
	.help = "The file is a tar that is an OCI image layout and a docker archive in one, so that "
		"'monocore "
		"load', docker, podman and skopeo read it. It has the names by which images were named here, "
		"the platforms that are here, and digests as they are; the same images give the same "
		"bytes.\n\n"
		"--format docker leaves out what docker archives have not, and has one platform; oci-dir "
		"makes "
		"a directory with an OCI image layout.",
	.examples = "monocore save alpine:3 -o alpine.tar\n"
		    "monocore save alpine:3 debian:12 | gzip > images.tar.gz\n"
		    "monocore save --format oci-dir -o ./layout alpine:3",
	.options = options,
	.size = sizeof(struct options),
	.defaults = &defaults,
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_IMAGES,
	.group = GROUP_IMAGES,
};
