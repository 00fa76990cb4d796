/* SPDX-License-Identifier: Apache-2.0 */
/* What a user writes to name an image that is here. A name goes before the start of a digest. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "oci/catalog.h"
#include "oci/name.h"

#define DIGITS_LEAST 4u
#define LIST_BYTES   500u

void catalog_match_free(struct catalog_match *m)
{
	free(m->images);
	*m = (struct catalog_match){0};
}

static int add(struct catalog_match *m, const struct catalog_image *image, struct error *err)
{
	const struct catalog_image **more = reallocarray(m->images, m->count + 1, sizeof *more);

	if (!more)
		return error_no_memory(err, "find an image");
	m->images = more;
	m->images[m->count++] = image;
	return 0;
}

static bool has_digest(const struct catalog_image *image, const char *digest)
{
	for (char **d = image->digests; *d; d++)
		if (!strcmp(*d, digest))
			return true;
	return false;
}

/* ---- by name ---------------------------------------------------------------------------------------- */

static bool same_repository(const struct name *a, const struct name *b)
{
	return !strcmp(a->registry, b->registry) && !strcmp(a->repository, b->repository);
}

/* A name with a digest means an image of its repository that has it, whatever tag leads there. */
static bool is_meant(const struct name *wanted, const struct name *has, const struct catalog_image *image)
{
	if (!same_repository(wanted, has))
		return false;
	if (*wanted->digest)
		return has_digest(image, wanted->digest) &&
		       (!*wanted->tag || !*has->tag || !strcmp(wanted->tag, has->tag));
	return !*has->digest && !strcmp(wanted->tag, has->tag);
}

static int find_name(
	const struct catalog *c, const struct name *wanted, struct catalog_match *m, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count && !m->count; i++) {
		_cleanup_name_ struct name has = {0};

		r = name_parse(c->images[i].name, NULL, &has, NULL);
		if (r == -ERROR_NO_MEMORY)
			return error_no_memory(err, "find an image");
		r = r == 0 && is_meant(wanted, &has, &c->images[i]) ? add(m, &c->images[i], err) : 0;
	}
	if (r == 0 && m->count) {
		m->by_name = true;
		memcpy(m->digest, *wanted->digest ? wanted->digest : m->images[0]->target, OCI_DIGEST_SIZE);
	}
	return r;
}

/* ---- by digest -------------------------------------------------------------------------------------- */

/* The digits of an id, or NULL where the text is none. */
static const char *digits_of(const char *text)
{
	const char *digits = text_starts(text, "sha256:") ? text + strlen("sha256:") : text;
	size_t n = strlen(digits);

	return n >= DIGITS_LEAST && n <= 64 && strspn(digits, "0123456789abcdef") == n ? digits : NULL;
}

static int ambiguous(const struct catalog *c, const char *text, const char *digits, struct error *err)
{
	_cleanup_buffer_ struct buffer list = {0};

	for (size_t i = 0; i < c->count && list.size < LIST_BYTES; i++)
		for (char **d = c->images[i].digests; *d && list.size < LIST_BYTES; d++)
			if (text_starts(*d + strlen("sha256:"), digits))
				buffer_format(&list, "%s%.19s (%s)", list.size ? ", " : "", *d,
					c->images[i].familiar);
	if (list.size >= LIST_BYTES)
		buffer_append_text(&list, ", ...");
	buffer_u8(&list, 0);
	if (list.failed)
		return error_no_memory(err, "find an image");
	return error_set(err, ERROR_INVALID, "'%s' could be several images, write more of it: %s", text,
		(const char *)list.data);
}

static int find_digest(const struct catalog *c, const char *text, const char *digits, struct catalog_match *m,
	struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++) {
		bool has = false;

		for (char **d = c->images[i].digests; *d; d++) {
			if (!text_starts(*d + strlen("sha256:"), digits))
				continue;
			if (*m->digest && strcmp(m->digest, *d) != 0)
				return ambiguous(c, text, digits, err);
			memcpy(m->digest, *d, OCI_DIGEST_SIZE);
			has = true;
		}
		if (has)
			r = add(m, &c->images[i], err);
	}
	return r;
}

/* ---- nothing ---------------------------------------------------------------------------------------- */

/* Another tag of the repository, else the nearest name, with a tag or without one. */
static int nothing(const struct catalog *c, const char *text, const struct name *wanted, struct error *err)
{
	_cleanup_free_ const char **names = calloc(2 * c->count + 1, sizeof *names);
	_cleanup_text_list_ char **bare = NULL;
	const char *nearest = NULL;
	size_t n = 0;

	if (!names)
		return error_no_memory(err, "find an image");
	for (size_t i = 0; i < c->count; i++) {
		const struct catalog_image *image = &c->images[i];
		_cleanup_free_ char *shortened = text_copy(image->familiar, err);
		_cleanup_name_ struct name has = {0};
		char *slash;

		if (!shortened)
			return -ERROR_NO_MEMORY;
		if (wanted->registry && !nearest && name_parse(image->name, NULL, &has, NULL) == 0 &&
			same_repository(wanted, &has))
			nearest = image->familiar;
		slash = strrchr(shortened, '/');
		slash = slash ? slash : shortened;
		slash[strcspn(slash, ":@")] = 0;
		if (text_list_add(&bare, shortened, err) < 0)
			return -ERROR_NO_MEMORY;
		names[n++] = image->familiar;
	}
	for (char **b = bare; b && *b; b++)
		names[n++] = *b;
	if (!nearest)
		nearest = text_nearest(text, names);
	if (nearest)
		return error_set(err, ERROR_NOT_FOUND, "there is no image '%s' here; did you mean '%s'?",
			text, nearest);
	return error_set(err, ERROR_NOT_FOUND,
		"there is no image '%s' here: 'monocore images' lists those there are", text);
}

int catalog_find(const struct catalog *c, const char *text, struct catalog_match *m, struct error *err)
{
	_cleanup_name_ struct name wanted = {0};
	const char *digits = digits_of(text);
	int r, parsed = name_parse(text, c->registry, &wanted, err);

	*m = (struct catalog_match){0};
	if (parsed < 0 && !digits)
		return parsed;
	r = parsed == 0 ? find_name(c, &wanted, m, err) : 0;
	if (r == 0 && !m->count && digits)
		r = find_digest(c, text, digits, m, err);
	if (r == 0 && !m->count)
		r = nothing(c, text, &wanted, err);
	if (r < 0)
		catalog_match_free(m);
	return r;
}
