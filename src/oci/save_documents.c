/* SPDX-License-Identifier: Apache-2.0 */
/* The two documents that lead into a saved archive. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/json.h"
#include "oci/name.h"
#include "oci/save_parts.h"

#define INDEX "application/vnd.oci.image.index.v1+json"

/* ---- index.json ------------------------------------------------------------------------------------- */

/* As containerd has it: the whole name, and its tag, by which skopeo and podman choose. */
static int add_annotations(json_t *descriptor, const char *text, struct error *err)
{
	_cleanup_name_ struct name name = {0};
	int r = name_parse(text, NULL, &name, err);
	json_t *notes;

	if (r < 0)
		return r;
	notes = *name.digest ? json_pack("{s:s}", "io.containerd.image.name", text)
			     : json_pack("{s:s, s:s}", "io.containerd.image.name", text,
				       "org.opencontainers.image.ref.name", name.tag);
	return json_object_set_new(descriptor, "annotations", notes) < 0 ? error_no_memory(err, "save images")
									 : 0;
}

/* A manifest about one of the images. */
static int add_referrer(const struct save *x, const char *digest, json_t *list, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	_cleanup_json_ json_t *root = NULL;
	const char *type, *media;
	json_t *d;
	int r = store_blob_read(x->s, digest, OCI_JSON_MAX, &json, NULL, err);

	if (r == 0)
		r = oci_document_type(json.data, json.size, &media, err);
	if (r == 0)
		r = json_parse(json.data, json.size, OCI_JSON_MAX, false, digest, &root, err);
	if (r < 0)
		return r;
	type = json_string_value(json_object_get(root, "artifactType"));
	if (!type)
		type = json_string_value(json_object_get(json_object_get(root, "config"), "mediaType"));
	d = json_pack("{s:s, s:s, s:I, s:s*}", "mediaType", media, "digest", digest, "size",
		(json_int_t)json.size, "artifactType", type);
	return json_array_append_new(list, d) < 0 ? error_no_memory(err, "save images") : 0;
}

int save_index(const struct save *x, struct buffer *out, struct error *err)
{
	json_t *list = json_array();
	_cleanup_json_ json_t *index =
		json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", INDEX, "manifests", list);

	for (size_t i = 0; index && i < x->item_count; i++) {
		const struct save_item *item = &x->items[i];
		json_t *d = json_pack("{s:s, s:s, s:I}", "mediaType", item->media_type, "digest",
			item->target, "size", (json_int_t)item->size);
		int r = json_array_append_new(list, d) < 0 ? error_no_memory(err, "save images") : 0;

		if (r == 0 && item->name)
			r = add_annotations(d, item->name, err);
		if (r < 0)
			return r;
	}
	for (char **d = x->referrers; index && d && *d; d++) {
		int r = add_referrer(x, *d, list, err);

		if (r < 0)
			return r;
	}
	return json_write(index, JSON_COMPACT, out, err);
}

/* ---- manifest.json ---------------------------------------------------------------------------------- */

static json_t *path_of(const char *digest)
{
	char path[96];

	snprintf(path, sizeof path, "blobs/sha256/%.64s", digest + strlen("sha256:"));
	return json_string(path);
}

static int add_image(json_t *list, const struct save *x, const struct save_item *item, struct error *err)
{
	_cleanup_(oci_manifest_free) struct oci_manifest m = {0};
	_cleanup_buffer_ struct buffer json = {0};
	json_t *layers, *one;
	int r = store_blob_read(x->s, item->manifest, OCI_JSON_MAX, &json, NULL, err);

	if (r == 0)
		r = oci_manifest_parse(json.data, json.size, &m, err);
	if (r < 0)
		return r;
	layers = json_array();
	one = json_pack("{s:o, s:n, s:o}", "Config", path_of(m.config.digest), "RepoTags", "Layers", layers);
	if (json_array_append_new(list, one) < 0)
		return error_no_memory(err, "save images");
	for (size_t i = 0; i < m.count; i++)
		if (json_array_append_new(layers, path_of(m.layers[i].digest)) < 0)
			return error_no_memory(err, "save images");
	return 0;
}

/* Docker's own short form; a name by digest is no tag. */
static int add_tag(json_t *image, const char *name, struct error *err)
{
	json_t *tags = json_object_get(image, "RepoTags");
	_cleanup_free_ char *familiar = NULL;

	if (!name || strchr(name, '@'))
		return 0;
	familiar = name_familiar(name, NULL, err);
	if (!familiar)
		return -(int)err->code;
	if (!json_is_array(tags)) {
		tags = json_array();
		if (json_object_set_new(image, "RepoTags", tags) < 0)
			return error_no_memory(err, "save images");
	}
	return json_array_append_new(tags, json_string(familiar)) < 0 ? error_no_memory(err, "save images")
								      : 0;
}

int save_manifests(const struct save *x, struct buffer *out, struct error *err)
{
	_cleanup_json_ json_t *list = json_array();
	_cleanup_free_ size_t *entry = calloc(x->item_count + 1, sizeof *entry);
	int r = list && entry ? 0 : error_no_memory(err, "save images");

	for (size_t i = 0; r == 0 && i < x->item_count; i++) {
		size_t same = 0;

		while (same < i && strcmp(x->items[same].manifest, x->items[i].manifest) != 0)
			same++;
		entry[i] = same < i ? entry[same] : json_array_size(list);
		if (same == i)
			r = add_image(list, x, &x->items[i], err);
		if (r == 0)
			r = add_tag(json_array_get(list, entry[i]), x->items[i].name, err);
	}
	return r < 0 ? r : json_write(list, JSON_COMPACT, out, err);
}
