/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, referrers, tags, repositories: what a registry says in JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/http_headers.h"
#include "codec/registry_json.h"
#include "codec/sha256.h"
#include "oci/registry_parts.h"

#define PAGES_MOST 1000u

/* In the order of docker's wishes; schema 1 too, so that it can be told by its name. */
#define ACCEPT \
	"Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " \
	"application/vnd.docker.distribution.manifest.list.v2+json, " \
	"application/vnd.docker.distribution.manifest.v2+json, " \
	"application/vnd.docker.distribution.manifest.v1+prettyjws"

/* Of a call that gives a pointer, which is NULL. */
static int failed(const struct error *err)
{
	return err ? -(int)err->code : -ERROR_SYSTEM;
}

struct collecting {
	struct buffer *out;
	size_t limit;
};

static int collect(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	struct collecting *x = context;

	if (n > x->limit - x->out->size)
		return error_set(err, ERROR_LIMIT, "the answer has over %zu bytes", x->limit);
	return buffer_append(x->out, bytes, n) ? 0 : error_no_memory(err, "an answer");
}

/* A GET whose bytes are wanted as a whole: tried again also when it broke off in the middle. */
static int get(struct registry *r, const char *url, const char *accept, const char *what, size_t limit,
	struct call *c, struct buffer *out, struct error *err)
{
	const char *headers[] = {accept, NULL};
	struct collecting x = {out, limit};

	for (unsigned attempt = 1;; attempt++) {
		int result;

		buffer_clear(out);
		call_free(c);
		*c = (struct call){.method = "GET",
			.url = url,
			.headers = accept ? headers : NULL,
			.write = collect,
			.context = &x};
		result = call_succeed(r, c, what, err);
		if (result == 0 || !c->began || !c->response.transient || attempt == 4)
			return result;
		result = registry_pause(r, &c->response, attempt, err);
		if (result < 0)
			return result;
	}
}

/* ---- manifests -------------------------------------------------------------------------------------- */

void registry_manifest_free(struct registry_manifest *m)
{
	free(m->media_type);
	buffer_free(&m->bytes);
	*m = (struct registry_manifest){0};
}

/* "application/json; charset=utf-8" without what is behind it. */
static char *media_type_of(const struct call *c, struct error *err)
{
	const char *type = http_header(&c->response, "content-type", 0);

	type = type ? type : "";
	return text_copy_bytes(type, strcspn(type, "; "), err);
}

static void said_digest(const struct call *c, char digest[OCI_DIGEST_SIZE])
{
	const char *said = http_header(&c->response, "docker-content-digest", 0);

	digest[0] = 0;
	if (said && oci_digest_valid(said))
		memcpy(digest, said, OCI_DIGEST_SIZE);
}

static char *manifest_url(struct registry *r, const char *reference, struct error *err)
{
	return registry_reach(r, err) < 0 ? NULL : registry_path(r, err, "manifests/%s", reference);
}

/* The bytes decide, not what the server says of them. */
static int check_manifest(
	const struct registry *r, const char *reference, struct registry_manifest *m, struct error *err)
{
	uint8_t hash[SHA256_SIZE];
	int result = sha256_of(m->bytes.data, m->bytes.size, hash, err);

	if (result < 0)
		return result;
	sha256_digest(hash, m->digest);
	m->size = m->bytes.size;
	if (oci_digest_valid(reference) && strcmp(reference, m->digest) != 0)
		return error_set(err, ERROR_CORRUPT,
			"%s: manifest %s: the registry sent one with the digest %s: it is damaged there, or "
			"on "
			"the way",
			registry_url(r), reference, m->digest);
	for (size_t i = 0; i < m->bytes.size; i++)
		if (!memchr(" \t\r\n", m->bytes.data[i], 4))
			return m->bytes.data[i] == '{'
				       ? 0
				       : error_set(err, ERROR_INVALID,
						 "%s: manifest %s: the answer is not JSON (%s): is this a "
						 "registry, or a proxy before it?",
						 registry_url(r), reference, m->media_type);
	return error_set(
		err, ERROR_INVALID, "%s: manifest %s: the answer is empty", registry_url(r), reference);
}

int registry_manifest_get(
	struct registry *r, const char *reference, struct registry_manifest *m, struct error *err)
{
	_cleanup_free_ char *url = manifest_url(r, reference, err);
	_cleanup_free_ char *what = text_format(err, "manifest %s", reference);
	_cleanup_call_ struct call c = {0};
	char said[OCI_DIGEST_SIZE] = "";
	int result;

