/* SPDX-License-Identifier: Apache-2.0 */
/* Images between registries and the store. */
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/events.h"
#include "lib/handle.h"
#include "oci/image.h"
#include "oci/limits.h"
#include "oci/push.h"
#include "oci/reference.h"
#include "os/fs.h"

CLEANUP_DEFINE(image, struct image, image_free);
CLEANUP_DEFINE(store, struct store, store_free);

void monocore_pulled_free(struct monocore_pulled *p)
{
	if (!p)
		return;
	free(p->name);
	free(p->digest);
	free(p->source);
	free(p);
}

static int give_pulled(struct image *image, struct monocore_pulled **out, struct error *err)
{
	struct monocore_pulled *p = calloc(1, sizeof *p);

	if (!p)
		return error_no_memory(err, "a pull");
	p->name = TAKE_PTR(image->name);
	p->digest = TAKE_PTR(image->target);
	p->source = TAKE_PTR(image->source);
	p->changed = image->pulled;
	*out = p;
	return 0;
}

/* An image on disk is taken into the store, under the name that it has there. */
static int take_in(struct monocore *mc, const char *text, struct image *image, struct error *err)
{
	struct monocore_image_load_options options = MONOCORE_IMAGE_LOAD_OPTIONS_INIT;
	_cleanup_(reference_free) struct reference reference = {0};
	_cleanup_text_list_ char **names = NULL;
	_cleanup_fd_ int fd = -1;
	struct monocore_error failure;
	int r = reference_parse(text, &reference, err);

	if (r < 0 || reference.kind == REFERENCE_NAME || reference.kind == REFERENCE_DIRECTORY)
		return r;
	fd = fs_open(AT_FDCWD, reference.path, O_RDONLY, 0, err);
	if (fd < 0)
		return fd;
	options.path = reference.path;
	if (monocore_image_load(mc, fd, &options, &names, &failure) < 0)
		return error_set(err, (enum error_code)failure.code, "%s", failure.text);
	if (!names || !*names)
		return 0;
	free(image->name);
	image->name = text_copy(*names, err);
	return image->name ? 0 : -ERROR_NO_MEMORY;
}

static int pull(struct monocore *mc, const char *name, const struct monocore_pull_options *o,
	struct monocore_pulled **out, struct error *err)
{
	struct image_options options = {.platform = o->platform,
		.pull = IMAGE_PULL_ALWAYS,
		.plain_http = o->plain_http,
		.referrers = true,
		.progress = &mc->progress};
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_(cleanup_image) struct image *image = NULL;
	int r = home_check_space(&mc->home, err);

	if (r == 0)
		r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &options.limits, err);
	if (r == 0)
		r = store_open(mc->home.path, &store, err);
	if (r == 0)
		r = image_open(store, name, &options, &image, err);
	if (r == 0)
		r = take_in(mc, name, image, err);
	if (r == 0)
		tell_image(mc, "pull", image->name, image->target);
	return r < 0 ? r : give_pulled(image, out, err);
}

int monocore_image_pull(struct monocore *mc, const char *name, const struct monocore_pull_options *options,
	struct monocore_pulled **pulled, struct monocore_error *error)
{
	const struct monocore_pull_options none = MONOCORE_PULL_OPTIONS_INIT;
	struct error err;

	return pull(mc, name, options ? options : &none, pulled, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- push ------------------------------------------------------------------------------------------- */

void monocore_pushed_free(struct monocore_pushed *p)
{
	if (!p)
		return;
	free(p->name);
	free(p->digest);
	free(p);
}

static int give_pushed(struct pushed *from, struct monocore_pushed **out, struct error *err)
{
	struct monocore_pushed *p = calloc(1, sizeof *p);

	if (!p)
		return error_no_memory(err, "a push");
	*p = (struct monocore_pushed){.name = TAKE_PTR(from->name),
		.digest = text_copy(from->digest, err),
		.partial = from->partial,
		.uploaded = from->uploaded,
		.mounted = from->mounted,
		.there = from->there};
	if (!p->digest) {
		monocore_pushed_free(p);
		return -ERROR_NO_MEMORY;
	}
	*out = p;
	return 0;
}

static int push(struct monocore *mc, const char *name, const struct monocore_push_options *o,
	struct monocore_pushed **out, struct error *err)
{
	struct push_options options = {
		.platform = o->platform, .plain_http = o->plain_http, .progress = &mc->progress};
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_(pushed_free) struct pushed pushed = {0};
	int r = store_open(mc->home.path, &store, err);

	if (r == 0)
		r = image_push(store, name, &options, &pushed, err);
	if (r == 0)
		tell_image(mc, "push", pushed.name, pushed.digest);
	return r < 0 ? r : give_pushed(&pushed, out, err);
}

int monocore_image_push(struct monocore *mc, const char *name, const struct monocore_push_options *options,
	struct monocore_pushed **pushed, struct monocore_error *error)
{
	const struct monocore_push_options none = MONOCORE_PUSH_OPTIONS_INIT;
	struct error err;

	return push(mc, name, options ? options : &none, pushed, &err) < 0 ? give_error(error, &err) : 0;
}
