/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI image layouts: from index.json, through nested indexes by platform, to one manifest and its config.
 * Sources: image-spec v1.1, image-layout.md, image-index.md, manifest.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "oci/plan.h"

#define INDEX_BYTES_MAX (4u << 20)
#define NESTED_MAX      4u

static void blob_name(const char *digest, char *out, size_t size)
{
	snprintf(out, size, "blobs/sha256/%s", digest + strlen("sha256:"));
}

/* A document named by a descriptor: its size and digest must be what that says. */
static int read_document(const struct blobs *b, const char *wanted, uint64_t size, const char *what,
	struct buffer *out, struct error *err)
{
	char name[96], digest[SHA256_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	int r;

	blob_name(wanted, name, sizeof name);
	r = blobs_read(b, name, OCI_JSON_MAX, out, err);
	if (r == 0)
		r = sha256_of(out->data, out->size, hash, err);
	if (r < 0)
		return error_prefix(err, "%s %s", what, wanted);
	if (strcmp(sha256_digest(hash, digest), wanted) != 0)
		return error_set(err, ERROR_CORRUPT,
			"%s %s: its digest is %s: it was damaged or replaced, get the image again", what,
			wanted, digest);
	if (out->size != size)
		return error_set(err, ERROR_INVALID, "%s %s has %zu bytes, its descriptor says %llu", what,
			wanted, out->size, (unsigned long long)size);
	return 0;
}

/* ---- which manifest --------------------------------------------------------------------------------- */

static bool names_tag(const struct oci_descriptor *d, const char *tag)
{
	size_t n = strlen(d->name), m = strlen(tag);

	/* Some writers put the whole reference there. */
	return !strcmp(d->name, tag) || (n > m && d->name[n - m - 1] == ':' && !strcmp(d->name + n - m, tag));
}

/* How well it fits: 0 not at all, 1 it does not say, 2 but for the variant ("linux/arm/v7"), 3 exactly. */
static unsigned fits_platform(const struct oci_descriptor *d, const char *platform)
{
	const char *slash = strchr(platform, '/'), *variant;
	size_t n = strlen(d->architecture);

	if (!*d->os && !*d->architecture)
		return 1;
	if (!slash || strlen(d->os) != (size_t)(slash - platform) ||
		strncmp(d->os, platform, (size_t)(slash - platform)) != 0 ||
		strncmp(d->architecture, slash + 1, n) != 0 || (slash[1 + n] && slash[1 + n] != '/'))
		return 0;
	variant = slash[1 + n] ? slash + 2 + n : "";
	return strcmp(variant, d->variant) ? 2 : 3;
}

static void list_names(const struct oci_index *index, struct buffer *out)
{
	for (size_t i = 0; i < index->count && out->size < 400; i++) {
		const struct oci_descriptor *d = &index->manifests[i];

		if (d->attestation)
			continue;
		buffer_format(out, "%s%s", out->size ? ", " : "", *d->name ? d->name : d->digest);
		if (*d->os || *d->architecture)
			buffer_format(out, " (%s/%s)", d->os, d->architecture);
	}
	if (out->size >= 400)
		buffer_append_text(out, ", ...");
	buffer_u8(out, 0);
}

static int no_choice(
	const struct oci_index *index, const struct plan_options *o, size_t fitting, struct error *err)
{
	_cleanup_buffer_ struct buffer names = {0};
	const char *wanted = o->tag ? o->tag : o->digest;

	list_names(index, &names);
	if (names.failed)
		return error_no_memory(err, "index");
	if (index->count == 0)
		return error_set(err, ERROR_NOT_FOUND, "the index has no image");
	if (wanted)
		return error_set(err, ERROR_NOT_FOUND, "no image %s for %s: there is %s", wanted, o->platform,
			names.data);
	if (fitting == 0)
		return error_set(
			err, ERROR_UNAVAILABLE, "no image for %s: there is %s", o->platform, names.data);
	return error_set(err, ERROR_USAGE, "there are several images, name one of them behind a colon: %s",
		names.data);
}

int plan_choose(const struct oci_index *index, const struct plan_options *o,
	const struct oci_descriptor **chosen, struct error *err)
{
	const struct oci_descriptor *latest = NULL, *any = NULL;
	unsigned best = 1;
	size_t fitting = 0;

	*chosen = NULL;
	for (size_t i = 0; i < index->count; i++) {
		const struct oci_descriptor *d = &index->manifests[i];
		unsigned fit;

		if (o->digest ? strcmp(d->digest, o->digest) != 0
			      : d->attestation || (o->tag && !names_tag(d, o->tag)))
			continue;
		fit = o->digest ? best : fits_platform(d, o->platform);
		if (fit < best)
			continue;
		if (fit > best) {
			best = fit;
			latest = any = NULL;
			fitting = 0;
		}
		/* The same image under several names is no question. */
		fitting += !any || strcmp(any->digest, d->digest) != 0;
		any = any ? any : d;
		if (names_tag(d, "latest"))
			latest = latest ? latest : d;
	}
	*chosen = fitting > 1 && latest && !o->tag ? latest : any;
	if (fitting == 0 || (fitting > 1 && !o->tag && !latest))
		return no_choice(index, o, fitting, err);
	return 0;
}

/* What of a descriptor leads on. */
struct target {
	char digest[OCI_DIGEST_SIZE];
	uint64_t size;
	bool index;
};

static struct target target_of(const struct oci_descriptor *d)
{
	struct target t = {.size = d->size, .index = oci_media_type(d->media_type) == OCI_MEDIA_INDEX};

