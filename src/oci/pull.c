/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull: the manifest, or the index and the manifest in it for this platform; the config; then the layers,
 * the newest first, of which the root file system is made while they arrive. The name comes last, when all
 * that it leads to is in the store and locked.
 */
#include "oci/pull.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "oci/catalog.h"
#include "oci/fetch.h"
#include "oci/image_parts.h"
#include "oci/referrers.h"
#include "oci/remote.h"
#include "os/fs.h"

#define NESTED_MAX 4u
#define ID_LEAST   4u /* digits */

struct pull {
	struct store *store;
	const struct image_options *options;
	struct image *image; /* holds what was found or fetched */
	struct remote remote;
	size_t at; /* the registry that had the manifest: the first that is asked for blobs */
	struct oci_descriptor target;
	struct blobs blobs; /* of the store, and what is arriving */
	struct blob_source source;
	struct image_plan plan;
	struct fetch_blob *missing; /* the newest layer first */
	size_t missing_count;
	bool sorted; /* `missing` is known */
	struct fetch *fetch;
};

static void pull_release(struct pull *p)
{
	fetch_free(p->fetch);
	free(p->missing);
	image_plan_free(&p->plan);
	free(p->target.media_type);
	blobs_close(&p->blobs);
	remote_close(&p->remote);
}

static int start(struct pull *p, const char *text, struct error *err)
{
	struct remote_options options = {.plain_http = p->options && p->options->plain_http};
	int r = blobs_open(store_path(p->store), &p->blobs, err);

	return r < 0 ? r : remote_open(store_home(p->store), text, &options, &p->remote, err);
}

/* ---- documents -------------------------------------------------------------------------------------- */

static int hold_blob(struct pull *p, const void *bytes, size_t n, const char *expected, struct error *err)
{
	char digest[OCI_DIGEST_SIZE];
	int fd, r = store_blob_put(p->store, bytes, n, expected, digest, &fd, err);

	return r < 0 ? r : image_hold(p->image, fd, err);
}

static int set_target(
	struct pull *p, const char *digest, uint64_t size, const char *media_type, struct error *err)
{
	free(p->target.media_type);
	memcpy(p->target.digest, digest, OCI_DIGEST_SIZE);
	p->target.size = size;
	p->target.media_type = text_copy(media_type, err);
	return p->target.media_type ? 0 : -ERROR_NO_MEMORY;
}

/* The bytes of a manifest by digest: from the store, else from the registry and then in the store. */
static int get_manifest(struct pull *p, const char *digest, struct buffer *json, struct error *err)
{
	_cleanup_(registry_manifest_free) struct registry_manifest m = {0};
	size_t at;
	int fd, r = store_blob_read(p->store, digest, OCI_JSON_MAX, json, &fd, NULL);

	if (r == 0)
		return image_hold(p->image, fd, err);
	r = remote_manifest(&p->remote, digest, false, &m, &at, err);
	if (r == 0)
		r = hold_blob(p, m.bytes.data, m.bytes.size, digest, err);
	if (r < 0)
		return r;
	buffer_clear(json);
	return buffer_append(json, m.bytes.data, m.bytes.size) ? 0 : error_no_memory(err, "a manifest");
}

static int choose_child(const struct buffer *json, const struct plan_options *o, char digest[OCI_DIGEST_SIZE],
	struct error *err)
{
	_cleanup_(oci_index_free) struct oci_index index = {0};
	const struct oci_descriptor *d = NULL;
	int r = oci_index_parse(json->data, json->size, &index, err);

	if (r == 0)
		r = plan_choose(&index, o, &d, err);
	if (r == 0)
		memcpy(digest, d->digest, OCI_DIGEST_SIZE);
	return r;
}

struct to_memory {
	struct buffer *out;
};

static int append(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	struct to_memory *x = context;

	return buffer_append(x->out, bytes, n) ? 0 : error_no_memory(err, "a config");
}

/* The config is small and wanted first. */
static int get_config(struct pull *p, const struct oci_descriptor *d, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	_cleanup_(registry_place_free) struct registry_place place = {0};
	struct to_memory x = {&json};
	int fd, r = store_blob_read(p->store, d->digest, OCI_JSON_MAX, &json, &fd, NULL);

	if (r == 0)
		return image_hold(p->image, fd, err);
	if (d->size > OCI_JSON_MAX)
		return error_set(err, ERROR_LIMIT, "the config has over 8 MiB");
	for (size_t at = p->at; at < p->remote.registry_count; at++) {
		bool again = true;

		for (unsigned attempt = 0; attempt < 4 && again; attempt++) {
			buffer_clear(&json);
			r = registry_blob_get(p->remote.registries[at], &place, d->digest, 0, d->size,
				d->size, append, &x, &again, err);
			again &= r < 0;
		}
		if (r == 0)
			return hold_blob(p, json.data, json.size, d->digest, err);
		registry_place_free(&place);
	}
	return r < 0 ? error_prefix(err, "config") : r;
}

