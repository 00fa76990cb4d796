/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collected files become a layer without a machine: they are sorted as a layer has them, and written as an
 * archive: once for their digest, without times, and once more to a commit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/passwd.h"
#include "codec/sha256.h"
#include "lib/build_copy.h"
#include "oci/commit.h"
#include "oci/layer_path.h"

#define PASSWD_MAX (1u << 20)

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
	const struct build_file *x = a, *y = b;
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

static int write_data(const struct build_file *file, const struct placing *p, struct error *err)
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

static int write_header(
	const struct build_file *file, const struct placing *p, const char *path, struct error *err)
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

static int write_file(const struct build_file *file, const struct placing *p, struct error *err)
{
	_cleanup_free_ char *path = build_join(p->prefix, p->rename ? p->rename : file->path, err);
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
	int r = whole ? build_clean_path(whole, &path, err) : -ERROR_NO_MEMORY;

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
	int r = f->by_digest ? build_files_of_image(f, at, step, err) : 0;

	if (r == 0)
		r = place(at, step, f, &p, err);
	if (r == 0)
		r = write_files(f, &p, err);
	free(p.prefix);
	free(p.rename);
	return r;
}
