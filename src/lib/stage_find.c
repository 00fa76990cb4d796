/* SPDX-License-Identifier: Apache-2.0 */
/* Which sandbox is meant, and what of its staged volumes. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/volume.h"
#include "lib/stage.h"
#include "sandbox/records.h"

static int add_name(void *context, const struct record *record, struct error *err)
{
	return record_has_staged(record) ? text_list_add(context, record->name, err) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The only one with staged volumes. */
static int find_only(struct monocore *mc, char **name, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	_cleanup_buffer_ struct buffer all = {0};
	int r = records_each(&mc->home, add_name, &names, err);

	if (r < 0)
		return r;
	if (!names)
		return error_set(
			err, ERROR_NOT_FOUND, "no sandbox has a staged volume (--volume DIR:PATH:stage)");
	qsort(names, text_list_size(names), sizeof *names, by_name);
	for (char **n = names; *n; n++)
		buffer_format(&all, "%s%s", n == names ? "" : ", ", *n);
	if (names[1] && buffer_u8(&all, 0))
		return error_set(err, ERROR_USAGE, "several sandboxes have staged volumes, name one: %s",
			(const char *)all.data);
	*name = text_copy(names[0], err);
	return *name ? 0 : -ERROR_NO_MEMORY;
}

/* ---- paths --------------------------------------------------------------------------------------------- */

/* Without ".", double slashes and one at the end; "/" and "" may be left. */
static int tidy(const char *path, struct buffer *out, struct error *err)
{
	size_t start = *path == '/';

	buffer_append(out, "/", start);
	for (const char *at = path; *(at += strspn(at, "/"));) {
		size_t n = strcspn(at, "/");

		if (n == 2 && !memcmp(at, "..", 2))
			return error_set(err, ERROR_USAGE, "'%s': a path with '..'", path);
		if (n != 1 || *at != '.') {
			buffer_append(out, "/", out->size > start);
			buffer_append(out, at, n);
		}
		at += n;
	}
	return buffer_u8(out, 0) ? 0 : error_no_memory(err, "read a path");
}

static int mean(struct staged_volume *v, const char *path, struct error *err)
{
	v->left_out = false;
	return text_list_add(&v->paths, path, err);
}

/* Everything of the volumes that lie below a directory of the sandbox. */
static int mean_below(struct staged *s, const char *path, bool *found, struct error *err)
{
	size_t n = strcmp(path, "/") ? strlen(path) : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->count; i++) {
		const char *target = s->volumes[i].mount->target;

		if (strncmp(target, path, n) || target[n] != '/')
			continue;
		*found = true;
		r = mean(&s->volumes[i], "", err);
	}
	return r;
}

static int take_absolute(struct staged *s, const char *path, const char *given, struct error *err)
{
	struct staged_volume *in = NULL;
	bool found = false;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < s->count; i++) {
		const char *target = s->volumes[i].mount->target;

		if (stage_is_within(path, target) && strlen(target) > n) {
			in = &s->volumes[i];
			n = strlen(target);
		}
	}
	if (in)
		return mean(in, path + n + (path[n] == '/'), err);
	r = mean_below(s, path, &found, err);
	return r < 0 || found ? r
			      : error_set(err, ERROR_NOT_FOUND, "'%s' is in no staged volume of sandbox '%s'",
					given, s->record.name);
}

static int take_path(struct staged *s, const char *given, struct error *err)
{
	_cleanup_buffer_ struct buffer path = {0};
	int r = *given ? tidy(given, &path, err) : error_set(err, ERROR_USAGE, "an empty path");

	if (r < 0)
		return r;
	if (*path.data == '/')
		return take_absolute(s, (const char *)path.data, given, err);
	if (s->count > 1)
		return error_set(err, ERROR_USAGE,
			"'%s': sandbox '%s' has several staged volumes: write the path as it is there, from "
			"/",
			given, s->record.name);
	return mean(&s->volumes[0], (const char *)path.data, err);
}

/* ---- the sandbox --------------------------------------------------------------------------------------- */

static int add_volumes(struct staged *s, bool left_out, struct error *err)
{
	for (uint32_t i = 0; i < s->record.mount_count; i++)
		if (s->record.mounts[i].stage)
			s->volumes[s->count++] = (struct staged_volume){.mount = &s->record.mounts[i],
				.number = i,
				.left_out = left_out,
				.directory = -1,
				.spool = -1};
	return s->count
		       ? 0
		       : error_set(err, ERROR_NOT_FOUND, "sandbox '%s' has no staged volume", s->record.name);
}

static int make_room_for_matches(struct staged *s, struct error *err)
{
	for (size_t i = 0; i < s->count; i++) {
		struct staged_volume *v = &s->volumes[i];

		v->matched = calloc(text_list_size(v->paths) + 1, sizeof *v->matched);
		if (!v->matched)
			return error_no_memory(err, "read paths");
	}
	return 0;
}

int staged_find(struct staged *s, struct monocore *mc, const char *sandbox, const char *const *paths,
	struct error *err)
{
	_cleanup_free_ char *only = NULL;
	_cleanup_status_ struct status status = {0};
	int r = sandbox ? 0 : find_only(mc, &only, err);

	s->mc = mc;
	if (r == 0)
		r = find_sandbox(mc, sandbox ? sandbox : only, &s->directory, &s->record, err);
	if (r == 0)
		r = status_read(s->directory.fd, &status, err);
	if (r == 0)
		r = add_volumes(s, paths && *paths, err);
	for (; r == 0 && paths && *paths; paths++)
		r = take_path(s, *paths, err);
	if (r == 0)
		r = make_room_for_matches(s, err);
	s->started = status.started;
	return r;
}
