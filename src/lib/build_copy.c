/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a COPY or ADD become a layer without a machine: they are collected with the paths that they
 * will have (relative to the target, which is known only with the image at hand), sorted as a layer has them,
 * and written as an archive: once for their digest, without times, and once more to a commit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/passwd.h"
#include "codec/sha256.h"
#include "lib/build.h"
#include "lib/build_source.h"
#include "lib/build_unpack.h"
#include "oci/commit.h"
#include "oci/layer_path.h"
#include "os/fs.h"

#define FILES_MAX  4000000u
#define DEPTH_MAX  512u
#define PASSWD_MAX (1u << 20)

struct file {
	char *path; /* beneath the target; "" is the target itself */
	char *real; /* in the source */
	const struct build_source *source;
	const char *text;            /* or a heredoc's */
	struct build_member *member; /* or of an archive; owned by it */
	struct build_facts facts;
	size_t number; /* the later one of a path counts */
};

struct build_files {
	struct file *list;
	size_t count, room;
	struct build_source **sources;
	size_t source_count;
	struct build_unpacked **archives;
	size_t archive_count;
	bool has_file;     /* something that was named is no directory */
	bool has_several;  /* or more than one thing was */
	bool has_contents; /* of a directory or an archive */
	bool by_digest;    /* all come from an image, whose digest says what they are */
	char digest[OCI_DIGEST_SIZE];
};

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

static int add_file(struct build_files *f, struct file *file, struct error *err)
{
	if (f->count == FILES_MAX)
		return error_set(err, ERROR_LIMIT, "over %u files", FILES_MAX);
	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct file *grown = realloc(f->list, room * sizeof *grown);

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
	struct file file = {
		.path = text_copy(path, err), .real = text_copy(real, err), .source = s, .facts = *facts};
	int r = file.path && file.real ? add_file(f, &file, err) : -ERROR_NO_MEMORY;

	if (r < 0) {
		free(file.path);
		free(file.real);
	}
	return r;
}

