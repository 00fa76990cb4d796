/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/json.h"

#define NESTED_MAX     4u
#define LAYERS_DEFAULT 512u
#define READ_BYTES     (256u << 10)
#define SHOW_EVERY     MILLISECONDS(50)
#define MEDIA          "application/vnd.oci.image."

void import_release(struct import *im)
{
	map_free(&im->held);
	text_list_free(im->whole);
	free(im->bytes);
	im->whole = NULL;
	im->bytes = NULL;
}

/* ---- one blob --------------------------------------------------------------------------------------- */

static bool is_held(const struct import *im, const char *digest)
{
	return map_get(&im->held, digest, strlen(digest)) != NULL;
}

/* Takes fd. */
static int hold(struct import *im, const char *digest, int fd, struct error *err)
{
	int r = store_hold_add(im->hold, fd, err);

	return r < 0 ? r : map_set(&im->held, digest, strlen(digest), im, NULL, err);
}

/* 1: the store has the blob already, and keeps it. */
static int use_stored(struct import *im, const char *digest, uint64_t size, struct error *err)
{
	uint64_t there;
	int fd, r;

	if (is_held(im, digest))
		return 1;
	r = store_blob_open(im->store, digest, &fd, &there, err);
	if (r == -ERROR_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	if (there != size) {
		close(fd); /* damaged: taken anew */
		return 0;
	}
	r = hold(im, digest, fd, err);
	return r < 0 ? r : 1;
}

static int read_some(const struct blob *blob, const char *name, void *bytes, size_t room, struct error *err)
{
	size_t part = blob->size < room ? (size_t)blob->size : room;
	ssize_t n;

	do
		n = pread(blob->fd, bytes, part, (off_t)blob->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "read %s", name);
	if (n == 0)
		return error_set(err, ERROR_INVALID, "%s is cut", name);
	return (int)n;
}

static int copy(
	struct import *im, struct blob blob, const char *name, struct store_ingest *in, struct error *err)
{
	uint64_t now;
	int r = 0;

	if (!im->bytes)
		im->bytes = malloc(READ_BYTES);
	if (!im->bytes)
		return error_no_memory(err, name);
	while (r >= 0 && blob.size > 0) {
		r = read_some(&blob, name, im->bytes, READ_BYTES, err);
		if (r < 0)
			return r;
		blob.offset += (uint64_t)r;
		blob.size -= (uint64_t)r;
		im->done += (uint64_t)r;
		r = store_ingest_write(in, im->bytes, (size_t)r, err);
		now = clock_monotonic();
		if (now - im->shown_at < SHOW_EVERY)
			continue;
		im->shown_at = now;
		progress_report(im->progress,
			&(struct progress_event){.task = "load", .unit = "bytes", .done = im->done});
	}
	return r;
}

/* Takes over the blob of this name. expected: its digest, or NULL. */
static int take_blob(struct import *im, const struct blob *blob, const char *name, const char *expected,
	char digest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_ingest_ struct store_ingest in = {.fd = -1};
	int fd = -1, r = store_ingest_start(im->store, &in, err);

	if (r == 0)
		r = copy(im, *blob, name, &in, err);
	if (r == 0)
		r = store_ingest_finish(&in, expected, digest, &fd, err);
	return r < 0 ? r : hold(im, digest, fd, err);
}

static void blob_name(const char *digest, char out[96])
{
	snprintf(out, 96, "blobs/sha256/%s", digest + strlen("sha256:"));
}

/* What a descriptor names. */
static int take_described(struct import *im, const struct oci_descriptor *d, struct error *err)
{
	char name[96], digest[OCI_DIGEST_SIZE];
	_cleanup_fd_ int fd = -1;
	struct blob blob = {.fd = -1};
	int r = use_stored(im, d->digest, d->size, err);

	if (r != 0)
		return r < 0 ? r : 0;
	blob_name(d->digest, name);
	r = blobs_find(im->blobs, name, &blob, err);
	if (r < 0)
		return r;
	fd = blob.fd;
	if (blob.size != d->size)
		return error_set(err, ERROR_INVALID, "%s has %llu bytes, its descriptor says %llu", d->digest,
			(unsigned long long)blob.size, (unsigned long long)d->size);
	return take_blob(im, &blob, name, d->digest, digest, err);
}

/* ---- documents -------------------------------------------------------------------------------------- */

/* The bytes of a manifest or index, which the store has from now on. */
static int take_document(
	struct import *im, const struct oci_descriptor *d, struct buffer *json, struct error *err)
{
	if (d->size > OCI_JSON_MAX)
		return error_set(err, ERROR_LIMIT, "%s has over 8 MiB", d->digest);
	int r = take_described(im, d, err);

	return r < 0 ? r : store_blob_read(im->store, d->digest, OCI_JSON_MAX, json, NULL, err);
}

static bool is_there(const struct import *im, const char *digest)
{
	char name[96];
	uint64_t size;
	int fd;

	blob_name(digest, name);
	if (is_held(im, digest) || blobs_has(im->blobs, name))
		return true;
	if (store_blob_open(im->store, digest, &fd, &size, NULL) < 0)
		return false;
	close(fd);
	return true;
}

static int take_manifest(
	struct import *im, const char *digest, const struct oci_manifest *m, bool optional, struct error *err)
{
	bool all = is_there(im, m->config.digest);
	uint32_t most = im->layers ? im->layers : LAYERS_DEFAULT;
	int r;

	if (m->count > most)
		return error_set(err, ERROR_LIMIT,
			"%zu layers, over the limit of %u: raise layers in MONOCORE_IMAGE_LIMITS", m->count,
			most);
	for (size_t i = 0; optional && all && i < m->count; i++)
		all = is_there(im, m->layers[i].digest);
	if (optional && !all)
		return 0;
	r = take_described(im, &m->config, err);
	if (r < 0)
		return error_prefix(err, "config");
	for (size_t i = 0; r >= 0 && i < m->count; i++) {
		r = take_described(im, &m->layers[i], err);
		if (r < 0)
			error_prefix(err, "layer %zu of %zu", i + 1, m->count);
	}
	if (r == 0)
		r = text_list_add(&im->whole, digest, err);
	return r < 0 ? r : 1;
}

static int take_any(struct import *im, const struct oci_descriptor *d, unsigned depth, struct error *err);

/* Returns how many of its manifests are here. */
static int take_children(struct import *im, const struct oci_index *index, unsigned depth, struct error *err)
{
	int r = 0, found = 0;

	for (size_t i = 0; r >= 0 && i < index->count; i++) {
		r = is_there(im, index->manifests[i].digest)
			    ? take_any(im, &index->manifests[i], depth + 1, err)
			    : 0;
		found += r > 0;
	}
	return r < 0 ? r : found;
}

/* 1: it is here as a whole, or something of it is; 0: not, which is no error below an index. */
static int take_any(struct import *im, const struct oci_descriptor *d, unsigned depth, struct error *err)
{
	_cleanup_(oci_manifest_free) struct oci_manifest manifest = {0};
	_cleanup_(oci_index_free) struct oci_index index = {0};
	_cleanup_buffer_ struct buffer json = {0};
	const char *type;
	int r;

	if (depth == NESTED_MAX)
		return error_set(err, ERROR_INVALID, "indexes within indexes within indexes");
	r = take_document(im, d, &json, err);
	if (r == 0)
		r = oci_document_type(json.data, json.size, &type, err);
	if (r < 0)
		return error_prefix(err, "manifest");
	if (oci_media_type(type) == OCI_MEDIA_INDEX) {
		r = oci_index_parse(json.data, json.size, &index, err);
		return r < 0 ? r : take_children(im, &index, depth, err);
	}
	r = oci_manifest_parse(json.data, json.size, &manifest, err);
	return r < 0 ? r : take_manifest(im, d->digest, &manifest, depth > 0, err);
}

int import_target(struct import *im, const struct oci_descriptor *target, struct error *err)
{
	int r = take_any(im, target, 0, err);

	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, "%s has none of the images that the index %s names",
			im->blobs->path, target->digest);
	return r < 0 ? r : 0;
}

