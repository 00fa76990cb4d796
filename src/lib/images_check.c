/* SPDX-License-Identifier: Apache-2.0 */
/* Whether all that is kept of images is whole; and mending what is not. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/images.h"
#include "oci/limits.h"
#include "oci/name.h"
#include "sandbox/images_used.h"

CLEANUP_DEFINE(image, struct image, image_free);

struct checking {
	struct monocore *mc;
	void (*tell)(void *context, const struct monocore_image_problem *problem);
	void *context;
	struct images images; /* as they were before */
	char **broken;        /* canonical names */
	bool failed;          /* out of memory while it was told */
};

static void checking_release(struct checking *c)
{
	images_close(&c->images);
	text_list_free(c->broken);
}

static const struct catalog_image *find(const struct checking *c, const char *name)
{
	for (size_t i = 0; i < c->images.catalog.count; i++)
		if (!strcmp(c->images.catalog.images[i].name, name))
			return &c->images.catalog.images[i];
	return NULL;
}

static void found(void *context, const struct store_problem *p)
{
	struct checking *c = context;
	const struct catalog_image *image = find(c, p->name);
	const struct monocore_image_problem problem = {.image = image ? image->familiar : p->name,
		.digest = p->digest,
		.text = p->text,
		.state = MONOCORE_PROBLEM_FOUND};
	bool again = !*p->name;

	c->tell(c->context, &problem);
	for (char **b = c->broken; b && *b; b++)
		again |= !strcmp(*b, p->name);
	if (!again && text_list_add(&c->broken, p->name, NULL) < 0)
		c->failed = true;
}

/* ---- mending ---------------------------------------------------------------------------------------- */

static void told(const struct checking *c, const struct catalog_image *image, int r, const char *text)
{
	c->tell(c->context, &(struct monocore_image_problem){.image = image->familiar,
				    .digest = "",
				    .text = text,
				    .state = r < 0 ? MONOCORE_PROBLEM_LEFT : MONOCORE_PROBLEM_MENDED});
}

static int open_image(const struct checking *c, const struct catalog_image *image, const char *platform,
	enum image_pull pull, struct error *err)
{
	struct image_options options = {.platform = platform, .pull = pull, .progress = &c->mc->progress};
	_cleanup_(cleanup_image) struct image *opened = NULL;
	int r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &options.limits, err);

	return r < 0 ? r : image_open(c->images.store, image->name, &options, &opened, err);
}

/* Every platform that was here is fetched again; where nothing could be told of any, this host's. */
static void pull_again(const struct checking *c, const struct catalog_image *image)
{
	struct error err = {0};
	int r = 0;

	if (!*image->source) {
		told(c, image, -1, "it was not pulled from a registry: load or build it again");
		return;
	}
	if (!image->platforms)
		r = open_image(c, image, NULL, IMAGE_PULL_ALWAYS, &err);
	for (char **p = image->platforms; r == 0 && p && *p; p++)
		r = open_image(c, image, *p, IMAGE_PULL_ALWAYS, &err);
	told(c, image, r, r < 0 ? err.text : "it was pulled again");
}

/* Sandboxes find their root file systems, where these were damaged. */
static int make_roots(const struct checking *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->images.catalog.count; i++) {
		const struct catalog_image *image = &c->images.catalog.images[i];
		_cleanup_text_list_ char **sandboxes = NULL;
		struct error failure = {0};

		r = images_used_by(&c->mc->home, image->manifests, &sandboxes, err);
		if (r < 0 || !sandboxes)
			continue;
		if (open_image(c, image, *image->platform ? image->platform : NULL, IMAGE_PULL_MISSING,
			    &failure) < 0)
			told(c, image, -1, failure.text);
	}
	return r;
}

static int check(struct checking *c, bool repair, struct error *err)
{
	int r = images_open(c->mc, NULL, &c->images, err);

	if (r == 0)
		r = store_check_all(c->images.store, repair, &c->mc->progress, found, c, err);
	if (r == 0 && c->failed)
		r = error_no_memory(err, "check images");
	if (r < 0 || !repair)
		return r;
	for (char **b = c->broken; b && *b; b++) {
		const struct catalog_image *image = find(c, *b);

		if (image)
			pull_again(c, image);
	}
	return make_roots(c, err);
}

int monocore_image_check(struct monocore *mc, bool repair,
	void (*tell)(void *context, const struct monocore_image_problem *problem), void *context,
	struct monocore_error *error)
{
	_cleanup_(checking_release) struct checking c = {.mc = mc, .tell = tell, .context = context};
	struct error err;

	return check(&c, repair, &err) < 0 ? give_error(error, &err) : 0;
}
