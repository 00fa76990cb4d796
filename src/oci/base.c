/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/base.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "oci/commit_config.h"
#include "oci/image_parts.h"
#include "oci/import.h"

#define LAYERS_DEFAULT 512

void base_image_free(struct base_image *b)
{
	oci_config_free(&b->parsed);
	buffer_free(&b->manifest);
	buffer_free(&b->config);
	store_hold_free(&b->hold);
	*b = (struct base_image){0};
}

static int hold(struct base_image *b, int r, int fd, struct error *err)
{
	return r < 0 ? r : store_hold_add(&b->hold, fd, err);
}

static int read_document(
	struct store *s, struct base_image *b, const char *digest, struct buffer *out, struct error *err)
{
	int fd = -1;
	int r = store_blob_read(s, digest, OCI_JSON_MAX, out, &fd, err);

	return hold(b, r, fd, err);
}

static int read_base(
	struct store *s, const char *digest, uint32_t layers, struct base_image *b, struct error *err)
{
	struct oci_manifest m = {0};
	int r = read_document(s, b, digest, &b->manifest, err);

	layers = layers ? layers : LAYERS_DEFAULT;
	if (r == 0)
		r = oci_manifest_parse(b->manifest.data, b->manifest.size, &m, err);
	if (r == 0 && m.count > layers)
		r = error_set(err, ERROR_LIMIT, "the image has %zu layers, and may have %u", m.count, layers);
	if (r == 0)
		r = read_document(s, b, m.config.digest, &b->config, err);
	if (r == 0)
		r = oci_config_parse(b->config.data, b->config.size, &b->parsed, err);
	for (size_t i = 0; r == 0 && i < m.count; i++) {
		uint64_t size;
		int fd = -1;

		r = store_blob_open(s, m.layers[i].digest, &fd, &size, err);
		r = hold(b, r, fd, err);
	}
	oci_manifest_free(&m);
	if (r == 0)
		memcpy(b->digest, digest, sizeof b->digest);
	return r;
}

/* A docker archive has no manifest: the digest that its sandboxes remember is the config's. */
static int import_base(struct store *s, const char *digest, const char *reference, struct base_image *b,
	char manifest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_(reference_free) struct reference ref = {0};
	_cleanup_blobs_ struct blobs blobs = {.fd = -1};
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	int r = reference_parse(reference, &ref, err);

	if (r == 0 && (ref.kind == REFERENCE_NAME || ref.kind == REFERENCE_DIRECTORY ||
			      ref.kind == REFERENCE_DIGEST))
		return error_set(err, ERROR_NOT_FOUND, "the store lacks the image '%s' (%s): pull it again",
			reference, digest);
	if (r == 0)
		r = blobs_open(ref.path, &blobs, err);
	if (r == 0)
		r = image_make_plan(&blobs, &ref, NULL, &plan, err);
	if (r == 0 && strcmp(plan.digest, digest))
		return error_set(err, ERROR_NOT_FOUND, "'%s' is not the image any more that it was (%s)",
			reference, digest);
	return r < 0 ? r : import_plan(s, &blobs, &plan, NULL, &b->hold, manifest, err);
}

int base_image_open(struct store *s, const char *digest, const char *reference, uint32_t layers,
	struct base_image *b, struct error *err)
{
	char manifest[OCI_DIGEST_SIZE];
	int r = read_base(s, digest, layers, b, err);

	if (r != -ERROR_NOT_FOUND && r != -ERROR_INVALID)
		return r;
	base_image_free(b);
	r = import_base(s, digest, reference, b, manifest, err);
	return r < 0 ? r : read_base(s, manifest, layers, b, err);
}

static int put_document(struct store *s, struct base_image *b, const struct buffer *json,
	char digest[OCI_DIGEST_SIZE], struct error *err)
{
	int fd = -1;
	int r = json->failed ? error_no_memory(err, "make an image")
			     : store_blob_put(s, json->data, json->size, NULL, digest, &fd, err);

	return hold(b, r, fd, err);
}

/* "linux/arm64/v8" → its three parts. */
static int put_platform(const char *platform, struct buffer *json, struct error *err)
{
	_cleanup_free_ char *text =
		platform ? text_copy(platform, err) : text_format(err, "linux/%s", image_host_architecture());
	char *architecture = text ? strchr(text, '/') : NULL, *variant;

	if (!text)
		return -ERROR_NO_MEMORY;
	if (!architecture || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_/") != strlen(text))
		return error_set(err, ERROR_USAGE, "platform '%s': expected OS/ARCHITECTURE", text);
	*architecture++ = 0;
	variant = strchr(architecture, '/');
	if (variant)
		*variant++ = 0;
	buffer_format(json, "{\"architecture\":\"%s\",\"os\":\"%s\"", architecture, text);
	if (variant)
		buffer_format(json, ",\"variant\":\"%s\"", variant);
	return 0;
}

int base_image_empty(struct store *s, const char *platform, struct base_image *b, struct error *err)
{
	_cleanup_buffer_ struct buffer config = {0}, manifest = {0};
	char digest[OCI_DIGEST_SIZE], root[OCI_DIGEST_SIZE];
	int r = put_platform(platform, &config, err);

	buffer_append_text(
		&config, ",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"history\":[]}");
	if (r == 0)
		r = put_document(s, b, &config, digest, err);
	if (r < 0)
		return r;
	buffer_format(&manifest,
		"{\"schemaVersion\":2,\"mediaType\":\"" COMMIT_MANIFEST_MEDIA_TYPE
		"\",\"config\":{\"mediaType\":\"" COMMIT_CONFIG_MEDIA_TYPE
		"\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
		digest, config.size);
	r = put_document(s, b, &manifest, root, err);
	return r < 0 ? r : read_base(s, root, 0, b, err);
}

int base_image_name(struct store *s, const struct base_image *b, const char *name, struct error *err)
{
	_cleanup_(store_name_free) struct store_name before = {0};
	struct store_name n = {.name = (char *)(uintptr_t)name,
		.media_type = (char *)(uintptr_t)COMMIT_MANIFEST_MEDIA_TYPE,
		.size = b->manifest.size,
		.source = (char *)(uintptr_t) "",
		.updated = clock_realtime()};
	const char *type;
	int r = store_name_get(s, name, &before, err);

	if (r == 0 && !strcmp(before.digest, b->digest))
		return 0;
	if (r < 0 && r != -ERROR_NOT_FOUND)
		return r;
	r = oci_document_type(b->manifest.data, b->manifest.size, &type, err);
	if (r < 0)
		return r;
	n.media_type = (char *)(uintptr_t)(*type ? type : COMMIT_MANIFEST_MEDIA_TYPE);
	memcpy(n.digest, b->digest, sizeof n.digest);
	return store_name_set(s, &n, b->digest, err);
}
