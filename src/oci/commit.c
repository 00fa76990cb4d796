/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "oci/base.h"

#define LAYERS_DEFAULT 512

struct commit {
	struct store *store;
	struct base_image base; /* holds the new blobs, too, until something leads to them */
	struct store_ingest ingest;
	bool ingesting;
	struct layer_writer *writer;
};

void image_commit_free(struct commit *c)
{
	if (!c)
		return;
	layer_writer_free(c->writer);
	if (c->ingesting)
		store_ingest_free(&c->ingest);
	base_image_free(&c->base);
	free(c);
}

const struct oci_config *commit_base(const struct commit *c)
{
	return &c->base.parsed;
}

static int hold(struct commit *c, int r, int fd, struct error *err)
{
	return r < 0 ? r : store_hold_add(&c->base.hold, fd, err);
}

static int keep_piece(void *context, const void *data, size_t n, struct error *err)
{
	return store_ingest_write(context, data, n, err);
}

/* The layers that the base may have. */
static uint32_t room_for_one(const struct image_limits *limits)
{
	uint32_t most = limits && limits->layers ? limits->layers : LAYERS_DEFAULT;

	return most > 1 ? most - 1 : 1;
}

int commit_begin(struct store *s, const char *digest, const char *reference,
	const struct image_limits *limits, struct commit **out, struct error *err)
{
	_cleanup_(cleanup_commit) struct commit *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return error_no_memory(err, "commit");
	c->store = s;
	r = base_image_open(s, digest, reference, room_for_one(limits), &c->base, err);
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

void commit_date(struct commit *c, int64_t latest)
{
	layer_writer_date(c->writer, latest);
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
	r = commit_config(c->base.config.data, c->base.config.size, &layer, options, &config, err);
	if (r == 0)
		r = keep_layer(c, &layer, err);
	if (r == 0)
		r = keep_document(c, &config, config_digest, err);
	if (r == 0)
		r = commit_manifest(c->base.manifest.data, c->base.manifest.size, &layer, config_digest,
			config.size, &manifest, err);
	if (r == 0)
		r = keep_document(c, &manifest, digest, err);
	return r < 0 || !name ? r : set_name(c, name, digest, manifest.size, err);
}
