/* SPDX-License-Identifier: Apache-2.0 */
/* Names go, and then what nothing needs any more. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "lib/events.h"
#include "lib/images.h"
#include "sandbox/images_used.h"

#define STEPS_KEPT (30 * 24 * 3600 * NANOSECONDS_PER_SECOND) /* of builds, since they were last used */

void monocore_image_removed_free(struct monocore_image_removed *removed)
{
	if (!removed)
		return;
	text_list_free(removed->names);
	text_list_free(removed->digests);
	free(removed);
}

CLEANUP_DEFINE(removed, struct monocore_image_removed, monocore_image_removed_free);

static bool has(char *const *list, const char *text)
{
	for (; list && *list; list++)
		if (!strcmp(*list, text))
			return true;
	return false;
}

static bool is_matched(const struct images *i, const struct catalog_image *image)
{
	for (size_t n = 0; n < i->match.count; n++)
		if (i->match.images[n] == image)
			return true;
	return false;
}

/* ---- what must stay --------------------------------------------------------------------------------- */

/* The manifests that no name leads to once those that are meant are gone. */
static int list_last(const struct images *i, char ***manifests, struct error *err)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < i->match.count; n++)
		for (char **m = i->match.images[n]->manifests; r == 0 && m && *m; m++) {
			bool stays = false;

			for (size_t o = 0; o < i->catalog.count && !stays; o++)
				stays = !is_matched(i, &i->catalog.images[o]) &&
					has(i->catalog.images[o].manifests, *m);
			r = stays ? 0 : text_list_add(manifests, *m, err);
		}
	return r;
}

static int join(char *const *list, struct buffer *out, struct error *err)
{
	for (size_t n = 0; list[n]; n++)
		buffer_format(out, "%s%s", n ? ", " : "", list[n]);
	buffer_u8(out, 0);
	return out->failed ? error_no_memory(err, "remove an image") : 0;
}

static int refuse_used(struct monocore *mc, const struct images *i, struct error *err)
{
	_cleanup_text_list_ char **manifests = NULL, **sandboxes = NULL;
	_cleanup_buffer_ struct buffer names = {0};
	int r = list_last(i, &manifests, err);

	if (r == 0)
		r = images_used_by(&mc->home, manifests, &sandboxes, err);
	if (r < 0 || !sandboxes)
		return r;
	r = join(sandboxes, &names, err);
	return r < 0 ? r
		     : error_set(err, ERROR_BUSY,
			       "image %s: %s %s made of it (remove %s first, or use --force)",
			       i->match.images[0]->familiar, (const char *)names.data,
			       sandboxes[1] ? "are" : "is", sandboxes[1] ? "them" : "it");
}

static int refuse_several(const struct images *i, const char *text, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	_cleanup_buffer_ struct buffer list = {0};
	int r = 0;

	for (size_t n = 0; r == 0 && n < i->match.count; n++)
		r = text_list_add(&names, i->match.images[n]->familiar, err);
	if (r == 0)
		r = join(names, &list, err);
	return r < 0 ? r
		     : error_set(err, ERROR_BUSY, "image %s has several names: %s (--force removes them all)",
			       text, (const char *)list.data);
}

/* ---- remove ----------------------------------------------------------------------------------------- */

static int remove_names(const struct images *i, char ***names, struct error *err)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < i->match.count; n++) {
		const struct catalog_image *image = i->match.images[n];

		r = store_name_remove(i->store, image->name, err);
		if (r == -ERROR_NOT_FOUND)
			r = 0; /* by somebody else, this moment */
		else if (r == 0)
			r = text_list_add(names, image->familiar, err);
	}
	return r;
}

static int add_gone(const struct store *s, const char *digest, char ***gone, struct error *err)
{
	uint64_t size;
	int fd, r = store_blob_open(s, digest, &fd, &size, NULL);

	if (r == 0)
		close(fd);
	return r == -ERROR_NOT_FOUND && !has(*gone, digest) ? text_list_add(gone, digest, err) : 0;
}

/* What led somewhere and is not there any more. */
static int list_gone(const struct images *i, char ***gone, struct error *err)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < i->match.count; n++) {
		const struct catalog_image *image = i->match.images[n];

		r = add_gone(i->store, image->target, gone, err);
		for (char **m = image->manifests; r == 0 && m && *m; m++)
			r = add_gone(i->store, *m, gone, err);
	}
	return r;
}

