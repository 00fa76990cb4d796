/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/store_mark.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "oci/image_parts.h"

#define DEPTH_MOST 6u

struct marking {
	struct store *s;
	struct store_marks *m;
	int (*seen)(void *context, const struct store_visit *visit, struct error *err);
	void *context;
};

void store_marks_free(struct store_marks *m)
{
	map_free(&m->digests);
	map_free(&m->roots);
	map_free(&m->followed);
}

static int mark(struct map *m, const char *key, bool *new, struct error *err)
{
	static char there;
	void *old = NULL;
	int r = map_set(m, key, strlen(key), &there, &old, err);

	*new = old == NULL;
	return r;
}

/* Whether a document is still to be followed. It may have been marked before as something else, such as the
 * layer of an image that lies, or so deep that not all below it was reached. */
static int begin_follow(
	const struct marking *x, const char *digest, unsigned depth, bool *go, struct error *err)
{
	uintptr_t before = (uintptr_t)map_get(&x->m->followed, digest, strlen(digest));

	*go = depth < DEPTH_MOST && (!before || before > depth + 1);
	if (!*go)
		return 0;
	return map_set(&x->m->followed, digest, strlen(digest), (void *)(uintptr_t)(depth + 1), NULL, err);
}

static int visit(const struct marking *x, const struct store_visit *v, bool *new, struct error *err)
{
	int r = mark(&x->m->digests, v->digest, new, err);

	if (r == 0 && *new && x->seen)
		r = x->seen(x->context, v, err);
	return r;
}

static int mark_root(const struct marking *x, const char *config, struct error *err)
{
	_cleanup_(oci_config_free) struct oci_config c = {0};
	_cleanup_buffer_ struct buffer json = {0};
	uint8_t hash[SHA256_SIZE];
	char id[SHA256_HEX_SIZE];
	bool new;
	int r = store_blob_read(x->s, config, OCI_JSON_MAX, &json, NULL, NULL);

	if (r == 0)
		r = oci_config_parse(json.data, json.size, &c, NULL);
	if (r < 0)
		return r == -ERROR_NO_MEMORY ? error_no_memory(err, "a config") : 0;
	r = image_root_hash(c.diff_ids, text_list_size(c.diff_ids), hash, err);
	return r < 0 ? r : mark(&x->m->roots, sha256_hex(hash, id), &new, err);
}

/* Where memory is out, the library of JSON may lose a part of a document without a word. So one is malformed,
 * and leads to nothing, only when it is so twice: what it leads to may be removed. */
static int parse_manifest(const struct buffer *json, struct oci_manifest *m, struct error *err)
{
	int r = oci_manifest_parse(json->data, json->size, m, NULL);

	if (r < 0 && r != -ERROR_NO_MEMORY)
		r = oci_manifest_parse(json->data, json->size, m, NULL);
	return r == -ERROR_NO_MEMORY ? error_no_memory(err, "a manifest") : r;
}

static int parse_index(const struct buffer *json, struct oci_index *index, struct error *err)
{
	int r = oci_index_parse(json->data, json->size, index, NULL);

	if (r < 0 && r != -ERROR_NO_MEMORY)
		r = oci_index_parse(json->data, json->size, index, NULL);
	return r == -ERROR_NO_MEMORY ? error_no_memory(err, "an index") : r;
}

static int mark_manifest(
	const struct marking *x, const struct store_visit *of, const struct buffer *json, struct error *err)
{
	_cleanup_(oci_manifest_free) struct oci_manifest m = {0};
	struct store_visit v = {.parent = of->digest, .media = OCI_MEDIA_CONFIG, .referrer = of->referrer};
	bool new;
	int r = parse_manifest(json, &m, err);

	if (r < 0)
		return r == -ERROR_NO_MEMORY ? r : 0;
	v.digest = m.config.digest;
	v.size = m.config.size;
	r = visit(x, &v, &new, err);
	if (r >= 0)
		r = mark_root(x, m.config.digest, err);
	v.media = OCI_MEDIA_LAYER;
	for (size_t i = 0; r >= 0 && i < m.count; i++) {
		v.digest = m.layers[i].digest;
		v.size = m.layers[i].size;
		r = visit(x, &v, &new, err);
	}
	return r < 0 ? r : 0;
}

static int mark_document(
	const struct marking *x, const struct store_visit *v, unsigned depth, struct error *err);

static int mark_referrers(const struct marking *x, const char *subject, unsigned depth, struct error *err)
{
	_cleanup_text_list_ char **digests = NULL;
	int r = store_referrers(x->s, subject, &digests, err);

	for (char **d = digests; r == 0 && d && *d; d++) {
		struct store_visit v = {.digest = *d, .parent = subject, .referrer = true};

		r = mark_document(x, &v, depth + 1, err);
	}
	return r;
}

static int mark_document(
	const struct marking *x, const struct store_visit *v, unsigned depth, struct error *err)
{
	_cleanup_(oci_index_free) struct oci_index index = {0};
	_cleanup_buffer_ struct buffer json = {0};
	enum oci_media media;
	const char *type;
	bool new, go;
	int r = visit(x, v, &new, err), refused = r > 0;

	/* What is refused stays so. */
	if (r >= 0)
		r = begin_follow(x, v->digest, refused ? 0 : depth, &go, err);
	if (r < 0 || refused || !go)
		return r;
	r = mark_referrers(x, v->digest, depth, err);
	if (r < 0)
		return r;
	r = store_blob_read(x->s, v->digest, OCI_JSON_MAX, &json, NULL, NULL);
	if (r < 0)
		return r == -ERROR_NO_MEMORY ? error_no_memory(err, "a manifest") : 0;
	r = oci_document_type(json.data, json.size, &type, err);
	if (r < 0)
		return r;
	media = oci_media_type(type);
	if (media == OCI_MEDIA_MANIFEST)
		return mark_manifest(x, v, &json, err);
	if (media == OCI_MEDIA_INDEX)
		r = parse_index(&json, &index, err);
	if (r < 0)
		return r == -ERROR_NO_MEMORY ? r : 0;
	for (size_t i = 0; r == 0 && i < index.count; i++) {
		struct store_visit child = {.digest = index.manifests[i].digest,
			.parent = v->digest,
			.size = index.manifests[i].size,
			.optional = true,
			.referrer = v->referrer};

		r = mark_document(x, &child, depth + 1, err);
	}
	return r;
}

int store_mark(struct store *s, const char *digest, uint64_t size, struct store_marks *m,
	int (*seen)(void *context, const struct store_visit *visit, struct error *err), void *context,
	struct error *err)
{
	struct marking x = {.s = s, .m = m, .seen = seen, .context = context};
	struct store_visit v = {.digest = digest, .parent = "", .size = size};

	return mark_document(&x, &v, 0, err);
}
