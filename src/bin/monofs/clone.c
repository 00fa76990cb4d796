/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "bin/cli/output.h"
#include "bin/monofs/clone_copy.h"
#include "bin/monofs/trees.h"
#include "bin/monofs/verbs.h"

struct options {
	bool full, no_mount;
};

static const struct option_spec options[] = {
	{"full", 0, OPTION_FLAG, NULL, offsetof(struct options, full),
		"copy all contents at once, as is done from a path anyway"},
	{"no-mount", 0, OPTION_FLAG, NULL, offsetof(struct options, no_mount),
		"make the repository alone, and no DIR"},
	{NULL},
};

/* The path that a URI means. */
static int path_of(const char *uri, const char **path, struct error *err)
{
	static const char *const later[] = {"s3://", "ssh://", "raft://", "crdt://"};

	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		if (text_starts(uri, later[i]))
			return error_set(err, ERROR_UNAVAILABLE,
				"'%s': only paths can be cloned in this version", uri);
	*path = text_starts(uri, "file://") ? uri + 7 : uri;
	if (strstr(*path, "://"))
		return error_set(err, ERROR_USAGE, "'%s' is neither a path nor a URI that monofs knows", uri);
	return 0;
}

/* "/x/notes.monofs" and "/x/notes" are cloned to ./notes. */
static char *name_of(const char *repository, struct error *err)
{
	const char *slash = strrchr(repository, '/'), *name = slash ? slash + 1 : repository;
	size_t n = strlen(name);

	if (text_ends(name, TREE_SUFFIX) && n > strlen(TREE_SUFFIX))
		n -= strlen(TREE_SUFFIX);
	return text_copy_bytes(name, n, err);
}

static int find_source(const char *uri, struct place *from, struct error *err)
{
	struct object_id id;
	const char *path = NULL;
	bool made;
	int r = path_of(uri, &path, err);

	if (r == 0)
		r = place_find(path, from, err);
	if (r == 0 && from->live)
		r = mount_commit(from->live, NULL, NULL, &id, &made, err);
	return r;
}

/* directory: where it is mounted; the copy stays where that fails. */
static int mount_copy(struct cli *cli, struct place *to, const char *directory, struct error *err)
{
	struct mount_options o = {0};
	int r = place_open_found(cli, 0, to, err);

	if (r == 0)
		r = tree_mount(to, directory, &o, err);
	if (r < 0)
		return error_prefix(err, "%s is made, but not mounted", to->path);
	return tree_tell(cli, to->path, directory);
}

static int make(
	struct cli *cli, const struct place *from, const char *typed, bool no_mount, struct error *err)
{
	_cleanup_free_ char *name = typed ? text_copy(typed, err) : name_of(from->path, err),
			    *directory = NULL;
	_cleanup_place_ struct place to = {0};
	struct progress progress = place_progress(cli);
	bool made = false;
	int r;

	if (!name)
		return -ERROR_NO_MEMORY;
	r = no_mount ? tree_path(name, &directory, err) : tree_directory(name, &directory, &made, err);
	if (r < 0)
		return r;
	to.path = text_format(err, "%s" TREE_SUFFIX, directory);
	r = to.path ? clone_copy(from->path, to.path, &progress, err) : -ERROR_NO_MEMORY;
	if (r == 0)
		r = no_mount ? tree_tell(cli, to.path, NULL) : mount_copy(cli, &to, directory, err);
	if (r < 0)
		tree_directory_forget(directory, &made);
	return r;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct place from = {0};
	struct error err;
	int r = find_source(words[0], &from, &err);

	if (r == 0)
		r = make(cli, &from, count > 1 ? words[1] : NULL, o->no_mount, &err);
	return r < 0 ? cli_complain(cli, &err) : r;
}

const struct command clone_command = {
	.name = "clone",
	.arguments = "URI [DIR]",
	.summary = "make a copy of a repository, with all its revisions",
	.help = "URI is a path: of a repository, or of a mounted tree. The copy is DIR.monofs, mounted at "
		"DIR; without "
		"DIR, of the name that the first one has. It has the same keys, and is a replica of its own: "
		"both can "
		"go on.",
	.examples = "monofs clone /mnt/disk/notes\nmonofs clone notes.monofs copy --no-mount",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 2,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_FILES,
};