/* Has the store hold all documents from the target on. */
static int get_documents(struct pull *p, struct error *err)
{
	_cleanup_(oci_manifest_free) struct oci_manifest manifest = {0};
	_cleanup_buffer_ struct buffer json = {0};
	char digest[OCI_DIGEST_SIZE], host[32];
	struct plan_options o = image_plan_options(p->options, host);
	const char *type;
	int r;

	memcpy(digest, p->target.digest, sizeof digest);
	for (unsigned depth = 0;; depth++) {
		if (depth == NESTED_MAX)
			return error_set(err, ERROR_INVALID, "indexes within indexes within indexes");
		r = get_manifest(p, digest, &json, err);
		if (r == 0)
			r = oci_document_type(json.data, json.size, &type, err);
		if (r < 0)
			return r;
		if (oci_media_type(type) != OCI_MEDIA_INDEX)
			break;
		r = choose_child(&json, &o, digest, err);
		if (r < 0)
			return r;
	}
	r = oci_manifest_parse(json.data, json.size, &manifest, err);
	return r < 0 ? r : get_config(p, &manifest.config, err);
}

/* ---- layers ----------------------------------------------------------------------------------------- */

static bool is_missing_already(const struct pull *p, const char *digest)
{
	for (size_t i = 0; i < p->missing_count; i++)
		if (!strcmp(p->missing[i].digest, digest))
			return true;
	return false;
}

/* Holds the layers that the store has, and lists the others. */
static int sort_layers(struct pull *p, struct error *err)
{
	uint64_t need = 0, free_bytes, total, size;

	free(p->missing);
	p->missing_count = 0;
	p->missing = calloc(p->plan.count ? p->plan.count : 1, sizeof *p->missing);
	if (!p->missing)
		return error_no_memory(err, "a pull");
	for (size_t i = p->plan.count; i-- > 0;) {
		const struct plan_layer *l = &p->plan.layers[i];
		int fd, r = store_blob_open(p->store, l->digest, &fd, &size, err);

		if (r == 0 && size == l->size)
			r = image_hold(p->image, fd, err);
		else if (r == 0)
			r = (close(fd), -ERROR_NOT_FOUND); /* damaged: fetched anew */
		if (r < 0 && r != -ERROR_NOT_FOUND)
			return r;
		if (r == 0 || is_missing_already(p, l->digest))
			continue;
		memcpy(p->missing[p->missing_count].digest, l->digest, OCI_DIGEST_SIZE);
		p->missing[p->missing_count++].size = l->size;
		if (__builtin_add_overflow(need, l->size, &need))
			need = UINT64_MAX;
	}
	p->sorted = true;
	if (fs_space(p->blobs.fd, &free_bytes, &total, NULL) == 0 && need > free_bytes)
		return error_set(err, ERROR_NO_SPACE, "its layers have %llu MiB, and %llu MiB are free in %s",
			(unsigned long long)(need >> 20), (unsigned long long)(free_bytes >> 20),
			store_path(p->store));
	return 0;
}

static int find_arriving(void *context, const char *name, struct blob *blob, struct error *err)
{
	struct pull *p = context;
	const char *slash = strrchr(name, '/');

	for (size_t i = 0; p->fetch && slash && i < p->missing_count; i++) {
		if (strcmp(slash + 1, p->missing[i].digest + strlen("sha256:")) != 0)
			continue;
		*blob = (struct blob){.fd = -1, .size = p->missing[i].size, .arriving = true, .number = i};
		return fetch_open(p->fetch, i, &blob->fd, err);
	}
	return -ERROR_NOT_FOUND;
}

static int wait_arriving(
	void *context, const struct blob *blob, uint64_t have, uint64_t *available, struct error *err)
{
	struct pull *p = context;

	return fetch_wait(p->fetch, blob->number, have, available, err);
}

