/* SPDX-License-Identifier: Apache-2.0 */
/* Images out of the store into files, and back. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/events.h"
#include "lib/images.h"
#include "oci/limits.h"
#include "oci/load.h"
#include "oci/name.h"
#include "oci/remote.h"
#include "oci/save.h"

/* ---- save ------------------------------------------------------------------------------------------- */

static int find_all(
	const struct catalog *c, const char *const *images, struct catalog_match *matches, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && images[i]; i++)
		r = catalog_find(c, images[i], &matches[i], err);
	return r;
}

static int save(struct monocore *mc, const char *const *images, const struct monocore_image_save_options *o,
	int fd, struct error *err)
{
	size_t count = text_list_size((char *const *)images);
	struct save_options options = {.format = o->format == MONOCORE_IMAGE_LAYOUT   ? SAVE_LAYOUT
						 : o->format == MONOCORE_IMAGE_DOCKER ? SAVE_DOCKER
										      : SAVE_OCI,
		.platform = o->platform,
		.progress = &mc->progress};
	_cleanup_images_ struct images i = {0};
	struct catalog_match *matches = calloc(count + 1, sizeof *matches);
	int r = matches ? 0 : error_no_memory(err, "save images");

	if (r == 0 && count == 0)
		r = error_set(err, ERROR_USAGE, "save: no image was named");
	if (r == 0)
		r = images_open(mc, o->platform, &i, err);
	if (r == 0)
		r = find_all(&i.catalog, images, matches, err);
	if (r == 0)
		r = save_images(i.store, matches, count, &options, fd, err);
	for (size_t n = 0; matches && n < count; n++)
		catalog_match_free(&matches[n]);
	free(matches);
	return r;
}

int monocore_image_save(struct monocore *mc, const char *const *images,
	const struct monocore_image_save_options *options, int fd, struct monocore_error *error)
{
	const struct monocore_image_save_options none = MONOCORE_IMAGE_SAVE_OPTIONS_INIT;
	struct error err;

	if (save(mc, images, options ? options : &none, fd, &err) < 0)
		return give_error(error, &err);
	for (const char *const *image = images; *image; image++)
		tell_image(mc, "save", *image, NULL);
	return 0;
}

/* ---- load ------------------------------------------------------------------------------------------- */

static int canonical_name(const char *text, const char *registry, char **out, struct error *err)
{
	_cleanup_name_ struct name name = {0};
	int r = name_parse(text, registry, &name, err);

	if (r < 0)
		return r;
	if (*name.digest)
		return error_set(
			err, ERROR_INVALID, "'%s': the new name of an image cannot have a digest", text);
	*out = remote_store_name(&name, err);
	return *out ? 0 : -ERROR_NO_MEMORY;
}

/* In docker's form; a name that comes twice stands there once. */
static int shorten_all(char ***names, const char *registry, struct error *err)
{
	char **shorter = NULL;
	int r = 0;

	for (char **n = *names; r == 0 && n && *n; n++) {
		_cleanup_free_ char *text = name_familiar(*n, registry, err);
		bool again = false;

		for (char **s = shorter; text && s && *s; s++)
			again |= !strcmp(*s, text);
		r = text ? (again ? 0 : text_list_add(&shorter, text, err)) : -(int)err->code;
	}
	text_list_free(*names);
	*names = shorter;
	return r;
}

static int load(struct monocore *mc, int fd, const struct monocore_image_load_options *o, char ***names,
	struct error *err)
{
	_cleanup_images_ struct images i = {0}; /* before what lies in its store */
	_cleanup_ingest_ struct store_ingest spool = {.fd = -1};
	_cleanup_blobs_ struct blobs blobs = {.fd = -1};
	_cleanup_free_ char *name = NULL;
	struct load_options options = {.progress = &mc->progress};
	struct error later;
	int r = home_check_space(&mc->home, err);

	if (r == 0)
		r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &options.limits, err);
	if (r == 0)
		r = images_open(mc, NULL, &i, err);
	if (r == 0 && o->name)
		r = canonical_name(o->name, i.catalog.registry, &name, err);
	if (r < 0)
		return r;
	options.name = name;
	options.registry = i.catalog.registry;
	r = load_open(i.store, fd, o->path ? o->path : "the archive", &options, &spool, &blobs, err);
	if (r == 0)
		r = load_images(i.store, &blobs, &options, names, err);
	if (shorten_all(names, options.registry, &later) < 0 && r == 0) {
		*err = later;
		r = -(int)later.code;
	}
	return r;
}

int monocore_image_load(struct monocore *mc, int fd, const struct monocore_image_load_options *options,
	char ***names, struct monocore_error *error)
{
	const struct monocore_image_load_options none = MONOCORE_IMAGE_LOAD_OPTIONS_INIT;
	struct error err;

	*names = NULL;
	if (load(mc, fd, options ? options : &none, names, &err) < 0)
		return give_error(error, &err);
	for (char **name = *names; name && *name; name++)
		tell_image(mc, "load", *name, NULL);
	return 0;
}
