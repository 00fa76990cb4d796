/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/volume_monofs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/siphash.h"
#include "base/text.h"
#include "codec/monofs_uri.h"
#include "codec/volume.h"
#include "monofs/author.h"
#include "monofs/mount.h"
#include "monofs/repository.h"
#include "os/fs.h"
#include "sandbox/programs.h"
#include "sandbox/volume.h"

#define PLACES "monofs"

/* ---- what was typed ------------------------------------------------------------------------------------ */

int volume_monofs_set(struct record_mount *m, const char *uri, struct error *err)
{
	_cleanup_monofs_uri_ struct monofs_uri u = {0};
	_cleanup_free_ char *path = NULL, *found = NULL, *within = NULL;
	struct error why;
	int r = monofs_uri_parse(uri, &u, &why);

	if (r < 0)
		return error_set(err, ERROR_USAGE, "%s", why.text);
	if (m->stage || m->squash || m->nocopy)
		return error_set(err, ERROR_USAGE,
			"a monofs takes no option but ro: its revisions are what stage is for");
	r = *u.path == '~' ? volume_expand_home(u.path, &path, err) : 0;
	if (r == 0)
		r = repository_find(path ? path : u.path, &found, &within, err);
	if (r == 0 && *within)
		return error_set(err, ERROR_USAGE, "'%s' lies within a monofs: name the whole, %.*s", u.path,
			(int)(strlen(found) - strlen(".monofs")), found);
	if (r < 0)
		return r;
	m->source = realpath(found, NULL);
	m->type = text_copy(VOLUME_MONOFS, err);
	m->revision = text_copy(u.revision ? u.revision : "", err);
	m->read_only |= u.revision != NULL;
	m->mark = u.mark;
	m->undo = u.undo;
	return m->source && m->type && m->revision ? 0 : error_no_memory(err, "read --volume");
}

/* ---- the mount ----------------------------------------------------------------------------------------- */

static bool is_revision(const struct record_mount *m)
{
	return m->revision && *m->revision;
}

static int open_repository(const struct record_mount *m, struct repository **r, struct error *err)
{
	const struct repository_secret nothing = {0};
	int encrypted = repository_is_encrypted(m->source, err);

	if (encrypted < 0)
		return encrypted;
	if (encrypted)
		return error_set(err, ERROR_DENIED,
			"%s is encrypted: mount it first (monofs mount), and its key is asked for there",
			m->source);
	return repository_open(m->source, &nothing, is_revision(m), NULL, r, err);
}

/* A mount of a revision is known by the repository and what the revision was called. */
struct wanted {
	const struct record_mount *mount;
	char *directory;
};

static int compare(void *context, const struct mount_state *s, struct error *err)
{
	struct wanted *w = context;

	if (s->live || strcmp(s->repository, w->mount->source) != 0 ||
		strcmp(s->revision, w->mount->revision) != 0)
		return 0;
	w->directory = text_copy(s->directory, err);
	return w->directory ? 1 : -ERROR_NO_MEMORY;
}

/* NOT_FOUND: it is not mounted. */
static int find(const struct record_mount *m, struct mount **out, struct error *err)
{
	struct wanted w = {m, NULL};
	int r;

	if (!is_revision(m))
		return mount_find_live(m->source, out, err);
	r = mount_each(compare, &w, err);
	if (r == 0)
		return error_set(
			err, ERROR_NOT_FOUND, "the revision %s of %s is not mounted", m->revision, m->source);
	if (r > 0)
		r = mount_find(w.directory, out, err);
	free(w.directory);
	return r;
}

int volume_monofs_check(const struct record_mount *m, struct error *err)
{
	_cleanup_(cleanup_repository) struct repository *r = NULL;
	_cleanup_(cleanup_mount) struct mount *mount = NULL;
	struct object_id commit;
	int result = find(m, &mount, err);

	if (result != -ERROR_NOT_FOUND)
		return result;
	result = open_repository(m, &r, err);
	return result < 0 || !is_revision(m) ? result : repository_resolve(r, m->revision, &commit, err);
}

int volume_monofs_open(const struct record_mount *m, struct error *err)
{
	_cleanup_(cleanup_mount) struct mount *mount = NULL;
	int r = find(m, &mount, err);

	return r < 0 ? r
		     : fs_open(AT_FDCWD, mount_state(mount)->directory, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0,
			       err);
}

