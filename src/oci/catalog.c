/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/text.h"
#include "codec/date.h"
#include "oci/image_parts.h"
#include "oci/registries.h"

#define NESTED_MAX 4u

/* One image of the catalog while it is looked at. */
struct look {
	struct store *s;
	const char *platform; /* wanted */
	bool must;            /* no other will do */
	struct catalog_image *image;
	struct map counted; /* blobs whose sizes were added */
	bool chosen;        /* the platform that was wanted was found */
};

static void image_release(struct catalog_image *i)
{
	free(i->name);
	free(i->familiar);
	free(i->media_type);
	free(i->source);
	free(i->platform);
	text_list_free(i->platforms);
	text_list_free(i->digests);
	text_list_free(i->manifests);
}

void catalog_free(struct catalog *c)
{
	for (size_t i = 0; i < c->count; i++)
		image_release(&c->images[i]);
	free(c->images);
	free(c->registry);
	*c = (struct catalog){0};
}

/* ---- what a name leads to --------------------------------------------------------------------------- */

static int count_blob(struct look *l, const char *digest, uint64_t size, struct error *err)
{
	void *old = NULL;
	int r = map_set(&l->counted, digest, strlen(digest), l, &old, err);

	if (r == 0 && !old && __builtin_add_overflow(l->image->size, size, &l->image->size))
		l->image->size = UINT64_MAX;
	return r;
}

static int count_manifest(
	struct look *l, const char *digest, uint64_t size, const struct oci_manifest *m, struct error *err)
{
	int r = count_blob(l, digest, size, err);

	if (r == 0)
		r = count_blob(l, m->config.digest, m->config.size, err);
	for (size_t i = 0; r == 0 && i < m->count; i++)
		r = count_blob(l, m->layers[i].digest, m->layers[i].size, err);
	return r;
}

static int set_root(struct look *l, const struct oci_config *c, struct error *err)
{
	uint8_t hash[SHA256_SIZE];
	char id[SHA256_HEX_SIZE];
	int fd, r = image_root_hash(c->diff_ids, text_list_size(c->diff_ids), hash, err);

	if (r < 0)
		return r;
	l->image->root_size = 0;
	if (store_find(l->s, sha256_hex(hash, id), "erofs", &fd, &l->image->root_size, NULL) == 0)
		close(fd);
	return 0;
}

static bool starts_component(const char *a, const char *b)
{
	size_t n = strlen(b);

	return !strncmp(a, b, n) && (!a[n] || a[n] == '/');
}

/* This manifest is the one that the image shows, unless a better one was there before. */
static int choose(struct look *l, const char *digest, const char *config_digest, const char *platform,
	const struct oci_config *c, struct error *err)
{
	struct catalog_image *i = l->image;
	bool fits = starts_component(platform, l->platform) || starts_component(l->platform, platform);
	uint64_t seconds;

	if (l->chosen || (*i->manifest && !fits) || (l->must && !fits))
		return 0;
	l->chosen = fits;
	memcpy(i->manifest, digest, sizeof i->manifest);
	memcpy(i->config, config_digest, sizeof i->config);
	free(i->platform);
	i->platform = text_copy(platform, err);
	i->created = 0;
	if (date_parse_rfc3339(c->created, strlen(c->created), &seconds))
		i->created = seconds * NANOSECONDS_PER_SECOND;
	return i->platform ? set_root(l, c, err) : -ERROR_NO_MEMORY;
}

static int add_manifest(struct look *l, const char *digest, const struct oci_manifest *m, struct error *err)
{
	_cleanup_(oci_config_free) struct oci_config c = {0};
	_cleanup_buffer_ struct buffer json = {0};
	_cleanup_free_ char *platform = NULL;
	struct catalog_image *i = l->image;
	int r = store_blob_read(l->s, m->config.digest, OCI_JSON_MAX, &json, NULL, NULL);

	if (r == 0)
		r = oci_config_parse(json.data, json.size, &c, NULL);
	if (r < 0) /* damaged, or an artifact's */
		return r == -ERROR_NO_MEMORY ? error_no_memory(err, "a config") : 0;
	platform = text_format(err, "%s/%s%s%s", c.os, c.architecture, *c.variant ? "/" : "", c.variant);
	if (!platform || text_list_add(&i->platforms, platform, err) < 0 ||
		text_list_add(&i->manifests, digest, err) < 0 ||
		text_list_add(&i->digests, m->config.digest, err) < 0)
		return -ERROR_NO_MEMORY;
	return choose(l, digest, m->config.digest, platform, &c, err);
}

static int look_at(struct look *l, const char *digest, uint64_t size, unsigned depth, struct error *err);

