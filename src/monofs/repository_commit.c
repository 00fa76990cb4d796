/* SPDX-License-Identifier: Apache-2.0 */
/* New revisions. */
#include <string.h>

#include "base/clock.h"
#include "monofs/repository.h"

static int follow_parents(struct repository *r, struct commit *c, struct error *err)
{
	c->generation = 1;
	for (size_t i = 0; i < c->parent_count; i++) {
		_cleanup_commit_ struct commit parent = {0};
		int result = commit_get(repository_store(r), &c->parents[i], &parent, err);

		if (result < 0)
			return result;
		if (parent.generation >= c->generation)
			c->generation = parent.generation + 1;
		repository_saw(r, parent.clock);
	}
	return 0;
}

int repository_draft(struct repository *r, struct store_writer *w, struct commit *c, struct object_id *id,
	struct error *err)
{
	uint64_t now = clock_realtime();
	int result = follow_parents(r, c, err);

	if (result < 0)
		return result;
	c->replica = repository_replica(r);
	c->clock = repository_clock(r);
	if (c->time.seconds == 0 && c->time.nanoseconds == 0)
		c->time = (struct entry_time){.seconds = (int64_t)(now / NANOSECONDS_PER_SECOND),
			.nanoseconds = (uint32_t)(now % NANOSECONDS_PER_SECOND)};
	result = commit_put(w, c, id, err);
	if (result == 0)
		result = store_writer_flush(w, err);
	return result < 0 ? result : store_sync(repository_store(r), err);
}

int repository_commit(struct repository *r, struct store_writer *w, struct commit *c, struct object_id *id,
	struct error *err)
{
	static const struct object_id none;
	const struct object_id *expected = c->parent_count ? &c->parents[0] : &none;
	int result = repository_draft(r, w, c, id, err);

	return result < 0 ? result
			  : references_set(repository_directory(r), repository_crypt(r), REFERENCE_MAIN, id,
				    "", expected, err);
}
