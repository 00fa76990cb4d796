/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/cli/output.h"
#include "bin/monofs/dead.h"
#include "monofs/author.h"
#include "os/fs.h"
#include "sandbox/programs.h"

static int check_empty(const char *path, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(AT_FDCWD, path, &list, err);

	if (r < 0)
		return r;
	return fs_list_next(list)
		       ? error_set(err, ERROR_EXISTS,
				 "'%s' is not empty, and a mount would hide what is in it: take another "
				 "directory, or 'monofs import' it",
				 path)
		       : 0;
}

/* In a mounted tree only root could mount another one, and nobody could detach the outer one then. */
static int check_free(const char *typed, const char *path, struct error *err)
{
	_cleanup_(cleanup_mount) struct mount *m = NULL;
	const struct mount_state *s;

	if (mount_find(path, &m, NULL) < 0)
		return 0;
	s = mount_state(m);
	if (strcmp(s->directory, path) != 0)
		return error_set(err, ERROR_EXISTS,
			"'%s' lies in the tree that is mounted at %s: take a directory outside of it", typed,
			s->directory);
	return error_set(err, ERROR_EXISTS,
		"'%s' is mounted already, and shows %s: 'monofs detach' unmounts it", typed, s->repository);
}

int tree_directory(const char *typed, char **path, bool *made, struct error *err)
{
	_cleanup_free_ char *found = NULL;
	int r;

	*made = mkdir(typed, 0777) == 0;
	if (!*made && errno != EEXIST)
		return error_errno(err, errno, "make '%s'", typed);
	found = realpath(typed, NULL);
	r = found ? check_free(typed, found, err) : error_errno(err, errno, "find '%s'", typed);
	if (r == 0 && dead_mount_is_at(found))
		r = dead_mount_remove(found, err);
	if (r == 0)
		r = check_empty(typed, err);
	if (r == 0)
		*path = TAKE_PTR(found);
	else
		tree_directory_forget(typed, made);
	return r;
}

void tree_directory_forget(const char *path, bool *made)
{
	if (*made)
		rmdir(path);
	*made = false;
}

int tree_path(const char *typed, char **path, struct error *err)
{
	_cleanup_free_ char *copy = text_copy(typed, err), *parent = NULL;
	size_t n = copy ? strlen(copy) : 0;
	char *slash;

	if (!copy)
		return -ERROR_NO_MEMORY;
	*path = realpath(typed, NULL);
	if (*path)
		return 0;
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	parent = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (!parent)
		return error_errno(err, errno, "find '%s'", typed);
	*path = text_format(err, "%s/%s", strcmp(parent, "/") ? parent : "", slash ? slash + 1 : copy);
	return *path ? 0 : -ERROR_NO_MEMORY;
}

int tree_mount(struct place *p, const char *directory, const struct mount_options *o, struct error *err)
{
	_cleanup_free_ char *program = program_path("mfsd", err), *author = NULL;
	struct mount_options all = *o;

	if (!program || !(author = author_here(err)))
		return -(int)(err ? err->code : ERROR_NO_MEMORY);
	all.program = program;
	all.author = author;
	return mount_start(p->repository, directory, &all, err);
}

int tree_tell(struct cli *cli, const char *repository, const char *directory)
{
	if (cli->global.quiet)
		printf("%s\n", directory ? directory : repository);
	else if (directory)
		printf("%s is mounted at %s\n", repository, directory);
	else
		printf("%s is made\n", repository);
	return output_finish();
}

int tree_make(struct cli *cli, const struct tree_new *n)
{
	_cleanup_place_ struct place p = {0};
	struct mount_options options = {0};
	struct repository_new made = {0};
	struct error err;

	p.path = text_copy(n->path, &err);
	if (!p.path)
		return cli_complain(cli, &err);
	if (n->encrypt) {
		if (secret_get_first(cli, n->path, &p.secret, &err) < 0)
			return cli_complain(cli, &err);
		made.secret = &p.secret.given;
	}
	if (repository_create(n->path, &made, &err) < 0)
		return cli_complain(cli, &err);
	if (n->directory && (place_open_found(cli, 0, &p, &err) < 0 ||
				    tree_mount(&p, n->directory, &options, &err) < 0)) {
		error_prefix(&err, "%s is made, but not mounted", n->path);
		return cli_complain(cli, &err);
	}
	return tree_tell(cli, n->path, n->directory);
}

/* The directory that `monofs tmp` has made around a repository; NULL: it has not made this one. */
static char *temporary_around(const char *repository)
{
	_cleanup_free_ char *mark = text_format(NULL, "%s/%s", repository, TREE_TEMPORARY);
	_cleanup_free_ char *around = text_copy(repository, NULL);
	char *slash = around ? strrchr(around, '/') : NULL, *name;

	if (!mark || access(mark, F_OK) < 0 || !slash || slash == around)
		return NULL;
	*slash = 0;
	name = strrchr(around, '/');
	return name && text_starts(name + 1, TREE_TMP) ? TAKE_PTR(around) : NULL;
}

int tree_remove_temporary(const char *repository, const char *directory, struct error *err)
{
	_cleanup_free_ char *around = temporary_around(repository);
	_cleanup_free_ char *mark = text_format(err, "%s/%s", repository, TREE_TEMPORARY);
	_cleanup_buffer_ struct buffer b = {0};

	if (!around || !mark)
		return 0;
	if (fs_read_file(AT_FDCWD, mark, 64, &b, err) < 0)
		return -ERROR_SYSTEM;
	if (b.size >= 4 && !memcmp(b.data, "made", 4) && rmdir(directory) < 0 && errno != ENOENT)
		return error_errno(err, errno, "remove '%s'", directory);
	return fs_remove_tree(AT_FDCWD, around, err);
}