	*m = (struct registry_manifest){0};
	if (!url || !what)
		return failed(err);
	result = get(r, url, ACCEPT, what, OCI_JSON_MAX, &c, &m->bytes, err);
	if (result == 0) {
		said_digest(&c, said);
		m->media_type = media_type_of(&c, err);
		result = m->media_type ? check_manifest(r, reference, m, err) : -ERROR_NO_MEMORY;
	}
	/* Schema 1, which is refused by its name later, has the digest of what is signed in it. */
	if (result == 0 && *said && strcmp(said, m->digest) != 0 && !strstr(m->media_type, "prettyjws"))
		result = error_set(err, ERROR_CORRUPT,
			"%s: manifest %s: its digest is %s, the registry says %.80s: it is damaged there, or "
			"on "
			"the way",
			registry_url(r), reference, m->digest, said);
	if (result < 0)
		registry_manifest_free(m);
	return result;
}

int registry_manifest_head(
	struct registry *r, const char *reference, struct registry_manifest *m, struct error *err)
{
	const char *headers[] = {ACCEPT, NULL};
	_cleanup_free_ char *url = manifest_url(r, reference, err);
	_cleanup_free_ char *what = text_format(err, "manifest %s", reference);
	_cleanup_call_ struct call c = {.method = "HEAD", .url = url, .headers = headers};
	const char *length;
	int result;

	*m = (struct registry_manifest){0};
	if (!url || !what)
		return failed(err);
	result = call_succeed(r, &c, what, err);
	if (result < 0)
		return result;
	said_digest(&c, m->digest);
	length = http_header(&c.response, "content-length", 0);
	if (length && text_parse_u64(length, OCI_JSON_MAX, "content-length", &m->size, NULL) < 0)
		m->size = 0;
	m->media_type = media_type_of(&c, err);
	return m->media_type ? 0 : -ERROR_NO_MEMORY;
}

int registry_manifest_put(struct registry *r, const char *reference, const char *media_type,
	const void *bytes, size_t n, bool *subject, struct error *err)
{
	_cleanup_free_ char *url = manifest_url(r, reference, err);
	_cleanup_free_ char *what = text_format(err, "push the manifest %s", reference);
	_cleanup_free_ char *type = text_format(err, "Content-Type: %s", media_type);
	const char *headers[] = {type, NULL};
	_cleanup_call_ struct call c = {
		.method = "PUT", .url = url, .headers = headers, .body = bytes, .body_size = n};

	int result;

	if (!url || !what || !type)
		return failed(err);
	result = call_succeed(r, &c, what, err);
	if (subject)
		*subject = result == 0 && http_header(&c.response, "oci-subject", 0);
	return result;
}

/* ---- referrers -------------------------------------------------------------------------------------- */

static int referrers_by_tag(
	struct registry *r, const char *digest, struct oci_index *index, struct error *err)
{
	_cleanup_(registry_manifest_free) struct registry_manifest m = {0};
	char tag[OCI_DIGEST_SIZE];
	int result;

	snprintf(tag, sizeof tag, "sha256-%s", digest + strlen("sha256:"));
	/* Seldom is there one, and Docker Hub counts each GET of a manifest, but no HEAD. */
	result = registry_manifest_head(r, tag, &m, err);
	registry_manifest_free(&m);
	if (result == 0)
		result = registry_manifest_get(r, tag, &m, err);
	if (result == -ERROR_NOT_FOUND)
		return 0;
	if (result < 0)
		return result;
	if (oci_media_type(m.media_type) != OCI_MEDIA_INDEX)
		return 0;
	return oci_index_parse(m.bytes.data, m.bytes.size, index, err);
}

int registry_referrers(struct registry *r, const char *digest, struct oci_index *index, struct error *err)
{
	_cleanup_free_ char *url =
		registry_reach(r, err) < 0 ? NULL : registry_path(r, err, "referrers/%s", digest);
	_cleanup_buffer_ struct buffer json = {0};
	_cleanup_call_ struct call c = {0};
	const char *type;
	int result;

	*index = (struct oci_index){0};
	if (!url)
		return failed(err);
	result = get(r, url, NULL, "referrers", OCI_JSON_MAX, &c, &json, err);
	/* Registries of v1.0 know no such place, in one way or another. */
	if (c.response.status >= 400 && c.response.status < 500)
		return referrers_by_tag(r, digest, index, err);
	if (result < 0)
		return result;
	type = http_header(&c.response, "content-type", 0);
	if (!type || oci_media_type(type) != OCI_MEDIA_INDEX)
		return referrers_by_tag(r, digest, index, err);
	return oci_index_parse(json.data, json.size, index, err);
}

