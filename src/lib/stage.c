/* SPDX-License-Identifier: Apache-2.0 */
/* What is staged in a sandbox, read and compared with the host's directories. */
#include "lib/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/fs.h"
#include "sandbox/volume.h"
#include "sandbox/volume_guard.h"
#include "vfs/guard/guard.h"
#include "vfs/native/native.h"

#define SPOOL_EXTRA (1ull << 30) /* headers of the archive, over what the disk holds */

CLEANUP_DEFINE(diff, struct stage_diff, stage_diff_free);

static void volume_close(struct staged_volume *v)
{
	vfs_destroy(v->fs);
	for (size_t i = 0; i < 2; i++) {
		int fd = i ? v->spool : v->directory;

		if (fd >= 0)
			close(fd);
	}
	buffer_free(&v->guarded);
	text_list_free(v->paths);
	free(v->matched);
	applied_free(v);
	stage_changes_free(&v->changes);
}

void staged_close(struct staged *s)
{
	upper_close(&s->upper);
	for (size_t i = 0; i < s->count; i++)
		volume_close(&s->volumes[i]);
	directory_close(&s->directory);
	record_free(&s->record);
}

/* ---- the host's directories ---------------------------------------------------------------------------- */

static int lock_directory(struct staged_volume *v, const char *path, struct error *err)
{
	int r;

	do
		r = flock(v->directory, LOCK_EX | LOCK_NB);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EWOULDBLOCK)
		return error_set(err, ERROR_BUSY, "changes are being applied to %s already", path);
	return r < 0 ? error_errno(err, errno, "lock %s", path) : 0;
}

/* The guard also keeps what it alone sees to be the same: a name in another case, a link of the host's. */
static int open_directory(struct staged *s, struct staged_volume *v, unsigned wish, struct error *err)
{
	_cleanup_fd_ int fd = volume_open(&s->mc->home, v->mount, err);
	bool change = wish & STAGED_CHANGE, all;
	struct native_options o = {
		.owners = v->mount->squash ? NATIVE_SQUASH : NATIVE_OVERRIDE, .read_only = !change};
	int r = fd < 0 ? fd : volume_guard_names(&s->record, v->mount, fd, &v->guarded, &all, err);

	if (r < 0)
		return r;
	v->directory = fs_open(fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	if (v->directory < 0)
		return v->directory;
	r = change ? lock_directory(v, v->mount->source, err) : 0;
	o.directory = v->directory;
	if (r == 0)
		r = native_new(&o, &v->fs, err);
	if (r == 0 && !(wish & STAGED_GUARDED))
		r = guard_new(v->fs, (const char *)v->guarded.data, v->guarded.size, &v->fs, err);
	if (r < 0)
		v->fs = NULL;
	return r;
}

/* ---- what is staged ------------------------------------------------------------------------------------ */

struct stage_view staged_view(const struct staged *s, const struct staged_volume *v)
{
	static char *const nothing[] = {NULL};

	return (struct stage_view){.fs = v->fs,
		.squash = v->mount->squash,
		.paths = v->left_out ? nothing : v->paths,
		.matched = v->left_out ? NULL : v->matched,
		.created = s->record.created,
		.started = s->started,
		.applied = &v->applied};
}

struct reading {
	struct stage_diff *diff;
	struct spool spool;
};

static int take_piece(void *context, const void *bytes, size_t n, struct error *err)
{
	struct reading *g = context;
	int r = stage_diff_feed(g->diff, bytes, n, err);

	return r == 0 && g->spool.fd >= 0 ? spool_add(&g->spool, bytes, n, err) : r;
}

static int read_volume(struct staged *s, struct staged_volume *v, bool keep, struct error *err)
{
	const struct stage_view view = staged_view(s, v);
	_cleanup_(cleanup_diff) struct stage_diff *diff = NULL;
	struct reading g = {.spool = {.fd = -1}};
	int r = stage_diff_new(&view, &diff, err);

	g.diff = diff;
	if (r == 0 && keep) {
		r = spool_open(&g.spool, s->directory.fd, s->record.disk + SPOOL_EXTRA, err);
		v->spool = g.spool.fd;
	}
	if (r == 0)
		r = upper_read(&s->upper, v->number, true, take_piece, &g, err);
	if (r == 0)
		r = stage_diff_finish(diff, &v->changes, err);
	if (r == 0)
		staged_mark_guarded(v);
	return r < 0 ? error_prefix(err, "volume %s", v->mount->target) : 0;
}

int staged_read(struct staged *s, unsigned wish, struct error *err)
{
	bool change = wish & STAGED_CHANGE;
	int r = applied_read(s, err);

	for (size_t i = 0; r == 0 && i < s->count; i++)
		if (!s->volumes[i].left_out || wish & STAGED_EVERYTHING)
			r = open_directory(s, &s->volumes[i], wish, err);
	if (r == 0)
		r = upper_open(&s->upper, s->mc, &s->directory, &s->record, err);
	for (size_t i = 0; r == 0 && i < s->count; i++)
		if (!s->volumes[i].left_out || wish & STAGED_EVERYTHING)
			r = read_volume(s, &s->volumes[i], change, err);
	return r;
}

static bool has_change_within(const struct staged_volume *v, const char *path)
{
	for (size_t i = 0; i < v->changes.count; i++)
		if (stage_is_within(v->changes.list[i].path, path))
			return true;
	return false;
}

int staged_check_paths(const struct staged *s, struct error *err)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct staged_volume *v = &s->volumes[i];

		for (size_t p = 0; v->paths && v->paths[p]; p++)
			if (*v->paths[p] && !v->matched[p] && !has_change_within(v, v->paths[p]))
				return error_set(err, ERROR_NOT_FOUND, "nothing is staged at '%s/%s'",
					v->mount->target, v->paths[p]);
	}
	return 0;
}