static int start_fetch(void *context, struct error *err)
{
	struct pull *p = context;
	struct fetch_options options = {.store = p->store,
		.registries = p->remote.registries + p->at,
		.registry_count = p->remote.registry_count - p->at,
		.stop = &p->remote.stop,
		.progress = p->options ? p->options->progress : NULL};
	int r;

	if (p->fetch)
		return 0;
	r = p->sorted ? 0 : sort_layers(p, err);
	options.blobs = p->missing;
	options.count = p->missing_count;
	if (r == 0 && p->missing_count)
		r = fetch_start(&options, &p->fetch, err);
	return r;
}

static int finish_fetch(struct pull *p, struct error *err)
{
	int r = start_fetch(p, err);

	if (r == 0 && p->fetch)
		r = fetch_finish(p->fetch, p->image->hold, err);
	return r;
}

static int make_plan(struct pull *p, struct error *err)
{
	char host[32];
	struct plan_options o = image_plan_options(p->options, host);

	p->source = (struct blob_source){.context = p, .find = find_arriving, .wait = wait_arriving};
	p->blobs.source = &p->source;
	return plan_target(&p->blobs, &p->target, &o, &p->plan, err);
}

/* ---- the name --------------------------------------------------------------------------------------- */

static int find_name(struct pull *p, struct store_name *found, struct error *err)
{
	p->image->name = remote_store_name(&p->remote.name, err);
	return p->image->name ? store_name_get(p->store, p->image->name, found, err) : -ERROR_NO_MEMORY;
}

/* Docker takes the start of an image's id for a name as well, where there is no such name. */
static int find_id(struct pull *p, const char *text, struct store_name *found, struct error *err)
{
	_cleanup_catalog_ struct catalog catalog = {0};
	_cleanup_match_ struct catalog_match match = {0};
	const struct catalog_image *image;
	int r;

	if (strlen(text) < ID_LEAST || strspn(text, "0123456789abcdef") != strlen(text))
		return -ERROR_NOT_FOUND;
	r = catalog_open(p->store, p->options ? p->options->platform : NULL, &catalog, err);
	if (r == 0)
		r = catalog_find(&catalog, text, &match, err);
	if (r < 0)
		return r;
	image = match.images[0];
	free(p->image->name);
	p->image->name = text_copy(image->name, err);
	*found = (struct store_name){.name = text_copy(image->name, err),
		.media_type = text_copy(image->media_type, err),
		.source = text_copy(image->source, err),
		.size = image->target_size};
	memcpy(found->digest, image->target, OCI_DIGEST_SIZE);
	return p->image->name && found->name && found->media_type && found->source ? 0 : -ERROR_NO_MEMORY;
}

static int keep_name(struct pull *p, struct error *err)
{
	const struct endpoint *e = remote_endpoint(&p->remote, p->at);
	_cleanup_free_ const char **digests = calloc(p->plan.count + 1, sizeof *digests);
	struct store_origin origin = {
		.registry = e->host, .repository = e->repository, .digests = digests, .count = p->plan.count};
	struct store_name name = {.media_type = p->target.media_type,
		.size = p->target.size,
		.source = p->image->source,
		.name = p->image->name};

	if (!digests)
		return error_no_memory(err, "a pull");
	for (size_t i = 0; i < p->plan.count; i++)
		digests[i] = p->plan.layers[i].digest;
	memcpy(name.digest, p->target.digest, OCI_DIGEST_SIZE);
	return store_name_set_from(p->store, &name, p->plan.digest, &origin, err);
}

static int set_image(struct pull *p, const char *source, struct error *err)
{
	free(p->image->target);
	free(p->image->source);
	p->image->target = text_copy(p->target.digest, err);
	p->image->source = text_copy(source, err);
	return p->image->target && p->image->source ? 0 : -ERROR_NO_MEMORY;
}

/* Asks the registry what the name leads to. *same: what the store has under it. */
static int ask(struct pull *p, const struct store_name *known, bool *same, struct error *err)
{
	_cleanup_(registry_manifest_free) struct registry_manifest m = {0};
	const char *reference = remote_reference(&p->remote.name), *type;
	int r = 0;

	*same = known->name && *p->remote.name.digest;
	if (*same) /* a digest leads to the same for ever */
		return set_target(p, known->digest, known->size, known->media_type, err);
	if (known->name) {
		r = remote_manifest(&p->remote, reference, true, &m, &p->at, err);
		*same = r == 0 && !strcmp(m.digest, known->digest);
		if (r < 0 && r != -ERROR_INVALID && r != -ERROR_NOT_FOUND)
			return r;
		if (*same)
			return set_target(p, known->digest, known->size, known->media_type, err);
		registry_manifest_free(&m); /* HEAD is refused by some */
	}
	r = remote_manifest(&p->remote, reference, false, &m, &p->at, err);
	if (r == 0)
		r = oci_document_type(m.bytes.data, m.bytes.size, &type, err);
	if (r < 0)
		return r;
	*same = !strcmp(m.digest, known->digest);
	if (!*type) { /* says what is wrong with it, schema 1 too */
		struct oci_manifest manifest = {0};

		r = oci_manifest_parse(m.bytes.data, m.bytes.size, &manifest, err);
		oci_manifest_free(&manifest);
		if (r < 0)
			return r;
		type = m.media_type;
	}
	r = hold_blob(p, m.bytes.data, m.bytes.size, m.digest, err);
	return r < 0 ? r : set_target(p, m.digest, m.size, type, err);
}

