/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/images_used.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sandbox/directory.h"
#include "sandbox/record.h"

static int for_records(const struct home *home,
	int (*each)(void *context, const struct record *record, struct error *err), void *context,
	struct error *err)
{
	_cleanup_text_list_ char **ids = NULL;
	int r = directory_list(home, &ids, err);

	for (char **id = ids; r == 0 && id && *id; id++) {
		_cleanup_record_ struct record record = {0};
		_cleanup_fd_ int fd =
			openat(home->sandboxes, *id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			continue; /* removed meanwhile */
		r = record_read(fd, &record, err);
		if (r == 0)
			r = each(context, &record, err);
		else if (r == -ERROR_NOT_FOUND || r == -ERROR_CORRUPT)
			r = 0; /* removed, or never to be started again */
		else
			error_prefix(err, "sandbox %s", *id);
	}
	return r;
}

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

	return for_records(context, keep_record, &k, err);
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

	*sandboxes = NULL;
	return for_records(home, ask_record, &a, err);
}
