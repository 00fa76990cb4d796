/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "oci/image_parts.h"
#include "oci/import.h"

#define LAYERS_DEFAULT 512

struct commit {
	struct store *store;
	struct store_hold hold; /* the base's blobs, then the new ones, until the name is set */
	struct buffer manifest, config;
	struct oci_config base;
	struct store_ingest ingest;
	bool ingesting;
	struct layer_writer *writer;
	uint32_t layers_most;
};

void commit_free(struct commit *c)
{
	if (!c)
		return;
	layer_writer_free(c->writer);
	if (c->ingesting)
		store_ingest_free(&c->ingest);
	oci_config_free(&c->base);
	buffer_free(&c->manifest);
	buffer_free(&c->config);
	store_hold_free(&c->hold);
	free(c);
}

const struct oci_config *commit_base(const struct commit *c)
{
	return &c->base;
}

static int hold(struct commit *c, int r, int fd, struct error *err)
{
	return r < 0 ? r : store_hold_add(&c->hold, fd, err);
}

static int read_document(struct commit *c, const char *digest, struct buffer *out, struct error *err)
{
	int fd = -1;
	int r = store_blob_read(c->store, digest, OCI_JSON_MAX, out, &fd, err);

	return hold(c, r, fd, err);
}

static int read_base(struct commit *c, const char *base, struct error *err)
{
	struct oci_manifest m = {0};
	int r = read_document(c, base, &c->manifest, err);

	if (r == 0)
		r = oci_manifest_parse(c->manifest.data, c->manifest.size, &m, err);
	if (r == 0 && m.count >= c->layers_most)
		r = error_set(err, ERROR_LIMIT, "the image has %zu layers, and may have %u", m.count,
			c->layers_most);
	if (r == 0)
		r = read_document(c, m.config.digest, &c->config, err);
	if (r == 0)
		r = oci_config_parse(c->config.data, c->config.size, &c->base, err);
	for (size_t i = 0; r == 0 && i < m.count; i++) {
		uint64_t size;
		int fd = -1;

		r = store_blob_open(c->store, m.layers[i].digest, &fd, &size, err);
		r = hold(c, r, fd, err);
	}
	oci_manifest_free(&m);
	return r;
}

/* A docker archive has no manifest: the digest that its sandboxes remember is the config's. */
static int import_base(struct commit *c, const char *digest, const char *reference,
	char manifest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_(reference_free) struct reference ref = {0};
	_cleanup_blobs_ struct blobs blobs = {.fd = -1};
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	int r = reference_parse(reference, &ref, err);

	if (r == 0 && (ref.kind == REFERENCE_NAME || ref.kind == REFERENCE_DIRECTORY))
		return error_set(err, ERROR_NOT_FOUND, "the store lacks the image '%s' (%s): pull it again",
			reference, digest);
	if (r == 0)
		r = blobs_open(ref.path, &blobs, err);
	if (r == 0)
		r = image_make_plan(&blobs, &ref, NULL, &plan, err);
	if (r == 0 && strcmp(plan.digest, digest))
		return error_set(err, ERROR_NOT_FOUND, "'%s' is not the image any more that it was (%s)",
			reference, digest);
	return r < 0 ? r : import_plan(c->store, &blobs, &plan, NULL, &c->hold, manifest, err);
}

static int find_base(struct commit *c, const char *digest, const char *reference, struct error *err)
{
	char manifest[OCI_DIGEST_SIZE];
	int r = read_base(c, digest, err);

	if (r != -ERROR_NOT_FOUND && r != -ERROR_INVALID)
		return r;
	oci_config_free(&c->base);
	r = import_base(c, digest, reference, manifest, err);
	return r < 0 ? r : read_base(c, manifest, err);
}

static int keep_piece(void *context, const void *data, size_t n, struct error *err)
{
	return store_ingest_write(context, data, n, err);
}

int commit_begin(struct store *s, const char *digest, const char *reference,
	const struct image_limits *limits, struct commit **out, struct error *err)
{
	_cleanup_(cleanup_commit) struct commit *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return error_no_memory(err, "commit");
	c->store = s;
	c->layers_most = limits && limits->layers ? limits->layers : LAYERS_DEFAULT;
	r = find_base(c, digest, reference, err);
	if (r < 0)
		return error_prefix(err, "read the image that it was made of");
	r = store_ingest_start(s, &c->ingest, err);
	c->ingesting = true;
	if (r == 0)
		r = layer_writer_new(limits, keep_piece, &c->ingest, &c->writer, err);
	if (r == 0)
		*out = TAKE_PTR(c);
	return r;
}

int commit_feed(struct commit *c, const void *bytes, size_t n, struct error *err)
{
	return layer_writer_feed(c->writer, bytes, n, err) < 0 ? error_prefix(err, "read the changes") : 0;
}

static int keep_layer(struct commit *c, const struct layer *layer, struct error *err)
{
	char digest[OCI_DIGEST_SIZE];
	int fd = -1, r;

	if (!layer->entries)
		return 0;
	r = store_ingest_finish(&c->ingest, layer->digest, digest, &fd, err);
	return hold(c, r, fd, err);
}

static int keep_document(
	struct commit *c, const struct buffer *json, char digest[OCI_DIGEST_SIZE], struct error *err)
{
	int fd = -1;
	int r = store_blob_put(c->store, json->data, json->size, NULL, digest, &fd, err);

	return hold(c, r, fd, err);
}

static int set_name(struct commit *c, const char *name, const char *digest, uint64_t size, struct error *err)
{
	struct store_name n = {.name = (char *)name,
		.media_type = (char *)COMMIT_MANIFEST_MEDIA_TYPE,
		.size = size,
		.source = (char *)"",
		.updated = clock_realtime()};

	memcpy(n.digest, digest, sizeof n.digest);
	return store_name_set(c->store, &n, digest, err);
}

int commit_finish(struct commit *c, const struct commit_options *options, const char *name,
	char digest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_buffer_ struct buffer config = {0}, manifest = {0};
	char config_digest[OCI_DIGEST_SIZE];
	struct layer layer;
	int r = layer_writer_finish(c->writer, &layer, err);

	if (r < 0)
		return error_prefix(err, "read the changes");
	r = commit_config(c->config.data, c->config.size, &layer, options, &config, err);
	if (r == 0)
		r = keep_layer(c, &layer, err);
	if (r == 0)
		r = keep_document(c, &config, config_digest, err);
	if (r == 0)
		r = commit_manifest(c->manifest.data, c->manifest.size, &layer, config_digest, config.size,
			&manifest, err);
	if (r == 0)
		r = keep_document(c, &manifest, digest, err);
	return r < 0 ? r : set_name(c, name, digest, manifest.size, err);
}