/* Of the manifest, and of the index that it is in. */
static int get_referrers(struct pull *p, struct error *err)
{
	struct registry *registry = p->remote.registries[p->at];
	unsigned missed = 0;
	int r;

	if (!p->image->pulled)
		return 0; /* nobody asks twice for what has not changed */
	r = referrers_pull(p->store, registry, p->plan.digest, p->image->hold, &missed, err);
	if (r == 0 && strcmp(p->plan.digest, p->target.digest) != 0)
		r = referrers_pull(p->store, registry, p->target.digest, p->image->hold, &missed, err);
	if (missed)
		log_info("%s: %u referrers could not be pulled", p->image->name, missed);
	return r;
}

/* ---- pull and open ---------------------------------------------------------------------------------- */

/* What is under the name in the store: NOT_FOUND where something of it is missing. */
static int use_local(struct pull *p, const struct store_name *known, struct error *err)
{
	int r = set_target(p, known->digest, known->size, known->media_type, err);

	if (r == 0)
		r = set_image(p, known->source, err);
	if (r == 0)
		r = make_plan(p, err);
	if (r == 0)
		r = sort_layers(p, err);
	if (r == 0 && p->missing_count)
		r = error_set(
			err, ERROR_NOT_FOUND, "%zu of its layers are missing in the store", p->missing_count);
	return r;
}

/* Documents from the registry, and the plan of them. */
static int use_remote(struct pull *p, const struct store_name *known, struct error *err)
{
	bool same;
	int r = ask(p, known, &same, err);

	p->image->pulled = !same;
	if (r == 0)
		r = get_documents(p, err);
	if (r == 0)
		r = set_image(p, registry_url(p->remote.registries[p->at]), err);
	image_plan_free(&p->plan);
	p->sorted = false;
	return r < 0 ? r : make_plan(p, err);
}

static int open_name(struct pull *p, const char *text, struct error *err)
{
	enum image_pull policy = p->options ? p->options->pull : IMAGE_PULL_MISSING;
	_cleanup_(store_name_free) struct store_name known = {0};
	struct making making = {.blobs = &p->blobs, .before = start_fetch, .context = p};
	int r = start(p, text, err);

	if (r == 0)
		r = find_name(p, &known, err);
	if (r == -ERROR_NOT_FOUND && policy != IMAGE_PULL_ALWAYS)
		r = find_id(p, text, &known, err);
	if (r == 0 && policy != IMAGE_PULL_ALWAYS)
		r = use_local(p, &known, err);
	else if (r == 0)
		r = -ERROR_NOT_FOUND;
	if (r == -ERROR_NOT_FOUND && policy == IMAGE_PULL_NEVER)
		return error_prefix(err, "it is not here as a whole, and is not to be pulled");
	if (r == -ERROR_NOT_FOUND) {
		r = use_remote(p, &known, err);
		if (r == 0)
			r = image_from_plan(p->store, p->image, &p->plan, &making, p->options, err);
		if (r == 0)
			r = finish_fetch(p, err);
		if (r == 0 && p->options && p->options->referrers)
			r = get_referrers(p, err);
		return r < 0 ? r : keep_name(p, err);
	}
	return r < 0 ? r : image_from_plan(p->store, p->image, &p->plan, &making, p->options, err);
}

int image_open_name(struct store *s, const char *text, const struct image_options *o, struct image *image,
	struct error *err)
{
	_cleanup_(pull_release) struct pull p = {
		.store = s, .options = o, .image = image, .blobs = {.fd = -1}};
	int r = open_name(&p, text, err);

	/* A full disk is not left full of halves. */
	if (r == -ERROR_NO_SPACE && p.fetch)
		fetch_drop(p.fetch);
	return r;
}