/* ---- docker archives -------------------------------------------------------------------------------- */

static const char *layer_type(const uint8_t *start, size_t n)
{
	if (n >= 2 && !memcmp(start, "\x1f\x8b", 2))
		return MEDIA "layer.v1.tar+gzip";
	if (n >= 4 && !memcmp(start, "\x28\xb5\x2f\xfd", 4))
		return MEDIA "layer.v1.tar+zstd";
	return MEDIA "layer.v1.tar";
}

static int put_descriptor(json_t *parent, const char *key, const char *type, const char *digest,
	uint64_t size, struct error *err)
{
	json_t *d =
		json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);
	int r = key ? json_object_set_new(parent, key, d) : json_array_append_new(parent, d);

	return r < 0 ? error_no_memory(err, "a manifest") : 0;
}

/* Members' names are often digests of what is in them, which then must be right. */
static const char *named_digest(const char *name, char out[OCI_DIGEST_SIZE])
{
	const char *digits = plan_digits(name);

	if (!digits)
		return NULL;
	snprintf(out, OCI_DIGEST_SIZE, "sha256:%.64s", digits);
	return out;
}

/* The bytes of a layer that is not compressed have the digest that the config names. */
static int take_layer(
	struct import *im, const char *name, const char *diff_id, json_t *layers, struct error *err)
{
	char digest[OCI_DIGEST_SIZE], named[OCI_DIGEST_SIZE];
	_cleanup_fd_ int fd = -1;
	struct blob blob = {.fd = -1};
	const char *type, *expected;
	uint8_t start[4];
	int r = blobs_find(im->blobs, name, &blob, err);

