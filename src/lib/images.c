/* SPDX-License-Identifier: Apache-2.0 */
/* The images that are here: listed, told about, given other names. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/events.h"
#include "lib/handle.h"
#include "lib/images.h"
#include "oci/reference.h"

int images_open(struct monocore *mc, const char *platform, struct images *i, struct error *err)
{
	int r = store_open(mc->home.path, &i->store, err);

	return r < 0 ? r : catalog_open(i->store, platform, &i->catalog, err);
}

void images_close(struct images *i)
{
	catalog_match_free(&i->match);
	catalog_free(&i->catalog);
	store_free(i->store);
}

int images_find(
	struct monocore *mc, const char *image, const char *platform, struct images *i, struct error *err)
{
	int r = images_open(mc, platform, i, err);

	return r < 0 ? r : catalog_find(&i->catalog, image, &i->match, err);
}

/* ---- list ------------------------------------------------------------------------------------------- */

void monocore_image_list_free(struct monocore_image_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].short_name);
		free(list[i].id);
		free(list[i].digest);
		free(list[i].platform);
		free(list[i].source);
		text_list_free(list[i].platforms);
	}
	free(list);
}

static int fill_info(struct monocore_image_info *to, struct catalog_image *from, struct error *err)
{
	*to = (struct monocore_image_info){.name = TAKE_PTR(from->name),
		.short_name = TAKE_PTR(from->familiar),
		.id = text_copy(from->config, err),
		.digest = text_copy(from->target, err),
		.platform = TAKE_PTR(from->platform),
		.platforms = from->platforms ? TAKE_PTR(from->platforms) : text_list_copy(NULL, err),
		.source = TAKE_PTR(from->source),
		.size = from->size,
		.root_size = from->root_size,
		.created = from->created,
		.updated = from->updated};
	return to->id && to->digest && to->platforms ? 0 : -ERROR_NO_MEMORY;
}

static int list_all(struct monocore *mc, struct monocore_image_info **list, size_t *count, struct error *err)
{
	_cleanup_images_ struct images i = {0};
	int r = images_open(mc, NULL, &i, err);

	if (r < 0)
		return r;
	*list = calloc(i.catalog.count + 1, sizeof **list);
	if (!*list)
		return error_no_memory(err, "list images");
	*count = i.catalog.count;
	for (size_t n = 0; r == 0 && n < *count; n++)
		r = fill_info(&(*list)[n], &i.catalog.images[n], err);
	if (r < 0)
		monocore_image_list_free(*list, *count);
	return r;
}

int monocore_image_list(
	struct monocore *mc, struct monocore_image_info **list, size_t *count, struct monocore_error *error)
{
	struct error err;

	return list_all(mc, list, count, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- one -------------------------------------------------------------------------------------------- */

int monocore_image_inspect(struct monocore *mc, const char *image, const char *platform, char **json,
	struct monocore_error *error)
{
	_cleanup_images_ struct images i = {0};
	struct error err;
	int r = images_find(mc, image, platform, &i, &err);

	if (r == 0)
		r = catalog_describe(i.store, &i.catalog, &i.match, json, &err);
	return r < 0 ? give_error(error, &err) : 0;
}

void monocore_image_history_free(struct monocore_image_step *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].created_by);
		free(list[i].comment);
		free(list[i].digest);
	}
	free(list);
}

static int fill_step(struct monocore_image_step *to, struct catalog_step *from, struct error *err)
{
	*to = (struct monocore_image_step){.created_by = TAKE_PTR(from->created_by),
		.comment = TAKE_PTR(from->comment),
		.digest = text_copy(from->digest, err),
		.size = from->size,
		.created = from->created};
	return to->digest ? 0 : -ERROR_NO_MEMORY;
}

/* Of an image on disk, or of one that is in the store. */
static int find_steps(struct monocore *mc, const char *image, const char *platform,
	struct catalog_step **steps, size_t *n, struct error *err)
{
	_cleanup_(reference_free) struct reference ref = {0};
	_cleanup_images_ struct images i = {0};
	int r = reference_parse(image, &ref, NULL);

	if (r == 0 &&
		(ref.kind == REFERENCE_LAYOUT || ref.kind == REFERENCE_ARCHIVE || ref.kind == REFERENCE_FILE))
		return catalog_history_on_disk(&ref, steps, n, err);
	r = images_find(mc, image, platform, &i, err);
	return r == 0 ? catalog_history(i.store, i.match.images[0], steps, n, err) : r;
}

static int history(struct monocore *mc, const char *image, const char *platform,
	struct monocore_image_step **list, size_t *count, struct error *err)
{
	struct catalog_step *steps = NULL;
	size_t n = 0;
	int r = find_steps(mc, image, platform, &steps, &n, err);

	if (r < 0)
		return r;
	*list = calloc(n + 1, sizeof **list);
	*count = n;
	if (!*list)
		r = error_no_memory(err, "the history of an image");
	for (size_t at = 0; r == 0 && at < n; at++)
		r = fill_step(&(*list)[at], &steps[n - 1 - at], err);
	catalog_steps_free(steps, n);
	if (r < 0 && *list)
		monocore_image_history_free(*list, n);
	return r;
}

int monocore_image_history(struct monocore *mc, const char *image, const char *platform,
	struct monocore_image_step **list, size_t *count, struct monocore_error *error)
{
	struct error err;

	return history(mc, image, platform, list, count, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_image_tag(struct monocore *mc, const char *image, const char *name, struct monocore_error *error)
{
	_cleanup_images_ struct images i = {0};
	_cleanup_free_ char *canonical = NULL;
	struct error err;
	int r = images_find(mc, image, NULL, &i, &err);

	if (r == 0)
		r = catalog_tag(i.store, &i.catalog, &i.match, name, &canonical, &err);
	if (r == 0)
		tell_image(mc, "tag", canonical, NULL);
	return r < 0 ? give_error(error, &err) : 0;
}
