/* SPDX-License-Identifier: Apache-2.0 */
/* A store's images by their names, as users write them: made, found and tagged. These abort where they cannot
 * do what they are for. */
#pragma once

#include "oci/catalog.h"
#include "store_make.h"

/* Of images whose first layers are the same. */
extern const char *const store_place_layers[], *const store_place_other_layers[];

/* Takes an image of these layers into the store. made: NULL, or what was made. */
void store_place_make(
	const struct store_place *p, const char *const *of, const char *name, struct oci_made *made);
/* What the store has, looked at anew; catalog_free(). */
struct catalog store_place_look(const struct store_place *p);
/* The name that a text finds, or the error's; the caller frees it. */
char *store_place_find(const struct store_place *p, const char *text);
/* catalog_tag() of what `from` finds. */
int store_place_tag(
	const struct store_place *p, const char *from, const char *to, char **name, struct error *err);

#define CHECK_FOUND(text, expected) \
	do { \
		_cleanup_free_ char *answer_ = store_place_find(&p, text); \
		CHECK_TEXT(answer_, expected); \
	} while (0)

#define CHECK_SAYS(text, part) \
	do { \
		_cleanup_free_ char *answer_ = store_place_find(&p, text); \
		if (!strstr(answer_, part)) \
			test_fail(__FILE__, __LINE__, "%s does not say %s", answer_, part); \
	} while (0)