	if (r < 0)
		return r;
	fd = blob.fd;
	r = blob.size ? read_some(&blob, name, start, sizeof start, err) : 0;
	if (r < 0)
		return r;
	type = layer_type(start, (size_t)r);
	expected = text_ends(type, ".tar")              ? diff_id
		   : text_starts(name, "blobs/sha256/") ? named_digest(name, named)
							: NULL;
	r = expected ? use_stored(im, expected, blob.size, err) : 0;
	if (r > 0)
		memcpy(digest, expected, sizeof digest);
	else if (r == 0)
		r = take_blob(im, &blob, name, expected, digest, err);
	return r < 0 ? r : put_descriptor(layers, NULL, type, digest, blob.size, err);
}

static int take_config(
	struct import *im, const char *name, struct oci_config *config, json_t *manifest, struct error *err)
{
	char digest[OCI_DIGEST_SIZE], named[OCI_DIGEST_SIZE];
	_cleanup_buffer_ struct buffer json = {0};
	int fd = -1, r = blobs_read(im->blobs, name, OCI_JSON_MAX, &json, err);

	if (r == 0)
		r = oci_config_parse(json.data, json.size, config, err);
	if (r == 0)
		r = store_blob_put(
			im->store, json.data, json.size, named_digest(name, named), digest, &fd, err);
	if (r == 0)
		r = hold(im, digest, fd, err);
	return r < 0 ? r : put_descriptor(manifest, "config", MEDIA "config.v1+json", digest, json.size, err);
}

/* Keeps the manifest that was made. */
static int put_manifest(
	struct import *im, const json_t *manifest, struct oci_descriptor *target, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	int fd, r = json_write(manifest, JSON_COMPACT, &json, err);

	if (r < 0)
		return r;
	*target = (struct oci_descriptor){.size = json.size, .media_type = (char *)MEDIA "manifest.v1+json"};
	r = store_blob_put(im->store, json.data, json.size, NULL, target->digest, &fd, err);
	if (r == 0)
		r = hold(im, target->digest, fd, err);
	return r < 0 ? r : text_list_add(&im->whole, target->digest, err);
}

