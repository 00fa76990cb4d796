/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/metrics.h"

#include <stdlib.h>

#include "db/db.h"

#define QUERY(q) _cleanup_(cleanup_db_query) struct db_query *q = NULL

/* What a guest says is bounded, so that no sum of a span overflows. */
#define USED_MAX (1ULL << 50)

struct metrics {
	struct db *db;
};

static const struct {
	uint64_t length, reach; /* seconds */
} lengths[] = {{METRICS_EVERY, 3600}, {60, 86400}, {600, 31 * 86400}};

static const char *const steps[] = {
	"CREATE TABLE span ("
	"  length INTEGER NOT NULL,"
	"  time INTEGER NOT NULL,"
	"  observed INTEGER NOT NULL,"
	"  cpu INTEGER NOT NULL,"
	"  memory INTEGER NOT NULL,"
	"  disk INTEGER NOT NULL,"
	"  disk_read INTEGER NOT NULL,"
	"  disk_written INTEGER NOT NULL,"
	"  net_received INTEGER NOT NULL,"
	"  net_sent INTEGER NOT NULL,"
	"  processes INTEGER NOT NULL,"
	"  PRIMARY KEY (length, time)"
	") WITHOUT ROWID",
};

int metrics_open(const char *path, struct metrics **out, struct error *err)
{
	const struct db_schema schema = {.name = "metrics", .steps = steps, .count = ARRAY_SIZE(steps)};
	_cleanup_metrics_ struct metrics *m = calloc(1, sizeof *m);
	int r;

	if (!m)
		return error_no_memory(err, "open metrics");
	r = db_open(path, &schema, &m->db, err);
	if (r == 0)
		r = db_relax(m->db, err);
	if (r == 0)
		*out = TAKE_PTR(m);
	return r;
}

void metrics_close(struct metrics *m)
{
	if (!m)
		return;
	if (m->db)
		db_close(m->db);
	free(m);
}

static void bind(struct db_query *q, int parameter, uint64_t number)
{
	db_bind_number(q, parameter, (int64_t)(number < USED_MAX ? number : USED_MAX));
}

static int add_to(
	struct db *db, uint64_t length, uint64_t now, const struct metrics_span *used, struct error *err)
{
	QUERY(q);
	int r = db_prepare(db,
		"INSERT INTO span VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
		"ON CONFLICT (length, time) DO UPDATE SET observed = observed + ?3, cpu = cpu + ?4, "
		"memory = max(memory, ?5), disk = max(disk, ?6), disk_read = disk_read + ?7, "
		"disk_written = disk_written + ?8, net_received = net_received + ?9, "
		"net_sent = net_sent + ?10, processes = max(processes, ?11)",
		&q, err);
	const uint64_t values[] = {length, now - now % length, used->observed, used->cpu, used->memory,
		used->disk, used->disk_read, used->disk_written, used->net_received, used->net_sent,
		used->processes};

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		bind(q, (int)i + 1, values[i]);
	return db_step(q, err);
}

/* What is too old, and what a clock that was wrong has put into the future. */
static int drop_old(struct db *db, uint64_t length, uint64_t reach, uint64_t now, struct error *err)
{
	QUERY(q);
	int r = db_prepare(db, "DELETE FROM span WHERE length = ?1 AND (time < ?2 OR time > ?3)", &q, err);

	if (r < 0)
		return r;
	bind(q, 1, length);
	bind(q, 2, now > reach ? now - reach : 0);
	bind(q, 3, now);
	return db_step(q, err);
}

int metrics_add(struct metrics *m, uint64_t now, const struct metrics_span *used, struct error *err)
{
	int r = db_begin(m->db, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lengths); i++) {
		r = add_to(m->db, lengths[i].length, now, used, err);
		if (r == 0)
			r = drop_old(m->db, lengths[i].length, lengths[i].reach, now, err);
	}
	if (r == 0)
		r = db_commit(m->db, err);
	db_end(m->db);
	return r;
}

static void read_row(struct db_query *q, struct metrics_span *span)
{
	uint64_t *const to[] = {&span->length, &span->time, &span->observed, &span->cpu, &span->memory,
		&span->disk, &span->disk_read, &span->disk_written, &span->net_received, &span->net_sent};

	for (size_t i = 0; i < ARRAY_SIZE(to); i++)
		*to[i] = (uint64_t)db_number(q, (int)i);
	span->processes = (uint32_t)db_number(q, ARRAY_SIZE(to));
}

static uint64_t length_for(uint64_t since, uint64_t now)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(lengths) && since + lengths[i].reach < now)
		i++;
	return lengths[i].length;
}

int metrics_read(struct metrics *m, uint64_t since, uint64_t until, uint64_t now, struct metrics_span **out,
	size_t *count, struct error *err)
{
	uint64_t length = length_for(since, now);
	_cleanup_free_ struct metrics_span *list = NULL;
	size_t n = 0, room = 0;
	QUERY(q);
	int r = db_prepare(m->db,
		"SELECT length, time, observed, cpu, memory, disk, disk_read, disk_written, net_received, "
		"net_sent, processes FROM span WHERE length = ?1 AND time + length > ?2 AND time <= ?3 "
		"ORDER BY time",
		&q, err);

	if (r < 0)
		return r;
	bind(q, 1, length);
	bind(q, 2, since);
	bind(q, 3, until);
	while ((r = db_step(q, err)) > 0) {
		if (n == room) {
			struct metrics_span *more = realloc(list, (room += 512) * sizeof *list);

			if (!more)
				return error_no_memory(err, "read metrics");
			list = more;
		}
		read_row(q, &list[n++]);
	}
	if (r < 0)
		return r;
	*out = TAKE_PTR(list);
	*count = n;
	return 0;
}
