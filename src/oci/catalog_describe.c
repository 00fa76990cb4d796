/* SPDX-License-Identifier: Apache-2.0 */
/* Everything about one image, and how it was made: its manifest and its config, told in docker's words. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/date.h"
#include "codec/json.h"
#include "oci/catalog.h"
#include "oci/image_parts.h"

struct documents {
	char digest[OCI_DIGEST_SIZE]; /* of the manifest */
	struct oci_manifest manifest;
	json_t *config;
};

static void documents_free(struct documents *d)
{
	oci_manifest_free(&d->manifest);
	json_decref(d->config);
}

static int read_manifest(const struct store *s, const char *digest, struct oci_manifest *m, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	int r = store_blob_read(s, digest, OCI_JSON_MAX, &json, NULL, err);

	return r < 0 ? r : oci_manifest_parse(json.data, json.size, m, err);
}

/* wanted: the digest of one of the image's manifests or configs; any other means the one that it shows. */
static int read_documents(const struct store *s, const struct catalog_image *image, const char *wanted,
	struct documents *d, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	const char *shown = image->manifest;
	int r;

	if (!*shown)
		return error_set(err, ERROR_UNAVAILABLE,
			"nothing of the image %s is here for this platform: 'monocore pull %s' gets it",
			image->familiar, image->familiar);
	for (char **m = image->manifests; m && *m; m++) {
		struct oci_manifest one = {0};

		if (read_manifest(s, *m, &one, NULL) < 0)
			continue;
		if (!strcmp(*m, wanted) ||
			(!strcmp(one.config.digest, wanted) && strcmp(wanted, image->config) != 0))
			shown = *m;
		oci_manifest_free(&one);
	}
	memcpy(d->digest, shown, OCI_DIGEST_SIZE);
	r = read_manifest(s, shown, &d->manifest, err);
	if (r == 0)
		r = store_blob_read(s, d->manifest.config.digest, OCI_JSON_MAX, &json, NULL, err);
	if (r == 0)
		r = json_parse(json.data, json.size, OCI_JSON_MAX, false, "config", &d->config, err);
	return r < 0 ? error_prefix(err, "image %s", image->familiar) : 0;
}

/* ---- describe --------------------------------------------------------------------------------------- */

/* "alpine:3" → "alpine". */
static char *repository_of(const char *familiar, struct error *err)
{
	const char *slash = strrchr(familiar, '/'), *name = slash ? slash : familiar;

	return text_format(err, "%.*s", (int)(name - familiar + (ptrdiff_t)strcspn(name, ":@")), familiar);
}

static bool has_text(const json_t *list, const char *text)
{
	const json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		if (!strcmp(json_string_value(value), text))
			return true;
	}
	return false;
}

static int add_text(json_t *list, const char *text, struct error *err)
{
	if (has_text(list, text) || json_array_append_new(list, json_string(text)) == 0)
		return 0;
	return error_no_memory(err, "describe an image");
}

/* All names of what the image is, and the repositories that they say have it. */
static int add_names(const struct catalog *c, const struct catalog_image *image, json_t *tags,
	json_t *digests, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++) {
		_cleanup_free_ char *repository = NULL, *digest = NULL;

		if (strcmp(c->images[i].target, image->target) != 0)
			continue;
		repository = repository_of(c->images[i].familiar, err);
		digest = repository ? text_format(err, "%s@%s", repository, image->target) : NULL;
		if (!digest)
			return -ERROR_NO_MEMORY;
		if (!strchr(c->images[i].name, '@'))
			r = add_text(tags, c->images[i].familiar, err);
		if (r == 0)
			r = add_text(digests, digest, err);
	}
	return r;
}

