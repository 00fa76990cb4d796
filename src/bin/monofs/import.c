/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/cli/progress.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"
#include "monofs/author.h"
#include "os/fs.h"

struct options {
	const char *message, *author;
	bool all, keep_going, json;
	uint64_t workers;
};

static const struct option_spec options[] = {
	{"message", 'm', OPTION_STRING, "TEXT", offsetof(struct options, message),
		"what the revision is about; default: what was imported"},
	{"author", 0, OPTION_STRING, "WHO", offsetof(struct options, author),
		"who made it; default: $MONOFS_AUTHOR, or USER@HOST"},
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all),
		"read every file, also those that are as the last import saw them"},
	{"keep-going", 0, OPTION_FLAG, NULL, offsetof(struct options, keep_going),
		"leave out what cannot be read; the exit status is 1 then"},
	{"workers", 0, OPTION_NUMBER, "N", offsetof(struct options, workers),
		"read, cut and compress by so many threads; default: one for each processor, at most 8",
		.most = 64},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

struct import {
	struct cli *cli;
	const struct options *options;
	struct place place;
	int lock;
	uint64_t skipped;
	struct object_id parent, id;
	struct import_result result;
	bool made; /* a revision; no: nothing has changed */
};

static void skip(void *context, const char *path, const char *why)
{
	struct import *i = context;

	progress_clear(i->cli->progress);
	complain("monofs: import: %s is left out: %s", path, why);
	i->skipped++;
}

static int read_source(struct import *i, const char *source, struct error *err)
{
	struct import_options o = {.parent = &i->parent,
		.all = i->options->all,
		.workers = (unsigned)i->options->workers,
		.progress = &i->place.progress,
		.skipped = i->options->keep_going ? skip : NULL,
		.context = i};
	_cleanup_fd_ int fd = -1;
	struct stat st;

	if (!strcmp(source, "-"))
		return import_tar(i->place.repository, STDIN_FILENO, "standard input", &o, &i->result, err);
	if (stat(source, &st) < 0)
		return error_errno(err, errno, "import '%s'", source);
	if (S_ISDIR(st.st_mode))
		return import_directory(i->place.repository, source, &o, &i->result, err);
	fd = fs_open(AT_FDCWD, source, O_RDONLY, 0, err);
	return fd < 0 ? fd : import_tar(i->place.repository, fd, source, &o, &i->result, err);
}

static int make_revision(struct import *i, const char *source, struct error *err)
{
	_cleanup_(cleanup_store_writer) struct store_writer *w = NULL;
	_cleanup_commit_ struct commit before = {0}, c = {0};
	int r = commit_get(repository_store(i->place.repository), &i->parent, &before, err);

	if (r < 0)
		return r;
	i->id = i->parent;
	i->made = !object_id_equal(&before.content, &i->result.content);
	if (!i->made)
		return 0;
	c.parents[0] = i->parent;
	c.parent_count = 1;
	c.content = i->result.content;
	c.identity = i->result.identity;
	c.zone = words_zone();
	c.author = i->options->author ? text_copy(i->options->author, err) : author_here(err);
	c.message = i->options->message ? text_copy(i->options->message, err)
					: text_format(err, "import of %s", source);
	if (!c.author || !c.message)
		return -ERROR_NO_MEMORY;
	r = store_writer_new(repository_store(i->place.repository), &w, err);
	return r < 0 ? r : repository_commit(i->place.repository, w, &c, &i->id, err);
}

static int do_import(struct import *i, const char *source, const char *into, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	int r = place_open(i->cli, into, 0, &i->place, err);

	if (r == 0)
		r = place_claim(&i->place, "an import", &lock, err);
	if (r == 0)
		r = place_resolve(&i->place, NULL, &i->parent, err);
	if (r == 0)
		r = read_source(i, source, err);
	if (r == 0)
		r = make_revision(i, source, err);
	return r;
}

static int print_json(const struct import *i)
{
	_cleanup_buffer_ struct buffer b = {0};
	const struct import_result *res = &i->result;

	json_put_open(&b, '{');
	json_put_id(&b, "revision", &i->id);
	json_put_key(&b, "made");
	json_put_bool(&b, i->made);
	json_put_count(&b, "files", res->files);
	json_put_count(&b, "directories", res->directories);
	json_put_count(&b, "others", res->others);
	json_put_count(&b, "bytes", res->bytes);
	json_put_count(&b, "read_files", res->read_files);
	json_put_count(&b, "read_bytes", res->read_bytes);
	json_put_count(&b, "new_bytes", res->written.fresh);
	json_put_count(&b, "stored_bytes", res->written.stored);
	json_put_count(&b, "skipped", i->skipped);
	json_put_close(&b, '}');
	return output_json(i->cli, &b);
}

static int print(const struct import *i)
{
	const struct import_result *res = &i->result;
	char id[WORDS_ID], bytes[20], read[20], stored[20];

	if (i->options->json)
		return print_json(i);
	if (i->cli->global.quiet)
		printf("%s\n", words_id(&i->id, id));
	else if (!i->made)
		printf("%s has the same already\n", words_id(&i->id, id));
	else
		printf("%s: %llu file%s, %s; %llu read, %s; %s stored\n", words_id(&i->id, id),
			(unsigned long long)res->files, words_plural(res->files),
			text_human_size(res->bytes, bytes, sizeof bytes), (unsigned long long)res->read_files,
			text_human_size(res->read_bytes, read, sizeof read),
			text_human_size(res->written.stored, stored, sizeof stored));
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct import i = {.cli = cli, .options = given};
	struct error err;
	int status;

	if (do_import(&i, words[0], count > 1 ? words[1] : NULL, &err) < 0)
		status = cli_complain(cli, &err);
	else
		status = print(&i) || i.skipped ? 1 : 0;
	place_close(&i.place);
	return status;
}

const struct command import_command = {
	.name = "import",
	.arguments = "TREE|TAR [DIR]",
	.summary = "make a revision of a directory, or of a tar archive",
	.help = "TREE is a directory; TAR an archive, plain or compressed by gzip or zstd, or - for standard "
		"input. The "
		"revision becomes the newest one of the repository that DIR means, by default the one that "
		"we are in "
		"or beside, which must not be mounted. Files whose size, times and inode are as the last "
		"import saw "
		"them are not read again.",
	.examples = "monofs import ~/src backup.monofs\n"
		    "tar c . | monofs -C /srv/backup import - -m nightly",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 2,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_FILES,
};