static int look_at_children(struct look *l, const struct oci_index *index, unsigned depth, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < index->count; i++)
		r = look_at(l, index->manifests[i].digest, index->manifests[i].size, depth + 1, err);
	return r;
}

static bool is_image(const struct oci_manifest *m)
{
	return !*m->config.media_type || oci_media_type(m->config.media_type) == OCI_MEDIA_CONFIG;
}

/* buildkit's statements about images look like images of this platform. */
static bool is_statement(const struct oci_manifest *m)
{
	return m->count > 0 && !strcmp(m->layers[0].media_type, "application/vnd.in-toto+json");
}

static int look_at(struct look *l, const char *digest, uint64_t size, unsigned depth, struct error *err)
{
	_cleanup_(oci_manifest_free) struct oci_manifest manifest = {0};
	_cleanup_(oci_index_free) struct oci_index index = {0};
	_cleanup_buffer_ struct buffer json = {0};
	enum oci_media media;
	const char *type;
	int r = depth < NESTED_MAX ? store_blob_read(l->s, digest, OCI_JSON_MAX, &json, NULL, NULL)
				   : -ERROR_NOT_FOUND;

	if (r < 0)
		return r == -ERROR_NO_MEMORY ? error_no_memory(err, "a manifest") : 0;
	r = oci_document_type(json.data, json.size, &type, err);
	if (r < 0)
		return r;
	media = oci_media_type(type);
	if (media == OCI_MEDIA_INDEX)
		r = oci_index_parse(json.data, json.size, &index, NULL);
	else if (media == OCI_MEDIA_MANIFEST && (depth == 0 || store_is_whole(l->s, digest)))
		r = oci_manifest_parse(json.data, json.size, &manifest, NULL);
	else
		return 0;
	if (r < 0)
		return r == -ERROR_NO_MEMORY ? error_no_memory(err, "a manifest") : 0;
	if (media == OCI_MEDIA_INDEX) {
		r = count_blob(l, digest, size, err);
		return r < 0 ? r : look_at_children(l, &index, depth, err);
	}
	r = count_manifest(l, digest, size, &manifest, err);
	if (r == 0 && depth > 0)
		r = text_list_add(&l->image->digests, digest, err);
	if (r == 0 && is_image(&manifest) && !is_statement(&manifest))
		r = add_manifest(l, digest, &manifest, err);
	return r;
}

/* ---- the catalog ------------------------------------------------------------------------------------ */

/* A name in the database that is none any more is shown as it is. */
static char *familiar_name(const char *name, const char *registry, struct error *err)
{
	char *text = name_familiar(name, registry, NULL);

	return text ? text : text_copy(name, err);
}

static int fill(struct look *l, struct store_name *n, const char *registry, struct error *err)
{
	struct catalog_image *i = l->image;
	int r;

	i->familiar = familiar_name(n->name, registry, err);
	i->name = TAKE_PTR(n->name);
	i->media_type = TAKE_PTR(n->media_type);
	i->source = TAKE_PTR(n->source);
	i->updated = n->updated;
	i->target_size = n->size;
	memcpy(i->target, n->digest, sizeof i->target);
	if (!i->familiar || text_list_add(&i->digests, i->target, err) < 0)
		return -ERROR_NO_MEMORY;
	r = look_at(l, i->target, n->size, 0, err);
	if (r == 0 && !i->platform)
		i->platform = text_copy("", err);
	return r < 0 ? r : i->platform ? 0 : -ERROR_NO_MEMORY;
}

static int fill_all(struct store *s, const char *platform, struct store_name *names, size_t count,
	struct catalog *c, struct error *err)
{
	char host[32];
	int r = 0;

	c->images = calloc(count ? count : 1, sizeof *c->images);
	if (!c->images)
		return error_no_memory(err, "list images");
	snprintf(host, sizeof host, "linux/%s", image_host_architecture());
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct look l = {.s = s,
			.platform = platform ? platform : host,
			.must = platform,
			.image = &c->images[c->count++]};

		r = fill(&l, &names[i], c->registry, err);
		map_free(&l.counted);
	}
	return r;
}

int catalog_open(struct store *s, const char *platform, struct catalog *c, struct error *err)
{
	struct registries *registries = NULL;
	struct store_name *names = NULL;
	size_t count = 0;
	int r = registries_load(store_home(s), &registries, err);

	*c = (struct catalog){0};
	if (r == 0) {
		c->registry = text_copy(registries_default(registries), err);
		r = c->registry ? store_name_list(s, &names, &count, err) : -ERROR_NO_MEMORY;
	}
	if (r == 0)
		r = fill_all(s, platform, names, count, c, err);
	if (r < 0)
		catalog_free(c);
	store_name_list_free(names, count);
	registries_free(registries);
	return r;
}