static json_t *text_array(char *const *list)
{
	json_t *array = json_array();

	for (; array && list && *list; list++)
		if (json_array_append_new(array, json_string(*list)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *time_text(uint64_t time)
{
	char text[31];

	return time ? json_string(clock_rfc3339(time, text)) : json_null();
}

/* A member of the config as it is; `otherwise` (taken) where it is missing. */
static json_t *member(const json_t *config, const char *key, json_t *otherwise)
{
	json_t *value = json_object_get(config, key);

	if (!value)
		return otherwise;
	json_decref(otherwise);
	return json_incref(value);
}

static json_t *root_fs(const json_t *config)
{
	const json_t *root = json_object_get(config, "rootfs");

	return json_pack("{s:s, s:o}", "Type", "layers", "Layers", member(root, "diff_ids", json_array()));
}

static json_t *layer_list(const struct oci_manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < m->count; i++) {
		const struct oci_descriptor *d = &m->layers[i];
		json_t *one = json_pack("{s:s, s:s, s:I}", "mediaType", d->media_type, "digest", d->digest,
			"size", (json_int_t)d->size);

		if (json_array_append_new(list, one) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* What is said about it: digests of manifests. */
static int add_referrers(struct store *s, const struct catalog_image *image, const struct documents *d,
	json_t *list, struct error *err)
{
	const char *const subjects[] = {image->target, d->digest};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(subjects); i++) {
		_cleanup_text_list_ char **digests = NULL;

		r = store_referrers(s, subjects[i], &digests, err);
		for (char **one = digests; r == 0 && one && *one; one++)
			r = add_text(list, *one, err);
	}
	return r;
}

/* What docker has, then what it has not. The names are taken. */
static json_t *describe(const struct catalog_image *i, const struct documents *d, json_t *tags,
	json_t *digests, json_t *referrers)
{
	json_t *docker = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "Id",
		d->manifest.config.digest, "RepoTags", tags, "RepoDigests", digests, "Created",
		member(d->config, "created", json_null()), "Author",
		member(d->config, "author", json_string("")), "Architecture",
		member(d->config, "architecture", json_string("")), "Variant",
		member(d->config, "variant", json_string("")), "Os", member(d->config, "os", json_string("")),
		"Size", (json_int_t)i->size, "Config", member(d->config, "config", json_object()), "RootFS",
		root_fs(d->config));
	json_t *own = json_pack("{s:s, s:s, s:o, s:s, s:o, s:{s:s, s:s, s:I}, s:I, s:o, s:o}", "Name",
		i->name, "Manifest", d->digest, "Layers", layer_list(&d->manifest), "Source", i->source,
		"Platforms", text_array(i->platforms), "Target", "mediaType", i->media_type, "digest",
		i->target, "size", (json_int_t)i->target_size, "RootSize", (json_int_t)i->root_size,
		"Updated", time_text(i->updated), "Referrers", referrers);

	if (!docker || !own || json_object_update(docker, own) < 0) {
		json_decref(docker);
		docker = NULL;
	}
	json_decref(own);
	return docker;
}

int catalog_describe(struct store *s, const struct catalog *c, const struct catalog_match *match, char **out,
	struct error *err)
{
	const struct catalog_image *image = match->images[0];
	_cleanup_(documents_free) struct documents d = {0};
	_cleanup_json_ json_t *tags = json_array(), *digests = json_array(), *referrers = json_array();
	_cleanup_json_ json_t *json = NULL;
	_cleanup_buffer_ struct buffer text = {0};
	int r = tags && digests && referrers ? 0 : error_no_memory(err, "describe an image");

	if (r == 0)
		r = read_documents(s, image, match->digest, &d, err);
	if (r == 0)
		r = add_names(c, image, tags, digests, err);
	if (r == 0)
		r = add_referrers(s, image, &d, referrers, err);
	if (r < 0)
		return r;
	json = describe(image, &d, json_incref(tags), json_incref(digests), json_incref(referrers));
	/* A stranger's texts go to terminals as well. */
	r = json_write(json, JSON_INDENT(2) | JSON_ENSURE_ASCII, &text, err);
	*out = r == 0 ? buffer_take_text(&text) : NULL;
	return r < 0 || *out ? r : error_no_memory(err, "describe an image");
}

/* ---- history ---------------------------------------------------------------------------------------- */

void catalog_steps_free(struct catalog_step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(steps[i].created_by);
		free(steps[i].comment);
	}
	free(steps);
}

static const char *text_member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* entry NULL: a layer of which the config says nothing. layer NULL: the step made none. */
static int fill_step(
	struct catalog_step *step, const json_t *entry, const struct oci_descriptor *layer, struct error *err)
{
	const char *created = text_member(entry, "created");
	uint64_t seconds;

	step->created_by = text_copy(text_member(entry, "created_by"), err);
	step->comment = text_copy(text_member(entry, "comment"), err);
	step->empty = !layer;
	if (date_parse_rfc3339(created, strlen(created), &seconds))
		step->created = seconds * NANOSECONDS_PER_SECOND;
	if (layer) {
		memcpy(step->digest, layer->digest, sizeof step->digest);
		step->size = layer->size;
	}
	return step->created_by && step->comment ? 0 : -ERROR_NO_MEMORY;
}

static int make_steps(const json_t *config, const struct oci_descriptor *layers, size_t layer_count,
	struct catalog_step **out, size_t *count, struct error *err)
{
	const json_t *history = json_object_get(config, "history");
	size_t entries = json_array_size(history), layer = 0, n = 0;
	struct catalog_step *steps = calloc(entries + layer_count + 1, sizeof *steps);
	int r = steps ? 0 : error_no_memory(err, "the history of an image");

	for (size_t i = 0; r == 0 && i < entries; i++) {
		const json_t *entry = json_array_get(history, i);
		bool empty = json_is_true(json_object_get(entry, "empty_layer")) || layer == layer_count;

		r = fill_step(&steps[n++], entry, empty ? NULL : &layers[layer++], err);
	}
	while (r == 0 && layer < layer_count)
		r = fill_step(&steps[n++], NULL, &layers[layer++], err);
	if (r < 0) {
		catalog_steps_free(steps, steps ? n : 0);
		return r;
	}
	*out = steps;
	*count = n;
	return 0;
}

int catalog_history(const struct store *s, const struct catalog_image *image, struct catalog_step **steps,
	size_t *count, struct error *err)
{
	_cleanup_(documents_free) struct documents d = {0};
	int r = read_documents(s, image, image->manifest, &d, err);

	return r < 0 ? r : make_steps(d.config, d.manifest.layers, d.manifest.count, steps, count, err);
}

static int read_config(const struct blobs *b, const struct image_plan *p, json_t **config, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	_cleanup_free_ char *name =
		p->config_name ? text_copy(p->config_name, err)
			       : text_format(err, "blobs/sha256/%s", strchr(p->config_digest, ':') + 1);
	int r = name ? blobs_read(b, name, OCI_JSON_MAX, &json, err) : -ERROR_NO_MEMORY;

	return r < 0 ? r : json_parse(json.data, json.size, OCI_JSON_MAX, false, "config", config, err);
}

static int history_of(const struct blobs *b, const struct image_plan *p, struct catalog_step **steps,
	size_t *count, struct error *err)
{
	_cleanup_free_ struct oci_descriptor *layers = calloc(p->count + 1, sizeof *layers);
	_cleanup_json_ json_t *config = NULL;
	int r = layers ? read_config(b, p, &config, err) : error_no_memory(err, "the history of an image");

	for (size_t i = 0; r == 0 && i < p->count; i++) {
		const struct plan_layer *l = &p->layers[i];

		memcpy(layers[i].digest, *l->digest ? l->digest : l->diff_id, OCI_DIGEST_SIZE);
		layers[i].size = l->size;
	}
	return r < 0 ? r : make_steps(config, layers, p->count, steps, count, err);
}

int catalog_history_on_disk(
	const struct reference *ref, struct catalog_step **steps, size_t *count, struct error *err)
{
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	_cleanup_blobs_ struct blobs b = {.fd = -1};
	int r = blobs_open(ref->path, &b, err);

	if (r == 0)
		r = image_make_plan(&b, ref, NULL, &plan, err);
	return r < 0 ? r : history_of(&b, &plan, steps, count, err);
}