/* Where we mount it: the same for all sandboxes of this home. */
static int make_place(const struct home *home, const struct record_mount *m, char **place, struct error *err)
{
	static const uint64_t seed[2];
	_cleanup_free_ char *what = text_format(err, "%s\n%s", m->source, is_revision(m) ? m->revision : "");
	_cleanup_free_ char *name = NULL;
	int r;

	if (!what)
		return -ERROR_NO_MEMORY;
	name = text_format(err, PLACES "/%016llx", (unsigned long long)siphash(seed, what, strlen(what)));
	*place = name ? text_format(err, "%s/%s", home->path, name) : NULL;
	r = *place ? fs_make_directories(home->fd, name, 0700, err) : -ERROR_NO_MEMORY;
	return r;
}

static int start(const struct home *home, const struct record_mount *m, struct error *err)
{
	struct mount_options o = {.manual = m->mark, .held = true, .revision = m->revision};
	_cleanup_free_ char *program = program_path("mfsd", err), *author = author_here(err), *place = NULL;
	_cleanup_(cleanup_repository) struct repository *r = NULL;
	struct object_id commit;
	int result = program && author ? open_repository(m, &r, err) : -ERROR_NOT_FOUND;

	if (result == 0 && is_revision(m))
		result = repository_resolve(r, m->revision, &commit, err);
	if (result == 0)
		result = make_place(home, m, &place, err);
	if (result < 0)
		return result;
	o.program = program;
	o.author = author;
	o.commit = is_revision(m) ? &commit : NULL;
	return mount_start(r, place, &o, err);
}

/* ---- while a sandbox runs ------------------------------------------------------------------------------ */

struct volume_trees {
	size_t count;
	struct tree {
		struct mount *mount;
		char *target;
		bool mark;
	} list[VOLUMES_MAX];
};
CLEANUP_DEFINE(volume_trees, struct volume_trees, volume_trees_free);

void volume_trees_free(struct volume_trees *t)
{
	for (size_t i = 0; t && i < t->count; i++) {
		mount_close(t->list[i].mount);
		free(t->list[i].target);
	}
	free(t);
}

static int hold(const struct home *home, const struct record *r, const struct record_mount *m,
	struct volume_trees *t, struct error *err)
{
	_cleanup_free_ char *who = text_format(err, "sandbox %s", r->name);
	_cleanup_(cleanup_mount) struct mount *mount = NULL;
	struct tree *tree = &t->list[t->count];
	int result = who ? find(m, &mount, err) : -ERROR_NO_MEMORY;

	if (result == -ERROR_NOT_FOUND) {
		result = start(home, m, err);
		if (result == 0 || result == -ERROR_BUSY) /* another sandbox was faster */
			result = find(m, &mount, err);
	}
	if (result == 0)
		result = mount_hold(
			mount, (m->mark ? MOUNT_MARK : 0u) | (m->undo ? MOUNT_UNDO : 0u), who, err);
	if (result == 0 && !(tree->target = text_copy(m->target, err)))
		result = -ERROR_NO_MEMORY;
	if (result < 0)
		return error_prefix(err, "volume %s", m->target);
	tree->mount = TAKE_PTR(mount);
	tree->mark = m->mark;
	t->count++;
	return 0;
}

int volume_trees_hold(
	const struct home *home, const struct record *r, struct volume_trees **out, struct error *err)
{
	_cleanup_(cleanup_volume_trees) struct volume_trees *t = calloc(1, sizeof *t);
	int result = 0;

	*out = NULL;
	if (!t)
		return error_no_memory(err, "hold volumes");
	for (uint32_t i = 0; result == 0 && i < r->mount_count; i++)
		if (!strcmp(r->mounts[i].type, VOLUME_MONOFS))
			result = hold(home, r, &r->mounts[i], t, err);
	if (result == 0 && t->count)
		*out = TAKE_PTR(t);
	return result;
}

void volume_trees_release(struct volume_trees *t, bool well, const char *how,
	void (*note)(void *context, const char *text), void *context)
{
	for (size_t i = 0; t && i < t->count; i++) {
		_cleanup_free_ char *text = NULL;
		char hex[OBJECT_HEX_SIZE];
		struct object_id id;
		struct error err = {0};
		bool made = false;

		if (mount_release(t->list[i].mount, well, how, &id, &made, &err) < 0)
			text = text_format(NULL, "volume %s: %s", t->list[i].target, err.text);
		else if (made)
			text = text_format(NULL, "volume %s: revision %.12s", t->list[i].target,
				object_id_hex(&id, hex));
		if (text)
			note(context, text);
	}
}
