/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/clean.h"
#include "oci/current.h"
#include "oci/store.h"
#include "sandbox/image_snapshot.h"
#include "sandbox/records.h"
#include "sandbox/snapshot.h"

CLEANUP_DEFINE(store, struct store, store_free);

static int is_made_of(void *context, const struct record *record, struct error *err)
{
	(void)err;
	return strcmp(record->digest, context) ? 0 : -ERROR_EXISTS;
}

static bool is_unused(const struct cleaning *c, struct store *s, const struct record *record)
{
	bool named = true;

	if (image_is_named(s, record->image, record->digest, &named, NULL) == 0 && !named)
		return true;
	return c->options->images && records_each(&c->mc->home, is_made_of, record->digest, NULL) == 0;
}

static int clean_one(const struct cleaning *c, struct store *s, const char *tag, struct error *err)
{
	_cleanup_record_ struct record record = {0};
	struct snapshot_info info = {0};
	_cleanup_fd_ int fd = -1;
	uint64_t size;
	int r = snapshot_open(&c->mc->home, tag, &fd, err);

	if (r < 0)
		return r == -ERROR_NOT_FOUND ? 0 : r; /* removed meanwhile */
	size = snapshot_examine(fd, &info, NULL) == 0 ? info.size : 0;
	snapshot_info_free(&info);
	r = record_read(fd, &record, err);
	if (r == -ERROR_NO_MEMORY || (r == 0 && !is_unused(c, s, &record)))
		return r;
	r = c->options->dry_run ? 0 : snapshot_remove(&c->mc->home, tag, err);
	if (r == 0)
		clean_tell(c, "snapshot", tag, size, NULL);
	return r;
}

int clean_snapshots(const struct cleaning *c, struct error *err)
{
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_text_list_ char **tags = NULL;
	int r = snapshot_list(&c->mc->home, &tags, err);

	if (r == 0)
		r = store_open(c->mc->home.path, &store, err);
	for (char **tag = tags; r == 0 && tag && *tag; tag++)
		if (image_snapshot_is(*tag))
			r = clean_one(c, store, *tag, err);
	return r;
}