static char *join(const char *directory, const char *name, struct error *err)
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
		_cleanup_free_ char *to = join(path, *name, err), *from = join(real, *name, err);
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
		struct file file = {.path = text_copy(u->members[i].path, err),
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
		path = join(directory, *name, err);
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

/* A path from the root of the source, its dots resolved; INVALID where it leads above. */
static int clean(const char *text, struct buffer *out, struct error *err)
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
	int r = clean(text, &path, err);

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
	struct file file = {.path = text_copy(i->name, err),
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

static int collect_from_image(
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

/* ---- writing ----------------------------------------------------------------------------------------- */

struct placing {
	char *prefix; /* of all paths, without slashes at its ends; "" is the root */
	char *rename; /* the only file's name there; NULL: as it is called */
	uint32_t uid, gid;
	bool owned, make_target;
	int64_t epoch; /* of all; INT64_MAX: as they are */
	const struct build_step *step;
	build_taker *take;
	void *context;
};

static int by_path(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	int order = layer_path_compare(x->path, y->path);

	return order ? order : x->number < y->number ? -1 : 1;
}

/* Sorted, and of those of one path the last; a directory over a directory stays one. */
static void sort_files(struct build_files *f)
{
	size_t kept = 0;

	if (f->count)
		qsort(f->list, f->count, sizeof *f->list, by_path);
	for (size_t i = 0; i < f->count; i++) {
		if (kept && !strcmp(f->list[kept - 1].path, f->list[i].path)) {
			free(f->list[kept - 1].path);
			free(f->list[kept - 1].real);
			kept--;
		}
		f->list[kept++] = f->list[i];
	}
	f->count = kept;
}

static int write_data(const struct file *file, const struct placing *p, struct error *err)
{
	static const uint8_t zeroes[512];
	int r;

	if (file->facts.type != TAR_FILE)
		return 0;
	if (file->text)
		r = p->take(p->context, file->text, file->facts.size, err);
	else if (file->member)
		r = build_member_read(file->member, p->take, p->context, err);
	else
		r = build_source_read(file->source, file->real, &file->facts, p->take, p->context, err);
	if (r == 0 && tar_padding(file->facts.size))
		r = p->take(p->context, zeroes, tar_padding(file->facts.size), err);
	return r;
}

static int write_header(const struct file *file, const struct placing *p, const char *path, struct error *err)
{
	_cleanup_buffer_ struct buffer header = {0};
	_cleanup_free_ char *link = NULL;
	const struct build_facts *facts = &file->facts;
	bool at_epoch = p->epoch != INT64_MAX;
	struct tar_entry e = {.type = facts->type,
		.path = (char *)(uintptr_t)path,
		.mode = facts->type == TAR_SYMBOLIC_LINK ? 0777
			: p->step->has_mode              ? p->step->mode
							 : facts->mode,
		.uid = p->owned ? p->uid : facts->uid,
		.gid = p->owned ? p->gid : facts->gid,
		.size = facts->type == TAR_FILE ? facts->size : 0,
		.mtime = at_epoch ? p->epoch : facts->mtime,
		.mtime_nanoseconds = at_epoch ? 0 : facts->mtime_nanoseconds,
		.device_major = facts->device_major,
		.device_minor = facts->device_minor};
	int r = 0;

	if (facts->type == TAR_SYMBOLIC_LINK && file->member)
		e.link = file->member->link;
	else if (facts->type == TAR_SYMBOLIC_LINK) {
		r = build_source_link(file->source, file->real, &link, err);
		e.link = link;
	}
	if (r == 0 && file->source)
		r = build_source_xattrs(file->source, file->real, &e.xattrs, &e.xattr_count, err);
	if (r == 0)
		r = tar_write_entry(&header, &e, err);
	build_xattrs_free(e.xattrs, e.xattr_count);
	return r < 0 ? r : p->take(p->context, header.data, header.size, err);
}

static int write_file(const struct file *file, const struct placing *p, struct error *err)
{
	_cleanup_free_ char *path = join(p->prefix, p->rename ? p->rename : file->path, err);
	int r = path ? 0 : -ERROR_NO_MEMORY;

	/* The target's own directory is what it was, or comes with what is in it. */
	if (r == 0 && !*file->path && file->facts.type == TAR_DIRECTORY && !p->make_target)
		return 0;
	if (r == 0)
		r = write_header(file, p, path, err);
	return r < 0 ? r : write_data(file, p, err);
}

static int write_files(struct build_files *f, const struct placing *p, struct error *err)
{
	_cleanup_buffer_ struct buffer end = {0};
	int r = 0;

	sort_files(f);
	for (size_t i = 0; r == 0 && i < f->count; i++)
		r = write_file(&f->list[i], p, err);
	if (r == 0 && !tar_write_end(&end))
		r = error_no_memory(err, "copy files");
	return r < 0 ? r : p->take(p->context, end.data, end.size, err);
}

static int hash_piece(void *context, const void *data, size_t n, struct error *err)
{
	(void)err;
	sha256_update(context, data, n);
	return 0;
}

int build_files_digest(struct build_files *f, char digest[OCI_DIGEST_SIZE], struct error *err)
{
	static const struct build_step plain;
	_cleanup_sha256_ struct sha256 hash = {0};
	const struct placing p = {
		.prefix = (char *)(uintptr_t) "", .step = &plain, .take = hash_piece, .context = &hash};
	uint8_t bytes[SHA256_SIZE];
	int r;

	if (f->by_digest) {
		memcpy(digest, f->digest, OCI_DIGEST_SIZE);
		return 0;
	}
	r = sha256_init(&hash, err);
	if (r == 0)
		r = write_files(f, &p, err);
	if (r == 0)
		r = sha256_final(&hash, bytes, err);
	if (r == 0)
		sha256_digest(bytes, digest);
	return r;
}

/* ---- where they go ----------------------------------------------------------------------------------- */

static int append_piece(void *context, const void *data, size_t n, struct error *err)
{
	return buffer_append(context, data, n) ? 0 : error_set(err, ERROR_LIMIT, "a file is too large");
}

static int read_small(
	const struct build_source *root, const char *path, struct buffer *out, struct error *err)
{
	_cleanup_free_ char *real = NULL;
	struct build_facts facts;

	out->limit = PASSWD_MAX;
	if (build_source_stat(root, path, true, &facts, &real, NULL) < 0 || facts.type != TAR_FILE)
		return 0;
	return build_source_read(root, real, &facts, append_piece, out, err);
}

/* Names are those of the image. */
static int find_owner(
	const struct build_source *root, const char *owner, struct placing *p, struct error *err)
{
	_cleanup_buffer_ struct buffer passwd = {0}, group = {0};
	struct passwd_user u = {0};
	int r = read_small(root, "etc/passwd", &passwd, err);

	if (r == 0)
		r = read_small(root, "etc/group", &group, err);
	if (r == 0)
		r = passwd_resolve(owner, passwd.data, passwd.size, group.data, group.size, &u, err);
	if (r == 0) {
		p->uid = u.uid;
		/* A number alone is both. */
		p->gid = owner[strspn(owner, "0123456789")] ? u.gid : u.uid;
		p->owned = true;
	}
	passwd_user_free(&u);
	return r < 0 ? error_prefix(err, "--chown=%s", owner) : 0;
}

/* A relative target is one from the image's working directory. */
static int find_target(
	const struct build_at *at, const struct build_step *step, char **target, struct error *err)
{
	_cleanup_buffer_ struct buffer path = {0};
	_cleanup_free_ char *whole =
		*step->target == '/' ? text_copy(step->target, err)
				     : text_format(err, "%s/%s", at->base.parsed.workdir, step->target);
	int r = whole ? clean(whole, &path, err) : -ERROR_NO_MEMORY;

	if (r == 0 && !(*target = text_copy((const char *)path.data, err)))
		r = -ERROR_NO_MEMORY;
	return r;
}

static bool names_directory(const char *target)
{
	return text_ends(target, "/") || !strcmp(target, ".") || text_ends(target, "/.");
}

static int place(struct build_at *at, const struct build_step *step, const struct build_files *f,
	struct placing *p, struct error *err)
{
	bool maybe_file =
		f->has_file && !f->has_several && !f->has_contents && !names_directory(step->target);
	bool numeric = step->owner && step->owner[strspn(step->owner, "0123456789:")] == 0;
	struct build_source root = {.directory = -1, .image_fd = -1};
	struct build_facts facts;
	bool is_empty = f->count == 1 && !*f->list[0].path;
	char *slash;
	int r = find_target(at, step, &p->prefix, err);

	if (r == 0 && (((maybe_file || is_empty) && *p->prefix) || (step->owner && !numeric)))
		r = build_source_image(&root, at->store, at->base.digest, err);
	if (r == 0 && step->owner)
		r = find_owner(&root, step->owner, p, err);
	if (r == 0 && is_empty && *p->prefix)
		p->make_target = build_source_stat(&root, p->prefix, true, &facts, NULL, NULL) < 0;
	if (r == 0 && maybe_file && *p->prefix &&
		(build_source_stat(&root, p->prefix, true, &facts, NULL, NULL) < 0 ||
			facts.type != TAR_DIRECTORY)) {
		slash = strrchr(p->prefix, '/');
		p->rename = text_copy(slash ? slash + 1 : p->prefix, err);
		*(slash ? slash : p->prefix) = 0;
		r = p->rename ? 0 : -ERROR_NO_MEMORY;
	}
	build_source_close(&root);
	return r;
}

static int feed_piece(void *context, const void *data, size_t n, struct error *err)
{
	return commit_feed(context, data, n, err);
}

int build_files_write(struct build_at *at, const struct build_step *step, struct build_files *f,
	struct commit *c, struct error *err)
{
	struct placing p = {.epoch = at->build->epoch, .step = step, .take = feed_piece, .context = c};
	int r = f->by_digest ? collect_from_image(f, at, step, err) : 0;

	if (r == 0)
		r = place(at, step, f, &p, err);
	if (r == 0)
		r = write_files(f, &p, err);
	free(p.prefix);
	free(p.rename);
	return r;
}
