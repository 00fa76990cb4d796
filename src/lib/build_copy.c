/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a COPY or ADD are collected, with the paths that they will have: relative to the target, which
 * is known only with the image at hand.
 */
#include "lib/build_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"

#define FILES_MAX 4000000u
#define DEPTH_MAX 512u

void build_files_free(struct build_files *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		free(f->list[i].path);
		free(f->list[i].real);
	}
	for (size_t i = 0; i < f->source_count; i++) {
		build_source_close(f->sources[i]);
		free(f->sources[i]);
	}
	for (size_t i = 0; i < f->archive_count; i++)
		build_unpacked_free(f->archives[i]);
	free(f->archives);
	free(f->sources);
	free(f->list);
	free(f);
}

/* ---- collecting -------------------------------------------------------------------------------------- */

static int add_file(struct build_files *f, struct build_file *file, struct error *err)
{
	if (f->count == FILES_MAX)
		return error_set(err, ERROR_LIMIT, "over %u files", FILES_MAX);
	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct build_file *grown = realloc(f->list, room * sizeof *grown);

		if (!grown)
			return error_no_memory(err, "copy files");
		f->list = grown;
		f->room = room;
	}
	file->number = f->count;
	f->list[f->count++] = *file;
	return 0;
}

/* Takes the path that a file is to have and the one that it has. */
static int add_path(struct build_files *f, const struct build_source *s, const char *path, const char *real,
	const struct build_facts *facts, struct error *err)
{
	struct build_file file = {
		.path = text_copy(path, err), .real = text_copy(real, err), .source = s, .facts = *facts};
	int r = file.path && file.real ? add_file(f, &file, err) : -ERROR_NO_MEMORY;

	if (r < 0) {
		free(file.path);
		free(file.real);
	}
	return r;
}

char *build_join(const char *directory, const char *name, struct error *err)
{
	return text_format(err, "%s%s%s", directory, *directory && *name ? "/" : "", name);
}

static bool is_ignored(const struct build_source *s, const char *real)
{
	return s->ignore && dockerignore_match(s->ignore, real);
}

