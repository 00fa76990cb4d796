/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog_make.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "test.h"

const char *const store_place_layers[] = {"d a\nf a/b 1\n", "f c 2\n", NULL};
const char *const store_place_other_layers[] = {"d a\nf a/b 1\n", "f d 3\n", NULL};

void store_place_make(
	const struct store_place *p, const char *const *of, const char *name, struct oci_made *made)
{
	static unsigned number;
	struct oci_make image = {.layers = of, .compression = OCI_MAKE_GZIP};
	_cleanup_free_ char *folder = text_format(NULL, "made%u", number++);
	_cleanup_free_ char *directory = store_make_directory(p, folder);
	struct error err;

	oci_make_layout(directory, &image, made);
	CHECK_OK(store_make_import(p->store, directory, name, &err));
}

struct catalog store_place_look(const struct store_place *p)
{
	struct catalog c;
	struct error err;

	CHECK_OK(catalog_open(p->store, NULL, &c, &err));
	return c;
}

char *store_place_find(const struct store_place *p, const char *text)
{
	struct catalog c = store_place_look(p);
	struct catalog_match m = {0};
	struct error err;
	char *answer;

	if (catalog_find(&c, text, &m, &err) < 0)
		answer = text_format(NULL, "%s: %s", error_name((int)err.code), err.text);
	else
		answer = text_format(NULL, "%s%s", m.images[0]->familiar, m.count > 1 ? " and more" : "");
	catalog_match_free(&m);
	catalog_free(&c);
	return answer;
}

int store_place_tag(
	const struct store_place *p, const char *from, const char *to, char **name, struct error *err)
{
	struct catalog c = store_place_look(p);
	struct catalog_match m = {0};
	int r = catalog_find(&c, from, &m, err);

	if (r == 0)
		r = catalog_tag(p->store, &c, &m, to, name, err);
	catalog_match_free(&m);
	catalog_free(&c);
	return r;
}