static int check_layers(
	const struct import *im, const struct oci_config *config, size_t count, struct error *err)
{
	uint32_t most = im->layers ? im->layers : LAYERS_DEFAULT;

	if (count > most)
		return error_set(err, ERROR_LIMIT,
			"%zu layers, over the limit of %u: raise layers in MONOCORE_IMAGE_LIMITS", count,
			most);
	if (text_list_size(config->diff_ids) != count)
		return error_set(err, ERROR_INVALID,
			"config: rootfs.diff_ids names %zu layers, manifest.json %zu",
			text_list_size(config->diff_ids), count);
	return 0;
}

int import_docker(struct import *im, const char *config_name, char *const *names,
	struct oci_descriptor *target, struct error *err)
{
	_cleanup_(oci_config_free) struct oci_config config = {0};
	_cleanup_json_ json_t *manifest =
		json_pack("{s:i, s:s}", "schemaVersion", 2, "mediaType", MEDIA "manifest.v1+json");
	size_t count = text_list_size(names);
	json_t *layers = json_array();
	int r;

	if (!manifest || !layers) {
		json_decref(layers);
		return error_no_memory(err, "a manifest");
	}
	r = take_config(im, config_name, &config, manifest, err);
	if (r < 0)
		error_prefix(err, "config %s", config_name);
	if (json_object_set_new(manifest, "layers", layers) < 0 && r == 0)
		r = error_no_memory(err, "a manifest");
	if (r == 0)
		r = check_layers(im, &config, count, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = take_layer(im, names[i], config.diff_ids[i], layers, err);
		if (r < 0)
			error_prefix(err, "layer %zu of %zu (%s)", i + 1, count, names[i]);
	}
	return r < 0 ? r : put_manifest(im, manifest, target, err);
}

/* ---- names ------------------------------------------------------------------------------------------ */

int import_name(struct import *im, const char *name, const struct oci_descriptor *target, struct error *err)
{
	struct store_name n = {.name = (char *)name,
		.media_type = target->media_type,
		.size = target->size,
		.source = (char *)"",
		.updated = clock_realtime()};
	int r = 0;

	memcpy(n.digest, target->digest, sizeof n.digest);
	for (char **w = im->whole; r == 0 && w && *w; w++)
		r = store_name_set(im->store, &n, *w, err);
	return r;
}

/* The descriptor that the manifest of a layout would have. */
static int find_manifest(
	const struct blobs *b, const char *digest, struct oci_descriptor *target, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	const char *type;
	char name[96];
	int r;

	blob_name(digest, name);
	r = blobs_read(b, name, OCI_JSON_MAX, &json, err);
	if (r == 0)
		r = oci_document_type(json.data, json.size, &type, err);
	if (r < 0)
		return r;
	memcpy(target->digest, digest, sizeof target->digest);
	target->size = json.size;
	target->media_type = (char *)type;
	return 0;
}

static int take_plan(
	struct import *im, const struct image_plan *p, struct oci_descriptor *target, struct error *err)
{
	_cleanup_free_ char **names = NULL;
	int r;

	if (!p->config_name) {
		r = find_manifest(im->blobs, p->digest, target, err);
		return r < 0 ? r : import_target(im, target, err);
	}
	names = calloc(p->count + 1, sizeof *names);
	if (!names)
		return error_no_memory(err, "layers");
	for (size_t i = 0; i < p->count; i++)
		names[i] = p->layers[i].name;
	return import_docker(im, p->config_name, names, target, err);
}

int import_plan(struct store *s, const struct blobs *b, const struct image_plan *p, const char *name,
	struct store_hold *held, char manifest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_import_ struct import im = {
		.store = s, .blobs = b, .hold = held, .layers = (uint32_t)(p->count ? p->count : 1)};
	struct oci_descriptor target = {0};
	int r = take_plan(&im, p, &target, err);

	if (r == 0 && name)
		r = import_name(&im, name, &target, err);
	if (r < 0)
		return error_prefix(err, "take %s into the store", b->path);
	memcpy(manifest, target.digest, OCI_DIGEST_SIZE);
	return 0;
}
