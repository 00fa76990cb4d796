/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

void image_plan_free(struct image_plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->layers[i].name);
	free(p->layers);
	free(p->config_name);
	oci_config_free(&p->config);
	*p = (struct image_plan){0};
}

int plan_make_layers(struct image_plan *p, size_t count, const struct plan_options *o, struct error *err)
{
	if (count > o->layers)
		return error_set(err, ERROR_LIMIT,
			"%zu layers, over the limit of %u: raise layers in MONOCORE_IMAGE_LIMITS", count,
			o->layers);
	p->layers = calloc(count ? count : 1, sizeof *p->layers);
	if (!p->layers)
		return error_no_memory(err, "layers");
	p->count = count;
	return 0;
}

static int check_platform(const struct oci_config *c, const char *wanted, struct error *err)
{
	_cleanup_free_ char *given = text_format(err, "%s/%s", c->os, c->architecture);

	if (!given)
		return -ERROR_NO_MEMORY;
	if (!*c->os || !*c->architecture)
		return error_set(err, ERROR_INVALID, "config: it does not say for which platform it is");
	if (text_starts(wanted, given) && (!wanted[strlen(given)] || wanted[strlen(given)] == '/'))
		return 0;
	return error_set(err, ERROR_UNAVAILABLE, "the image is for %s and not for %s: choose another image",
		given, wanted);
}

int plan_check(struct image_plan *p, const struct plan_options *o, struct error *err)
{
	size_t ids = text_list_size(p->config.diff_ids);
	int r = check_platform(&p->config, o->platform, err);

	if (r < 0)
		return r;
	if (ids != p->count)
		return error_set(err, ERROR_INVALID,
			"config: rootfs.diff_ids names %zu layers, the manifest %zu", ids, p->count);
	for (size_t i = 0; i < ids; i++)
		memcpy(p->layers[i].diff_id, p->config.diff_ids[i], OCI_DIGEST_SIZE);
	return 0;
}