static int collect(struct store *s, const struct store_keep *keep, bool dry_run,
	struct monocore_image_removed *removed, struct error *err)
{
	struct store_garbage garbage;
	int r = store_collect(s, keep, dry_run, &garbage, err);

	removed->blobs = garbage.blobs;
	removed->roots = garbage.roots;
	removed->bytes = garbage.bytes;
	return r;
}

static int remove_image(struct monocore *mc, const char *text, bool force,
	struct monocore_image_removed **out, struct error *err)
{
	_cleanup_(cleanup_removed) struct monocore_image_removed *removed = calloc(1, sizeof *removed);
	struct store_keep keep = images_used_keep(&mc->home);
	_cleanup_images_ struct images i = {0};
	int r = removed ? 0 : error_no_memory(err, "remove an image");

	if (r == 0)
		r = images_find(mc, text, NULL, &i, err);
	if (r == 0 && i.match.count > 1 && !force)
		r = refuse_several(&i, text, err);
	if (r == 0 && !force)
		r = refuse_used(mc, &i, err);
	if (r == 0)
		r = remove_names(&i, &removed->names, err);
	if (r == 0)
		r = collect(i.store, &keep, false, removed, err);
	if (r == 0)
		r = list_gone(&i, &removed->digests, err);
	for (char **name = r == 0 ? removed->names : NULL; name && *name; name++)
		tell_image(mc, "untag", *name, NULL);
	if (r == 0 && out)
		*out = TAKE_PTR(removed);
	return r;
}

int monocore_image_remove(struct monocore *mc, const char *image, bool force,
	struct monocore_image_removed **removed, struct monocore_error *error)
{
	struct error err;

	return remove_image(mc, image, force, removed, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- prune ------------------------------------------------------------------------------------------ */

struct pruning {
	const struct store_keep *keep;
	const struct images *images;
	char **used; /* digests */
};

static int list_kept(void *context, char ***roots, char ***digests, struct error *err)
{
	const struct pruning *p = context;

	return p->keep->list(p->keep->context, roots, digests, err);
}

static bool is_used(const struct pruning *p, const struct catalog_image *image)
{
	for (char **m = image->manifests; m && *m; m++)
		if (has(p->used, *m))
			return true;
	return has(p->used, image->target) || text_starts(image->name, IMAGES_INSTALLED);
}

/* Only what was there when it was asked who uses it, and leads where it led then. */
static bool drop(void *context, const struct store_name *name)
{
	const struct pruning *p = context;

	for (size_t i = 0; i < p->images->catalog.count; i++) {
		const struct catalog_image *image = &p->images->catalog.images[i];

		if (!strcmp(image->name, name->name))
			return !strcmp(image->target, name->digest) && !is_used(p, image);
	}
	return false;
}

static int prune(struct monocore *mc, const struct monocore_image_prune_options *o,
	struct monocore_image_removed **out, struct error *err)
{
	_cleanup_(cleanup_removed) struct monocore_image_removed *removed = calloc(1, sizeof *removed);
	const struct store_keep others = images_used_keep(&mc->home);
	_cleanup_text_list_ char **roots = NULL, **used = NULL;
	_cleanup_images_ struct images i = {0};
	struct pruning p = {.keep = &others, .images = &i};
	struct store_keep keep = {.list = list_kept,
		.drop = o->all ? drop : NULL,
		.context = &p,
		.steps_since = clock_realtime() - (o->all || o->steps ? 0 : STEPS_KEPT)};
	int r = removed ? 0 : error_no_memory(err, "prune images");

	if (r == 0)
		r = images_open(mc, NULL, &i, err);
	if (r == 0)
		r = others.list(others.context, &roots, &used, err);
	p.used = used;
	for (size_t n = 0; r == 0 && o->all && n < i.catalog.count; n++)
		if (!is_used(&p, &i.catalog.images[n]))
			r = text_list_add(&removed->names, i.catalog.images[n].familiar, err);
	if (r == 0)
		r = collect(i.store, &keep, o->dry_run, removed, err);
	if (r == 0 && out)
		*out = TAKE_PTR(removed);
	return r;
}

int monocore_image_prune(struct monocore *mc, const struct monocore_image_prune_options *options,
	struct monocore_image_removed **removed, struct monocore_error *error)
{
	const struct monocore_image_prune_options none = MONOCORE_IMAGE_PRUNE_OPTIONS_INIT;
	struct error err;

	return prune(mc, options ? options : &none, removed, &err) < 0 ? give_error(error, &err) : 0;
}
