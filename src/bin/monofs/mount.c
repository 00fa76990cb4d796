/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bin/cli/output.h"
#include "bin/monofs/trees.h"
#include "bin/monofs/verbs.h"

struct options {
	bool fuse, nfs, manual, allow_other;
	const char *revision;
	uint64_t quiet, most;
};

static const struct option_spec options[] = {
	{"rev", 0, OPTION_STRING, "REV", offsetof(struct options, revision),
		"mount this revision, read-only, in place of the tree that is written to"},
	{"fuse", 0, OPTION_FLAG, NULL, offsetof(struct options, fuse),
		"mount it through FUSE, as by default"},
	{"nfs", 0, OPTION_FLAG, NULL, offsetof(struct options, nfs),
		"serve it over NFSv3 on loopback in place of a mount, for this user and for root's mount"},
	{"manual", 0, OPTION_FLAG, NULL, offsetof(struct options, manual),
		"only 'monofs commit' and 'monofs detach' make revisions"},
	{"quiet-time", 0, OPTION_DURATION, "TIME", offsetof(struct options, quiet),
		"what was written becomes a revision when nothing was for so long; default: 2s"},
	{"busy-time", 0, OPTION_DURATION, "TIME", offsetof(struct options, most),
		"and at the latest after this time; default: 30s"},
	{"allow-other", 0, OPTION_FLAG, NULL, offsetof(struct options, allow_other),
		"let other users in, as the files' modes allow (needs user_allow_other in /etc/fuse.conf)"},
	{NULL},
};

/* The directory of a repository is the one beside it. */
static int directory_of(const char *repository, char **directory, struct error *err)
{
	size_t n = strlen(repository), suffix = strlen(TREE_SUFFIX);

	if (n <= suffix || strcmp(repository + n - suffix, TREE_SUFFIX) != 0)
		return error_set(err, ERROR_USAGE, "'%s': say where it is to be mounted", repository);
	*directory = text_copy_bytes(repository, n - suffix, err);
	return *directory ? 0 : -ERROR_NO_MEMORY;
}

static bool is_same(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* DIR alone names its own repository, but with --rev, which shows another's; or is that repository. */
static int find(const struct options *o, int count, char **words, struct place *p, char **directory,
	bool *made, struct error *err)
{
	const char *at = count ? words[count - 1] : NULL;
	int r;

	if (o->revision && !at)
		return error_set(err, ERROR_USAGE, "--rev: say where it is to be mounted");
	r = place_find(count == 2 ? words[0] : o->revision ? NULL : at, p, err);
	if (r < 0)
		return r;
	if (!at || (count == 1 && !o->revision && is_same(at, p->path))) {
		_cleanup_free_ char *own = NULL;

		r = directory_of(p->path, &own, err);
		return r < 0 ? r : tree_directory(own, directory, made, err);
	}
	return tree_directory(at, directory, made, err);
}

/* Mounting what is served is root's; tools that speak NFS themselves need no mount. */
static int tell_nfs(struct cli *cli, const char *repository, const char *directory, struct mount_nfs *nfs)
{
	_cleanup_free_ char *export = nfs->export;

	if (!cli->global.quiet)
		printf("%s is served at 127.0.0.1, until it is detached; root mounts it by\n", repository);
	printf("mount -t nfs -o vers=3,tcp,nolock,port=%u,mountport=%u 127.0.0.1:%s %s\n", nfs->port,
		nfs->port, export, directory);
	return output_finish();
}

static int mount_at(struct cli *cli, const struct options *o, struct place *p, const char *directory,
	struct mount_nfs *nfs, struct error *err)
{
	struct object_id commit;
	struct mount_options how = {.revision = o->revision,
		.manual = o->manual,
		.allow_other = o->allow_other,
		.nfs = o->nfs ? nfs : NULL,
		.quiet = o->quiet,
		.most = o->most};
	int r = place_open_found(cli, o->revision ? PLACE_READ : 0, p, err);

	if (r == 0 && o->revision) {
		r = place_resolve(p, o->revision, &commit, err);
		how.commit = &commit;
	}
	return r < 0 ? r : tree_mount(p, directory, &how, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct place p = {0};
	_cleanup_free_ char *directory = NULL;
	struct mount_nfs nfs = {0};
	bool made = false;
	struct error err;

	if (o->fuse && o->nfs) {
		error_set(&err, ERROR_USAGE, "--fuse or --nfs, not both");
		return cli_complain(cli, &err);
	}
	if (find(o, count, words, &p, &directory, &made, &err) < 0)
		return cli_complain(cli, &err);
	if (mount_at(cli, o, &p, directory, &nfs, &err) < 0) {
		tree_directory_forget(directory, &made);
		return cli_complain(cli, &err);
	}
	return o->nfs ? tell_nfs(cli, p.path, directory, &nfs) : tree_tell(cli, p.path, directory);
}

const struct command mount_command = {
	.name = "mount",
	.arguments = "[[REPOSITORY] DIR]",
	.summary = "mount a repository's tree, or one of its revisions",
	.help = "Without a word, the repository that we are in or beside is mounted beside itself; with DIR, "
		"that of DIR, which may also be the repository itself. With --rev, DIR is where that "
		"revision "
		"of the repository is shown, however the tree changes meanwhile. What is written to a "
		"mounted "
		"tree becomes a revision by itself when nothing was written for a while. 'monofs detach' "
		"unmounts it.",
	.examples = "monofs mount notes\n"
		    "monofs mount notes ./before --rev 'main@{2 days ago}'\n"
		    "monofs mount backup.monofs ./view --rev main~1",
	.options = options,
	.size = sizeof(struct options),
	.most = 2,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_FILES,
};