/* A file, or a directory with all below it. A directory that is left out comes with what comes back of it. */
static int add_tree(struct build_files *f, const struct build_source *s, const char *path, const char *real,
	const struct build_facts *facts, unsigned depth, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	int r = facts->skip || (*real && is_ignored(s, real)) ? 0 : add_path(f, s, path, real, facts, err);

	if (r < 0 || facts->type != TAR_DIRECTORY)
		return r;
	if (depth == DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "'%.200s': over %u directories deep", real, DEPTH_MAX);
	r = build_source_list(s, real, &names, err);
	for (char **name = names; r == 0 && name && *name; name++) {
		_cleanup_free_ char *to = build_join(path, *name, err), *from = build_join(real, *name, err);
		struct build_facts below;

		r = to && from ? build_source_stat(s, from, false, &below, NULL, err) : -ERROR_NO_MEMORY;
		if (r == 0)
			r = add_tree(f, s, to, from, &below, depth + 1, err);
	}
	return r;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int unpack(struct build_files *f, const struct build_at *at, const struct build_source *s,
	const char *real, const struct build_facts *facts, bool *is_archive, struct error *err)
{
	struct build_unpacked *u = NULL, **grown;
	int r = build_unpack(at->build->mc->home.path, s, real, facts, &u, err);

	*is_archive = u;
	if (r < 0 || !u)
		return r;
	grown = realloc(f->archives, (f->archive_count + 1) * sizeof *grown);
	if (!grown) {
		build_unpacked_free(u);
		return error_no_memory(err, "unpack an archive");
	}
	f->archives = grown;
	grown[f->archive_count++] = u;
	for (size_t i = 0; r == 0 && i < u->count; i++) {
		struct build_file file = {.path = text_copy(u->members[i].path, err),
			.real = text_copy("", err),
			.member = &u->members[i],
			.facts = u->members[i].facts};

		r = file.path && file.real ? add_file(f, &file, err) : -ERROR_NO_MEMORY;
		if (r < 0) {
			free(file.path);
			free(file.real);
		}
	}
	return r;
}

/* What was named: of a directory what is in it, else itself. */
static int add_named(struct build_files *f, const struct build_at *at, const struct build_step *step,
	const struct build_source *s, const char *named, struct error *err)
{
	_cleanup_free_ char *real = NULL;
	struct build_facts facts;
	bool is_archive = false;
	int r = build_source_stat(s, named, true, &facts, &real, err);

	if (r < 0)
		return r;
	if (facts.type == TAR_DIRECTORY) {
		f->has_contents = true;
		return add_tree(f, s, "", real, &facts, 0, err);
	}
	if (step->unpack && facts.type == TAR_FILE)
		r = unpack(f, at, s, real, &facts, &is_archive, err);
	if (r < 0 || is_archive) {
		f->has_contents |= is_archive;
		return r;
	}
	f->has_several |= f->has_file;
	f->has_file = true;
	return add_path(f, s, base_name(named), real, &facts, err);
}

/* Everything whose path matches a pattern, name by name. */
static int match_names(struct build_files *f, const struct build_at *at, const struct build_step *step,
	const struct build_source *s, const char *directory, const char *pattern, size_t *found,
	struct error *err)
{
	size_t n = strcspn(pattern, "/");
	_cleanup_free_ char *part = text_copy_bytes(pattern, n, err);
	_cleanup_text_list_ char **names = NULL;
	const char *rest = pattern + n + strspn(pattern + n, "/");
	int r = part ? build_source_list(s, directory, &names, err) : -ERROR_NO_MEMORY;

	for (char **name = names; r == 0 && name && *name; name++) {
		_cleanup_free_ char *path = NULL;
		struct build_facts facts;

		if (!dockerignore_pattern(part, *name, strlen(*name)))
			continue;
		path = build_join(directory, *name, err);
		r = path ? build_source_stat(s, path, true, &facts, NULL, err) : -ERROR_NO_MEMORY;
		if (r < 0 || (*rest && facts.type != TAR_DIRECTORY))
			continue;
		if (*rest)
			r = match_names(f, at, step, s, path, rest, found, err);
		else if (!is_ignored(s, path)) {
			f->has_several |= (*found)++ > 0;
			r = add_named(f, at, step, s, path, err);
		}
	}
	return r;
}

int build_clean_path(const char *text, struct buffer *out, struct error *err)
{
	for (const char *at = text;;) {
		size_t n = strcspn(at += strspn(at, "/"), "/");

		if (!n)
			break;
		if (n == 2 && !memcmp(at, "..", 2)) {
			if (!out->size)
				return error_set(err, ERROR_DENIED, "'%s' leads out of the context", text);
			while (out->size && out->data[--out->size] != '/')
				;
		} else if (n != 1 || *at != '.') {
			if (out->size)
				buffer_u8(out, '/');
			buffer_append(out, at, n);
		}
		at += n;
	}
	return buffer_u8(out, 0) ? 0 : error_no_memory(err, "copy files");
}

static int add_source(struct build_files *f, struct build_source **s, struct error *err)
{
	struct build_source **grown = realloc(f->sources, (f->source_count + 1) * sizeof *grown);

	if (!grown)
		return error_no_memory(err, "copy files");
	f->sources = grown;
	*s = calloc(1, sizeof **s);
	if (!*s)
		return error_no_memory(err, "copy files");
	**s = (struct build_source){.directory = -1, .image_fd = -1};
	grown[f->source_count++] = *s;
	return 0;
}

static int add_pattern(struct build_files *f, const struct build_at *at, const struct build_step *step,
	const struct build_source *s, const char *text, struct error *err)
{
	_cleanup_buffer_ struct buffer path = {0};
	const char *pattern;
	size_t found = 0;
	int r = build_clean_path(text, &path, err);

	if (r < 0)
		return r;
	pattern = (const char *)path.data;
	if (strpbrk(pattern, "*?[\\"))
		r = match_names(f, at, step, s, "", pattern, &found, err);
	else {
		found = 1;
		r = *pattern && is_ignored(s, pattern) && !s->ignore->any_back
			    ? error_set(err, ERROR_NOT_FOUND, "the .dockerignore leaves it out")
			    : add_named(f, at, step, s, pattern, err);
	}
	if (r == 0 && !found)
		r = error_set(err, ERROR_NOT_FOUND, "nothing there matches it");
	return r < 0 ? error_prefix(err, "copy '%s'", text) : 0;
}

/* A path of the host: its directory is the source. */
static int add_absolute(struct build_files *f, const struct build_at *at, const struct build_step *step,
	const char *path, struct error *err)
{
	_cleanup_free_ char *parent = text_copy(path, err);
	struct build_source *s;
	char *slash;
	struct stat st;
	int r = parent ? add_source(f, &s, err) : -ERROR_NO_MEMORY;

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return error_errno(err, errno, "copy '%s'", path);
	if (S_ISDIR(st.st_mode)) {
		r = build_source_directory(s, AT_FDCWD, path, NULL, err);
		return r < 0 ? r : add_named(f, at, step, s, "", err);
	}
	slash = strrchr(parent, '/');
	slash[slash == parent] = 0;
	r = build_source_directory(s, AT_FDCWD, parent, NULL, err);
	return r < 0 ? r : add_named(f, at, step, s, base_name(path), err);
}

static int add_inline(struct build_files *f, const struct build_inline *i, struct error *err)
{
	struct build_file file = {.path = text_copy(i->name, err),
		.real = text_copy("", err),
		.text = i->text,
		.facts = {.type = TAR_FILE, .mode = 0644, .size = strlen(i->text)}};
	int r = file.path && file.real ? add_file(f, &file, err) : -ERROR_NO_MEMORY;

	if (r < 0) {
		free(file.path);
		free(file.real);
	}
	f->has_several |= f->has_file;
	f->has_file = true;
	return r;
}

/* The image that files come from. Whether they were copied before shows by its digest, without a look at
 * them.
 */
static int find_image(
	struct build_files *f, struct build_at *at, const struct build_step *step, struct error *err)
{
	f->by_digest = true;
	if (!step->stage)
		return build_pull(at, step->from, f->digest, err);
	memcpy(f->digest, at->build->stages[step->stage - 1].digest, sizeof f->digest);
	return 0;
}

int build_files_of_image(
	struct build_files *f, struct build_at *at, const struct build_step *step, struct error *err)
{
	struct build_source *s;
	int r = add_source(f, &s, err);

	if (r == 0)
		r = build_source_image(s, at->store, f->digest, err);
	for (char **source = step->sources; r == 0 && source && *source; source++)
		r = add_pattern(f, at, step, s, *source, err);
	return r;
}

static int collect_from_host(
	struct build_files *f, struct build_at *at, const struct build_step *step, struct error *err)
{
	struct build_source *s = NULL;
	int r = 0;

	if (!step->absolute && step->sources && *step->sources) {
		r = add_source(f, &s, err);
		if (r == 0)
			r = build_source_directory(s, at->build->context, ".", &at->build->ignore, err);
	}
	for (char **source = step->sources; r == 0 && source && *source; source++)
		r = step->absolute ? add_absolute(f, at, step, *source, err)
				   : add_pattern(f, at, step, s, *source, err);
	for (size_t i = 0; r == 0 && i < step->inline_count; i++)
		r = add_inline(f, &step->inlines[i], err);
	return r;
}

int build_files_collect(
	struct build_at *at, const struct build_step *step, struct build_files **out, struct error *err)
{
	_cleanup_(cleanup_build_files) struct build_files *f = calloc(1, sizeof *f);
	int r = f ? 0 : error_no_memory(err, "copy files");

	if (r == 0 && (step->stage || step->from))
		r = find_image(f, at, step, err);
	else if (r == 0)
		r = collect_from_host(f, at, step, err);
	if (r == 0) {
		f->has_several |= text_list_size(step->sources) + step->inline_count > 1;
		*out = TAKE_PTR(f);
	}
	return r;
}