/* ---- lists ------------------------------------------------------------------------------------------ */

/* The next page, where there is one, on the same server. */
static int next_page(const struct registry *r, const struct call *c, char **url, struct error *err)
{
	_cleanup_free_ char *target = NULL, *next = NULL;
	const char *link = http_header(&c->response, "link", 0);
	int result = link ? http_link_next(link, strlen(link), &target, err) : 0;

	free(*url);
	*url = NULL;
	if (result < 0 || !target)
		return result;
	result = http_resolve(c->place, target, &next, err);
	if (result < 0)
		return result;
	if (!http_same_origin(next, r->base))
		return error_set(
			err, ERROR_INVALID, "%s: the next page is said to be at %s", registry_url(r), next);
	*url = TAKE_PTR(next);
	return 0;
}

struct names {
	char **list; /* NULL-terminated */
	size_t count;
};

static void free_names(struct names *all)
{
	text_list_free(all->list);
}

/* Moves the names of a page behind the others. */
static int add_page(const struct registry *r, struct names *all, char **page, struct error *err)
{
	size_t n = text_list_size(page);
	char **grown;

	if (all->count + n > REGISTRY_LIST_MAX)
		return error_set(err, ERROR_LIMIT, "%s: its list has over %u names", registry_url(r),
			REGISTRY_LIST_MAX);
	grown = realloc(all->list, (all->count + n + 1) * sizeof *grown);
	if (!grown)
		return error_no_memory(err, "a list");
	all->list = grown;
	memcpy(grown + all->count, page, n * sizeof *page);
	all->count += n;
	grown[all->count] = NULL;
	page[0] = NULL;
	return 0;
}

/* Pages until one has no next. Circles are found as Brent does it: a page is remembered, and with each power
 * of two another. */
static int list_pages(struct registry *r, char **url, const char *what,
	int (*parse)(const void *json, size_t n, char ***list, struct error *err), struct names *all,
	struct error *err)
{
	_cleanup_free_ char *remembered = NULL;
	int result = 0;

	for (unsigned page = 1; result == 0 && *url; page++) {
		_cleanup_buffer_ struct buffer json = {0};
		_cleanup_text_list_ char **list = NULL;
		_cleanup_call_ struct call c = {0};

		if (page > PAGES_MOST || (remembered && !strcmp(remembered, *url)))
			return error_set(
				err, ERROR_LIMIT, "%s: %s: its pages have no end", registry_url(r), what);
		if ((page & (page - 1)) == 0) {
			free(remembered);
			remembered = text_copy(*url, err);
		}
		result = remembered ? get(r, *url, NULL, what, REGISTRY_JSON_MAX, &c, &json, err)
				    : -ERROR_NO_MEMORY;
		if (result == 0)
			result = parse(json.data, json.size, &list, err);
		if (result == 0)
			result = add_page(r, all, list, err);
		if (result == 0)
			result = next_page(r, &c, url, err);
	}
	return result;
}

int registry_tags(struct registry *r, char ***tags, struct error *err)
{
	_cleanup_free_ char *url = registry_reach(r, err) < 0 ? NULL : registry_path(r, err, "tags/list");
	_cleanup_(free_names) struct names all = {0};
	int result = url ? list_pages(r, &url, "list tags", registry_tags_parse, &all, err) : failed(err);

	if (result == 0)
		*tags = TAKE_PTR(all.list);
	return result;
}

int registry_catalog(struct registry *r, char ***repositories, struct error *err)
{
	_cleanup_free_ char *url =
		registry_reach(r, err) < 0 ? NULL : text_format(err, "%s/v2/_catalog?n=1000", r->base);
	_cleanup_(free_names) struct names all = {0};
	int result = url ? list_pages(r, &url, "list repositories", registry_catalog_parse, &all, err)
			 : failed(err);

	if (result == 0)
		*repositories = TAKE_PTR(all.list);
	return result;
}

int registry_get(struct registry *r, const char *path, size_t limit, struct buffer *out, struct error *err)
{
	_cleanup_free_ char *url =
		registry_reach(r, err) < 0 ? NULL : text_format(err, "%s%s", r->base, path);
	_cleanup_call_ struct call c = {0};

	if (!url)
		return failed(err);
	return get(r, url, NULL, path, limit, &c, out, err);
}
