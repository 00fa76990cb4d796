/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/referrers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"

#define DEPTH_MOST     3u
#define REFERRERS_MOST 64u
#define BLOB_BYTES_MAX (256ull << 20) /* of a list of what is in an image; signatures have a few hundred */
#define INDEX_TYPE     "application/vnd.oci.image.index.v1+json"

/* ---- pull ------------------------------------------------------------------------------------------- */

static int take(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	return store_ingest_write(context, bytes, n, err);
}

static int pull_blob(struct store *s, struct registry *r, const struct oci_descriptor *d,
	struct store_hold *hold, struct error *err)
{
	_cleanup_(registry_place_free) struct registry_place place = {0};
	_cleanup_ingest_ struct store_ingest in = {.fd = -1};
	char digest[OCI_DIGEST_SIZE];
	uint64_t size;
	bool again;
	int fd, result;

	if (store_blob_open(s, d->digest, &fd, &size, NULL) == 0 && size == d->size)
		return store_hold_add(hold, fd, err);
	if (d->size > BLOB_BYTES_MAX)
		return error_set(err, ERROR_LIMIT, "a referrer's blob has over 256 MiB");
	result = store_ingest_start(s, &in, err);
	if (result == 0)
		result = registry_blob_get(r, &place, d->digest, 0, d->size, d->size, take, &in, &again, err);
	if (result == 0)
		result = store_ingest_finish(&in, d->digest, digest, &fd, err);
	return result < 0 ? result : store_hold_add(hold, fd, err);
}

static int pull_one(struct store *s, struct registry *r, const char *subject, const char *digest,
	struct store_hold *hold, struct error *err)
{
	_cleanup_(registry_manifest_free) struct registry_manifest m = {0};
	_cleanup_(oci_manifest_free) struct oci_manifest parsed = {0};
	char stored[OCI_DIGEST_SIZE];
	int fd, result = registry_manifest_get(r, digest, &m, err);

	if (result == 0)
		result = oci_manifest_parse(m.bytes.data, m.bytes.size, &parsed, err);
	if (result == 0)
		result = pull_blob(s, r, &parsed.config, hold, err);
	for (size_t i = 0; result == 0 && i < parsed.count; i++)
		result = pull_blob(s, r, &parsed.layers[i], hold, err);
	if (result == 0)
		result = store_blob_put(s, m.bytes.data, m.bytes.size, digest, stored, &fd, err);
	if (result == 0)
		result = store_hold_add(hold, fd, err);
	return result < 0 ? result : store_referrer_add(s, subject, digest, err);
}

static int pull_level(struct store *s, struct registry *r, const char *subject, struct store_hold *hold,
	unsigned depth, unsigned *missed, struct error *err)
{
	_cleanup_(oci_index_free) struct oci_index index = {0};
	struct error why = {0};

	if (depth == DEPTH_MOST || registry_referrers(r, subject, &index, &why) < 0) {
		*missed += depth < DEPTH_MOST;
		return why.code == ERROR_NO_MEMORY ? error_no_memory(err, "referrers") : 0;
	}
	for (size_t i = 0; i < index.count; i++) {
		const char *digest = index.manifests[i].digest;
		int result = i < REFERRERS_MOST ? pull_one(s, r, subject, digest, hold, &why) : -ERROR_LIMIT;

		if (result == -ERROR_NO_MEMORY || result == -ERROR_NO_SPACE) {
			if (err)
				*err = why;
			return result;
		}
		if (result < 0) {
			log_debug("referrer %s: %s", digest, why.text);
			++*missed;
			continue;
		}
		result = pull_level(s, r, digest, hold, depth + 1, missed, err);
		if (result < 0)
			return result;
	}
	return 0;
}

int referrers_pull(struct store *s, struct registry *r, const char *subject, struct store_hold *hold,
	unsigned *missed, struct error *err)
{
	return pull_level(s, r, subject, hold, 0, missed, err);
}

/* ---- push ------------------------------------------------------------------------------------------- */

/* The manifest as an entry of the index: what it is, and what it says of itself. */
static json_t *describe(json_t *manifest, const char *digest, size_t size)
{
	const char *type = json_string_value(json_object_get(manifest, "artifactType"));
	json_t *config = json_object_get(manifest, "config"),
	       *notes = json_object_get(manifest, "annotations");
	const char *media = json_string_value(json_object_get(manifest, "mediaType"));
	json_t *d = json_pack("{s:s, s:s, s:I}", "mediaType",
		media ? media : "application/vnd.oci.image.manifest.v1+json", "digest", digest, "size",
		(json_int_t)size);

	type = type ? type : json_string_value(json_object_get(config, "mediaType"));
	if (d && type && json_object_set_new(d, "artifactType", json_string(type)) < 0)
		return json_decref(d), NULL;
	if (d && json_is_object(notes) && json_object_set(d, "annotations", notes) < 0)
		return json_decref(d), NULL;
	return d;
}

/* Takes `entry`. *changed: it was not there. */
static int add_entry(json_t *index, json_t *entry, const char *digest, bool *changed)
{
	json_t *list = json_object_get(index, "manifests"), *value;
	size_t i;

	*changed = true;
	json_array_foreach(list, i, value)
	{
		const char *there = json_string_value(json_object_get(value, "digest"));

		if (there && !strcmp(there, digest)) {
			json_decref(entry);
			*changed = false;
			return 0;
		}
	}
	return json_array_append_new(list, entry);
}

/* The index under the tag, or an empty one. */
static int get_index(struct registry *r, const char *tag, json_t **index, struct error *err)
{
	_cleanup_(registry_manifest_free) struct registry_manifest m = {0};
	int result = registry_manifest_get(r, tag, &m, err);

	*index = NULL;
	if (result == 0)
		result = json_parse(m.bytes.data, m.bytes.size, OCI_JSON_MAX, false, tag, index, err);
	else if (result == -ERROR_NOT_FOUND)
		result = 0;
	if (result == 0 && *index && !json_is_array(json_object_get(*index, "manifests")))
		return error_set(err, ERROR_INVALID, "%s: the tag %s is no index", registry_url(r), tag);
	if (result == 0 && !*index)
		*index = json_pack(
			"{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", INDEX_TYPE, "manifests");
	return result == 0 && !*index ? error_no_memory(err, "an index") : result;
}

int referrers_push(struct registry *r, const void *manifest, size_t n, bool answered, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	_cleanup_json_ json_t *index = NULL;
	_cleanup_free_ char *text = NULL;
	char tag[OCI_DIGEST_SIZE], digest[SHA256_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	const char *subject;
	json_t *entry;
	bool changed;
	int result = json_parse(manifest, n, OCI_JSON_MAX, false, "manifest", &root, err);

	if (result == 0)
		result = sha256_of(manifest, n, hash, err);
	if (result < 0)
		return result;
	subject = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
	if (answered || !subject || !oci_digest_valid(subject))
		return 0;
	snprintf(tag, sizeof tag, "sha256-%s", subject + strlen("sha256:"));
	result = get_index(r, tag, &index, err);
	if (result < 0)
		return result;
	entry = describe(root, sha256_digest(hash, digest), n);
	if (!entry || add_entry(index, entry, digest, &changed) < 0)
		return error_no_memory(err, "an index");
	if (!changed)
		return 0;
	text = json_dumps(index, JSON_COMPACT);
	if (!text)
		return error_no_memory(err, "an index");
	return registry_manifest_put(r, tag, INDEX_TYPE, text, strlen(text), NULL, err);
}
