/* SPDX-License-Identifier: Apache-2.0 */
/* Another name for what is here. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "oci/catalog.h"
#include "oci/name.h"
#include "oci/remote.h"
#include "oci/store_mark.h"

struct holding {
	struct store *s;
	struct store_hold hold;
	bool any; /* a config: something can be run */
};

/* Locks a blob that the new name leads to, so that it stays until the name is there. */
static int hold_blob(void *context, const struct store_visit *v, struct error *err)
{
	struct holding *h = context;
	uint64_t size;
	int fd, r;

	if (v->optional && !store_is_whole(h->s, v->digest))
		return 1;
	r = store_blob_open(h->s, v->digest, &fd, &size, err);
	if (r == -ERROR_NOT_FOUND && (v->optional || v->referrer))
		return 1;
	if (r < 0)
		return r;
	h->any |= v->media == OCI_MEDIA_CONFIG;
	return store_hold_add(&h->hold, fd, err);
}

/* A manifest that was named by its digest is meant alone, without the index that leads to it. */
static int choose_target(
	struct store *s, const struct catalog_match *match, struct store_name *n, struct error *err)
{
	const struct catalog_image *image = match->images[0];
	_cleanup_buffer_ struct buffer json = {0};
	const char *digest = image->target, *type;
	int r;

	for (char **m = image->manifests; m && *m; m++)
		if (!strcmp(*m, match->digest))
			digest = *m;
	r = store_blob_read(s, digest, OCI_JSON_MAX, &json, NULL, err);
	if (r == 0)
		r = oci_document_type(json.data, json.size, &type, err);
	if (r < 0)
		return r;
	memcpy(n->digest, digest, sizeof n->digest);
	n->media_type = digest == image->target ? image->media_type : (char *)type;
	n->size = json.size;
	n->source = image->source;
	n->updated = clock_realtime();
	return 0;
}

static int set_name(struct store *s, const struct catalog_match *match, const char *name, struct error *err)
{
	struct store_name n = {.name = (char *)name};
	_cleanup_marks_ struct store_marks marks = {0};
	struct holding h = {.s = s};
	int r = choose_target(s, match, &n, err);

	if (r == 0)
		r = store_mark(s, n.digest, n.size, &marks, hold_blob, &h, err);
	if (r == 0 && !h.any)
		r = error_set(err, ERROR_NOT_FOUND, "nothing of it is here: pull it again");
	if (r == 0)
		r = store_name_set(s, &n, NULL, err);
	store_hold_free(&h.hold);
	return r < 0 ? error_prefix(err, "image %s", match->images[0]->familiar) : 0;
}

int catalog_tag(struct store *s, const struct catalog *c, const struct catalog_match *match, const char *text,
	char **out, struct error *err)
{
	_cleanup_name_ struct name name = {0};
	_cleanup_free_ char *canonical = NULL;
	int r = name_parse(text, c->registry, &name, err);

	if (r < 0)
		return r;
	if (*name.digest)
		return error_set(
			err, ERROR_INVALID, "'%s': the new name of an image cannot have a digest", text);
	canonical = remote_store_name(&name, err);
	if (!canonical)
		return -ERROR_NO_MEMORY;
	r = set_name(s, match, canonical, err);
	if (r == 0)
		*out = TAKE_PTR(canonical);
	return r;
}
