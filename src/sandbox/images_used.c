/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/images_used.h"

#include <string.h>

#include "base/text.h"
#include "sandbox/record.h"
#include "sandbox/records.h"

/* ---- what is kept ----------------------------------------------------------------------------------- */

struct keeping {
	char ***roots, ***digests;
};

static int keep_record(void *context, const struct record *record, struct error *err)
{
	const struct keeping *k = context;
	int r = *record->root_id ? text_list_add(k->roots, record->root_id, err) : 0;

	return r < 0 || !*record->digest ? r : text_list_add(k->digests, record->digest, err);
}

static int list(void *context, char ***roots, char ***digests, struct error *err)
{
	struct keeping k = {roots, digests};
	int r = records_each(context, keep_record, &k, err);

	return r == 0 ? records_each_saved(context, keep_record, &k, err) : r;
}

struct store_keep images_used_keep(const struct home *home)
{
	return (struct store_keep){.list = list, .context = (void *)home};
}

/* ---- who uses it ------------------------------------------------------------------------------------ */

struct asking {
	char *const *manifests;
	char ***sandboxes;
};

static int ask_record(void *context, const struct record *record, struct error *err)
{
	const struct asking *a = context;

	for (char *const *m = a->manifests; m && *m; m++)
		if (!strcmp(*m, record->digest))
			return text_list_add(a->sandboxes, record->name, err);
	return 0;
}

int images_used_by(const struct home *home, char *const *manifests, char ***sandboxes, struct error *err)
{
	struct asking a = {manifests, sandboxes};
	int r;

	*sandboxes = NULL;
	r = records_each(home, ask_record, &a, err);
	return r == 0 ? records_each_saved(home, ask_record, &a, err) : r;
}
