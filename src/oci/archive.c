/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of `docker save` (and of podman and skopeo): manifest.json names config and layers by the names of
 * members. Source: moby's image/tarexport, "Combined Image JSON + Filesystem Changeset Format" v1.2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "oci/plan.h"

static bool has_tag(const struct docker_image *image, const char *tag)
{
	for (char **t = image->tags; t && *t; t++) {
		size_t n = strlen(*t), m = strlen(tag);

		/* "python:3.12" as written, or its last part "3.12". */
		if (!strcmp(*t, tag) || (n > m && !strcmp(*t + n - m, tag) &&
						((*t)[n - m - 1] == ':' || (*t)[n - m - 1] == '/')))
			return true;
	}
	return false;
}

static int choose(const struct docker_images *images, const struct plan_options *o,
	const struct docker_image **chosen, struct error *err)
{
	_cleanup_buffer_ struct buffer names = {0};
	size_t count = 0;

	for (size_t i = 0; i < images->count; i++) {
		const struct docker_image *image = &images->images[i];

		for (char **t = image->tags; t && *t && names.size < 400; t++)
			buffer_format(&names, "%s%s", names.size ? ", " : "", *t);
		if (o->tag && !has_tag(image, o->tag))
			continue;
		*chosen = image;
		count++;
	}
	buffer_u8(&names, 0);
	if (names.failed)
		return error_no_memory(err, "manifest.json");
	if (count == 0 && o->tag)
		return error_set(err, ERROR_NOT_FOUND, "no image %s: there is %s", o->tag, names.data);
	if (count == 0)
		return error_set(err, ERROR_NOT_FOUND, "the archive has no image");
	if (count > 1 && !o->tag)
		return error_set(err, ERROR_USAGE,
			"there are several images, name one of them behind a colon: %s", names.data);
	return 0;
}

const char *plan_digits(const char *name)
{
	const char *last = strrchr(name, '/'), *digits = last ? last + 1 : name;
	size_t n = strspn(digits, "0123456789abcdef");

	return n == 64 && (!digits[n] || digits[n] == '.') ? digits : NULL;
}

static int read_config(const struct blobs *b, const char *name, struct image_plan *p, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	const char *digits = plan_digits(name);
	uint8_t hash[SHA256_SIZE];
	int r = blobs_read(b, name, OCI_JSON_MAX, &json, err);

	p->config_name = text_copy(name, err);
	if (!p->config_name)
		return -ERROR_NO_MEMORY;
	if (r == 0)
		r = sha256_of(json.data, json.size, hash, err);
	if (r < 0)
		return r;
	sha256_digest(hash, p->digest);
	memcpy(p->config_digest, p->digest, sizeof p->config_digest);
	if (digits && strncmp(digits, p->digest + strlen("sha256:"), 64) != 0)
		return error_set(err, ERROR_CORRUPT,
			"config %s: its digest is %s: it was damaged or replaced, get the image again", name,
			p->digest);
	return oci_config_parse(json.data, json.size, &p->config, err);
}

static int take_layers(const struct blobs *b, const struct docker_image *image, const struct plan_options *o,
	struct image_plan *p, struct error *err)
{
	int r = plan_make_layers(p, text_list_size(image->layers), o, err);

	for (size_t i = 0; r == 0 && i < p->count; i++) {
		_cleanup_fd_ int fd = -1;
		struct blob blob = {.fd = -1};

		r = blobs_find(b, image->layers[i], &blob, err);
		fd = blob.fd;
		p->layers[i].size = blob.size;
		p->layers[i].name = r == 0 ? text_copy(image->layers[i], err) : NULL;
		if (r == 0 && !p->layers[i].name)
			r = -ERROR_NO_MEMORY;
	}
	return r;
}

int plan_archive(const struct blobs *b, const struct plan_options *o, struct image_plan *p, struct error *err)
{
	_cleanup_(docker_images_free) struct docker_images images = {0};
	_cleanup_buffer_ struct buffer json = {0};
	const struct docker_image *image = NULL;
	int r;

	*p = (struct image_plan){0};
	r = blobs_read(b, "manifest.json", OCI_JSON_MAX, &json, err);
	if (r == 0)
		r = docker_images_parse(json.data, json.size, &images, err);
	if (r == 0)
		r = choose(&images, o, &image, err);
	if (r == 0)
		r = read_config(b, image->config, p, err);
	if (r == 0)
		r = take_layers(b, image, o, p, err);
	if (r == 0)
		r = plan_check(p, o, err);
	if (r < 0)
		image_plan_free(p);
	return r;
}
