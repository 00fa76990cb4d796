/* SPDX-License-Identifier: Apache-2.0 */
/* volume diff and volume apply. */
#include <stdio.h>

#include "base/cleanup.h"
#include "lib/stage.h"

CLEANUP_DEFINE(apply, struct stage_apply, stage_apply_free);

static int diff(struct monocore *mc, const char *sandbox, const char *const *paths,
	struct monocore_volume_change **list, size_t *count, struct error *err)
{
	_cleanup_staged_ struct staged s = STAGED_NONE;
	int r = staged_find(&s, mc, sandbox, paths, err);

	if (r == 0)
		r = staged_read(&s, 0, err);
	return r < 0 ? r : staged_tell(&s, list, count, err);
}

int monocore_volume_diff(struct monocore *mc, const char *sandbox, const char *const *paths,
	struct monocore_volume_change **list, size_t *count, struct monocore_error *error)
{
	struct error err;

	return diff(mc, sandbox, paths, list, count, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- apply --------------------------------------------------------------------------------------------- */

static size_t count_conflicts(const struct staged *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->volumes[i].changes.conflicts;
	return n;
}

static int refuse(const struct staged *s, const char *path, struct error *err)
{
	size_t others = count_conflicts(s) - 1;
	char more[48] = "";

	if (others)
		snprintf(more, sizeof more, " (and %zu more)", others);
	return error_set(err, ERROR_BUSY,
		"'%s'%s was changed here since the sandbox saw it, and nothing is applied: look at 'monocore "
		"volume diff %s', then name other paths, or give --force",
		path, more, s->record.name);
}

static int check_conflicts(const struct staged *s, struct error *err)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct staged_volume *v = &s->volumes[i];

		for (size_t c = 0; v->changes.conflicts && c < v->changes.count; c++) {
			const struct stage_change *change = &v->changes.list[c];
			_cleanup_free_ char *path = NULL;

			if (!change->conflict || !change->selected)
				continue;
			path = staged_path(v, change->path, err);
			return path ? refuse(s, path, err) : -ERROR_NO_MEMORY;
		}
	}
	return 0;
}

struct applying {
	struct staged_volume *volume;
	struct stage_apply *apply;
	struct progress *progress;
	uint64_t done;
	bool failed; /* memory */
};

static void note(void *context, const struct stage_change *c, uint64_t changed)
{
	struct applying *g = context;

	g->failed |= applied_note(g->volume, c->path, changed, NULL) < 0;
	progress_report(
		g->progress, &(struct progress_event){.task = "apply", .unit = "changes", .done = ++g->done});
}

static int feed(void *context, const void *bytes, size_t n, struct error *err)
{
	struct applying *g = context;

	return stage_apply_feed(g->apply, bytes, n, err);
}

static int apply_volume(struct staged *s, struct staged_volume *v, struct error *err)
{
	const struct stage_view view = staged_view(s, v);
	_cleanup_(cleanup_apply) struct stage_apply *apply = NULL;
	struct applying g = {.volume = v, .progress = &s->mc->progress};
	int r = stage_apply_new(&view, &v->changes, note, &g, &apply, err);

	g.apply = apply;
	if (r == 0)
		r = spool_read(v->spool, feed, &g, err);
	if (r == 0)
		r = stage_apply_finish(apply, err);
	if (g.done)
		progress_report(g.progress,
			&(struct progress_event){
				.task = "apply", .unit = "changes", .done = g.done, .finished = true});
	if (r == 0 && g.failed)
		r = error_no_memory(err, "remember what was applied");
	return r < 0 ? error_prefix(err, "volume %s", v->mount->target) : 0;
}

/* A time that no file has is a conflict at worst. */
static int note_intentions(struct staged *s, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct staged_volume *v = &s->volumes[i];

		for (size_t c = 0; r == 0 && c < v->changes.count; c++) {
			const struct stage_change *change = &v->changes.list[c];

			if (change->selected && change->kind != STAGE_DELETED)
				r = applied_note(v, change->path, 1, err);
		}
	}
	return r < 0 ? r : applied_write(s, err);
}

static int apply_all(struct staged *s, struct error *err)
{
	struct error late;
	int r = note_intentions(s, err);

	for (size_t i = 0; r == 0 && i < s->count; i++)
		if (!s->volumes[i].left_out)
			r = apply_volume(s, &s->volumes[i], err);
	if (applied_write(s, r < 0 ? &late : err) < 0 && r == 0)
		r = -(int)err->code;
	return r;
}

/* A throw-away sandbox goes once nothing is staged in it any more. */
static int remove_finished(struct staged *s, struct error *err)
{
	if (!s->record.discard || s->upper.running)
		return 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->volumes[i].changes.unselected)
			return 0;
	return staged_remove_sandbox(s, err);
}

static int apply(struct monocore *mc, const char *sandbox, const char *const *paths,
	const struct monocore_volume_apply_options *o, struct monocore_volume_change **list, size_t *count,
	struct error *err)
{
	_cleanup_staged_ struct staged s = STAGED_NONE;
	int r = o->version == 1 ? staged_find(&s, mc, sandbox, paths, err)
				: error_set(err, ERROR_INVALID,
					  "apply options of version %u: this library knows 1", o->version);

	if (r == 0)
		r = staged_read(&s,
			STAGED_CHANGE | (s.record.discard ? STAGED_EVERYTHING : 0u) |
				(o->configuration ? STAGED_GUARDED : 0u),
			err);
	if (r == 0)
		r = staged_check_paths(&s, err);
	if (r == 0 && !o->configuration)
		r = staged_check_guarded(&s, err);
	if (r == 0 && !o->force)
		r = check_conflicts(&s, err);
	if (r == 0)
		r = apply_all(&s, err);
	if (r == 0)
		r = staged_tell(&s, list, count, err);
	if (r == 0 && (r = remove_finished(&s, err)) < 0)
		monocore_volume_changes_free(*list, *count);
	return r;
}

int monocore_volume_apply(struct monocore *mc, const char *sandbox, const char *const *paths,
	const struct monocore_volume_apply_options *options, struct monocore_volume_change **list,
	size_t *count, struct monocore_error *error)
{
	const struct monocore_volume_apply_options none = MONOCORE_VOLUME_APPLY_OPTIONS_INIT;
	struct error err;

	return apply(mc, sandbox, paths, options ? options : &none, list, count, &err) < 0
		       ? give_error(error, &err)
		       : 0;
}