/* ---- what is told -------------------------------------------------------------------------------------- */

char *staged_path(const struct staged_volume *v, const char *path, struct error *err)
{
	return text_format(err, "%s%s%s", v->mount->target, *path ? "/" : "", path);
}

static int tell_one(const struct staged_volume *v, const struct stage_change *c,
	struct monocore_volume_change *out, struct error *err)
{
	*out = (struct monocore_volume_change){.kind = (char)c->kind,
		.path = staged_path(v, c->path, err),
		.mark = c->mark ? c->mark : "",
		.before = {c->before.mode, c->before.uid, c->before.gid, c->before.size},
		.after = {c->after.mode, c->after.uid, c->after.gid, c->after.size},
		.contents = c->contents,
		.conflict = c->conflict};
	return out->path ? 0 : -ERROR_NO_MEMORY;
}

int staged_tell(
	const struct staged *s, struct monocore_volume_change **list, size_t *count, struct error *err)
{
	struct monocore_volume_change *all;
	size_t most = 1, n = 0;
	int r = 0;

	for (size_t i = 0; i < s->count; i++)
		most += s->volumes[i].changes.count;
	all = calloc(most, sizeof *all);
	if (!all)
		return error_no_memory(err, "tell what is staged");
	for (size_t i = 0; i < s->count; i++)
		for (size_t c = 0; r == 0 && c < s->volumes[i].changes.count; c++)
			if (s->volumes[i].changes.list[c].selected)
				r = tell_one(&s->volumes[i], &s->volumes[i].changes.list[c], &all[n++], err);
	if (r < 0) {
		monocore_volume_changes_free(all, n);
		return r;
	}
	*list = all;
	*count = n;
	return 0;
}

void monocore_volume_changes_free(struct monocore_volume_change *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		free(list[i].path);
	free(list);
}

/* ---- the sandbox --------------------------------------------------------------------------------------- */

int staged_remove_sandbox(struct staged *s, struct error *err)
{
	int r;

	upper_close(&s->upper);
	r = s->directory.lock >= 0 ? 0 : directory_lock(&s->directory, false, err);
	return r < 0 ? r : directory_remove(&s->mc->home, &s->directory, s->record.name, err);
}