	memcpy(t.digest, d->digest, sizeof t.digest);
	return t;
}

static int choose_target(
	const struct buffer *json, const struct plan_options *o, struct target *t, struct error *err)
{
	_cleanup_(oci_index_free) struct oci_index index = {0};
	const struct oci_descriptor *d = NULL;
	int r = oci_index_parse(json->data, json->size, &index, err);

	if (r == 0)
		r = plan_choose(&index, o, &d, err);
	if (r == 0)
		*t = target_of(d);
	return r;
}

/* Through nested indexes to a manifest. */
static int descend(const struct blobs *b, const struct plan_options *o, struct target t, struct image_plan *p,
	struct oci_manifest *manifest, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	struct plan_options wanted = *o;
	int r = 0;

	wanted.tag = wanted.digest = NULL;
	for (unsigned depth = 0; r == 0; depth++) {
		if (depth == NESTED_MAX)
			return error_set(err, ERROR_INVALID, "indexes within indexes within indexes");
		buffer_clear(&json);
		r = read_document(b, t.digest, t.size, t.index ? "index" : "manifest", &json, err);
		if (r < 0)
			return r;
		if (!t.index) {
			memcpy(p->digest, t.digest, sizeof p->digest);
			return oci_manifest_parse(json.data, json.size, manifest, err);
		}
		r = choose_target(&json, &wanted, &t, err);
	}
	return r;
}

/* ---- the plan --------------------------------------------------------------------------------------- */

static int take_layers(
	struct image_plan *p, const struct oci_manifest *m, const struct plan_options *o, struct error *err)
{
	int r = plan_make_layers(p, m->count, o, err);

	for (size_t i = 0; r == 0 && i < m->count; i++) {
		char name[96];

		switch (oci_media_type(m->layers[i].media_type)) {
		case OCI_MEDIA_LAYER:
			break;
		case OCI_MEDIA_FOREIGN_LAYER:
			return error_set(err, ERROR_UNAVAILABLE,
				"layer %s is not part of the image (a foreign layer)", m->layers[i].digest);
		default:
			return error_set(err, ERROR_UNAVAILABLE,
				"layer %s has the type '%s': this is not an image that can be run",
				m->layers[i].digest, m->layers[i].media_type);
		}
		blob_name(m->layers[i].digest, name, sizeof name);
		memcpy(p->layers[i].digest, m->layers[i].digest, OCI_DIGEST_SIZE);
		p->layers[i].size = m->layers[i].size;
		p->layers[i].name = text_copy(name, err);
		if (!p->layers[i].name)
			return -ERROR_NO_MEMORY;
	}
	return r;
}

static int plan_from(const struct blobs *b, struct target t, const struct plan_options *o,
	struct image_plan *p, struct error *err)
{
	_cleanup_(oci_manifest_free) struct oci_manifest manifest = {0};
	_cleanup_buffer_ struct buffer json = {0};
	int r = descend(b, o, t, p, &manifest, err);

	if (r == 0 && *manifest.config.media_type &&
		oci_media_type(manifest.config.media_type) != OCI_MEDIA_CONFIG)
		r = error_set(err, ERROR_UNAVAILABLE,
			"it is no image but an artifact of the type '%s', which cannot be run",
			manifest.config.media_type);
	if (r == 0)
		r = read_document(b, manifest.config.digest, manifest.config.size, "config", &json, err);
	if (r == 0)
		r = oci_config_parse(json.data, json.size, &p->config, err);
	if (r == 0)
		r = take_layers(p, &manifest, o, err);
	if (r == 0)
		r = plan_check(p, o, err);
	memcpy(p->config_digest, manifest.config.digest, sizeof p->config_digest);
	return r;
}

int plan_layout(const struct blobs *b, const struct plan_options *o, struct image_plan *p, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	struct target t;
	int r = blobs_read(b, "index.json", INDEX_BYTES_MAX, &json, err);

	*p = (struct image_plan){0};
	if (r == 0)
		r = choose_target(&json, o, &t, err);
	if (r == 0)
		r = plan_from(b, t, o, p, err);
	if (r < 0)
		image_plan_free(p);
	return r;
}

int plan_target(const struct blobs *b, const struct oci_descriptor *target, const struct plan_options *o,
	struct image_plan *p, struct error *err)
{
	int r;

	*p = (struct image_plan){0};
	r = plan_from(b, target_of(target), o, p, err);
	if (r < 0)
		image_plan_free(p);
	return r;
}
