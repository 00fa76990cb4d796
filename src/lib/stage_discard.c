/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume discard. Of a stopped sandbox the changes themselves are removed, from a machine of its own. A
 * running one has its overlay over them, which does not bear that: there what it has more is removed, and
 * what it lacks or has otherwise is written as the host has it now.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/tar.h"
#include "lib/files.h"
#include "lib/stage.h"
#include "sandbox/stage/pack.h"

/* ---- of a running sandbox ------------------------------------------------------------------------------ */

/* What the sandbox has more; what is below it goes with it. */
static int remove_added(struct staged *s, struct staged_volume *v, struct error *err)
{
	const char *last = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->changes.count; i++) {
		const struct stage_change *c = &v->changes.list[i];
		_cleanup_free_ char *path = NULL;

		if (!c->selected || (c->kind != STAGE_ADDED && c->kind != STAGE_TYPE) ||
			(last && stage_is_within(c->path, last)))
			continue;
		path = staged_path(v, c->path, err);
		r = path ? upper_remove(&s->upper, UPPER_ROOT, path, err) : -ERROR_NO_MEMORY;
		last = c->path;
	}
	return r;
}

struct sender {
	struct peer peer;
	uint64_t window;
};

static int send_piece(void *context, const void *bytes, size_t n, struct error *err)
{
	struct sender *s = context;

	return files_send(&s->peer, &s->window, bytes, n, err);
}

static int send_changes(struct sender *s, const struct staged_volume *v, struct error *err)
{
	_cleanup_buffer_ struct buffer end = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->changes.count; i++) {
		const struct stage_change *c = &v->changes.list[i];

		if (c->selected && c->kind != STAGE_ADDED)
			r = stage_pack(v->fs, c->path, send_piece, s, err);
	}
	if (r == 0 && !tar_write_end(&end))
		r = error_no_memory(err, "send what the host has");
	return r < 0 ? r : send_piece(s, end.data, end.size, err);
}

static int restore(struct staged *s, struct staged_volume *v, struct error *err)
{
	struct sender sender = {.peer = PEER_NONE, .window = STREAM_WINDOW};
	int r = remove_added(s, v, err);

	if (r == 0)
		r = files_connect(s->mc, s->record.name, &sender.peer, err);
	if (r == 0)
		r = files_open(&sender.peer, MESSAGE_PUT, v->mount->target, PUT_KEEP_OWNERS, err);
	if (r == 0)
		r = send_changes(&sender, v, err);
	if (r == 0)
		r = files_finish(&sender.peer, err);
	peer_close(&sender.peer);
	return r;
}

/* ---- of a stopped one ---------------------------------------------------------------------------------- */

static int remove_path(
	struct staged *s, struct staged_volume *v, const char *path, bool matched, struct error *err)
{
	bool applied;
	int r = applied_forget(v, path, &applied, err);

	if (r == 0 && !matched && !applied)
		return error_set(err, ERROR_INVALID,
			"'%s/%s' is gone with a directory that was replaced as a whole: discard that",
			v->mount->target, path);
	return r < 0 ? r : upper_remove(&s->upper, v->number, *path ? path : ".", err);
}

static int remove_changes(struct staged *s, struct staged_volume *v, struct error *err)
{
	int r = 0;

	if (!v->paths)
		return remove_path(s, v, "", true, err);
	for (size_t i = 0; r == 0 && v->paths[i]; i++)
		r = remove_path(s, v, v->paths[i], !*v->paths[i] || v->matched[i], err);
	return r;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

static int discard_volume(struct staged *s, struct staged_volume *v, struct error *err)
{
	int r = s->upper.running ? restore(s, v, err) : remove_changes(s, v, err);

	return r < 0 ? error_prefix(err, "volume %s", v->mount->target) : 0;
}

static bool nothing_is_left(const struct staged *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->volumes[i].changes.unselected)
			return false;
	return true;
}

/* Without a machine where the whole sandbox goes. */
static bool is_all_of_it(struct staged *s)
{
	struct error err;

	for (size_t i = 0; i < s->count; i++)
		if (s->volumes[i].left_out || s->volumes[i].paths)
			return false;
	return s->record.discard &&
	       (s->directory.lock >= 0 || directory_lock(&s->directory, false, &err) == 0);
}

static int discard(struct monocore *mc, const char *sandbox, const char *const *paths, struct error *err)
{
	_cleanup_staged_ struct staged s = STAGED_NONE;
	int r = staged_find(&s, mc, sandbox, paths, err);

	if (r == 0 && is_all_of_it(&s))
		return directory_remove(&mc->home, &s.directory, s.record.name, err);
	if (r == 0)
		r = staged_read(&s, s.record.discard ? STAGED_EVERYTHING : 0, err);
	if (r == 0)
		r = staged_check_paths(&s, err);
	for (size_t i = 0; r == 0 && i < s.count; i++)
		if (!s.volumes[i].left_out)
			r = discard_volume(&s, &s.volumes[i], err);
	if (r == 0)
		r = applied_write(&s, err);
	if (r == 0 && s.record.discard && !s.upper.running && nothing_is_left(&s))
		r = staged_remove_sandbox(&s, err);
	return r;
}

int monocore_volume_discard(
	struct monocore *mc, const char *sandbox, const char *const *paths, struct monocore_error *error)
{
	struct error err;

	return discard(mc, sandbox, paths, &err) < 0 ? give_error(error, &err) : 0;
}
