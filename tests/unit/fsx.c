/* SPDX-License-Identifier: Apache-2.0 */
#include "fsx.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MOST FSX_FILE_MOST
#define PART_MOST (40u << 10)
#define RECENT    20u
#define PAGE      4096u

struct operation {
	const char *name;
	size_t offset, size, file; /* file: its size before */
	unsigned step;
};

struct run {
	const struct fsx_target *t;
	uint32_t random;
	size_t size;
	uint8_t *model, *bytes; /* model: FILE_MOST bytes, zeros behind the size */
	struct operation recent[RECENT];
	struct operation *now;
	uint32_t seed;
	struct fsx_report *report;
};

/* ---- what is said of a failure ---------------------------------------------------------------------- */

static void say(struct fsx_report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct fsx_report *r, const char *format, ...)
{
	size_t used = strlen(r->text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->text + used, sizeof r->text - used, format, arguments);
	va_end(arguments);
}

static void say_operation(struct fsx_report *r, const struct operation *o)
{
	say(r, "#   %5u %-12s 0x%05zx + 0x%05zx, of a file of 0x%05zx\n", o->step, o->name, o->offset,
		o->size, o->file);
}

/* Always false. */
static bool wrong(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct run *r, const char *format, ...)
{
	char what[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	say(r->report, "%s: %s; seed %u, operation %u; the last ones:\n", r->now->name, what, r->seed,
		r->report->done);
	for (unsigned i = 1; i <= RECENT; i++) {
		const struct operation *o = &r->recent[(r->report->done + i) % RECENT];

		if (o->name)
			say_operation(r->report, o);
	}
	return false;
}

static bool failed(struct run *r, int64_t result)
{
	return result < 0 ? wrong(r, "%s", strerror((int)-result))
			  : wrong(r, "returned %lld", (long long)result);
}

static bool same(struct run *r, size_t offset, size_t size)
{
	size_t at = 0, count = 0;

	if (!memcmp(r->bytes, r->model + offset, size))
		return true;
	while (r->bytes[at] == r->model[offset + at])
		at++;
	for (size_t i = at; i < size; i++)
		count += r->bytes[i] != r->model[offset + i];
	return wrong(r, "the byte at 0x%zx is 0x%02x and should be 0x%02x, with %zu others from there on",
		offset + at, r->bytes[at], r->model[offset + at], count - 1);
}

/* ---- chance ----------------------------------------------------------------------------------------- */

static uint32_t below(struct run *r, uint32_t most)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 17;
	r->random ^= r->random << 5;
	return (uint32_t)((uint64_t)r->random * most >> 32);
}

/* Often at a page's edge, where mistakes are. */
static size_t some_offset(struct run *r, size_t most)
{
	size_t at = below(r, (uint32_t)most);

	if (below(r, 3) == 0) {
		at = at / PAGE * PAGE + below(r, 3);
		at -= at > 0;
	}
	return at < most ? at : most - 1;
}

static size_t some_size(struct run *r, size_t offset, size_t end)
{
	size_t n = 1 + below(r, below(r, 4) ? PART_MOST : 16);

	return n < end - offset ? n : end - offset;
}

/* An operation's place is written down before it is tried. */
static struct operation *place(struct run *r, size_t offset, size_t size)
{
	r->now->offset = offset;
	r->now->size = size;
	return r->now;
}

/* Never 0, which is a hole's, and another at each place and by each operation. */
static void fill(struct run *r, size_t offset, size_t size)
{
	for (size_t i = offset; i < offset + size; i++)
		r->model[i] = (uint8_t)(1 + (r->report->done * 31 + i * 7 + i / PAGE * 3) % 255);
	if (offset + size > r->size)
		r->size = offset + size;
}

/* ---- operations ------------------------------------------------------------------------------------- */

static bool do_read(struct run *r)
{
	size_t offset = some_offset(r, FILE_MOST), n = 1 + below(r, PART_MOST), expected = 0;
	int64_t got;

	place(r, offset, n);
	if (offset < r->size)
		expected = n < r->size - offset ? n : r->size - offset;
	got = r->t->read(r->t->context, r->bytes, n, offset);
	return got == (int64_t)expected ? same(r, offset, expected) : failed(r, got);
}

static bool do_write(struct run *r)
{
	size_t offset = some_offset(r, FILE_MOST - 1), n = some_size(r, offset, FILE_MOST);
	int64_t got;

	place(r, offset, n);
	fill(r, offset, n);
	got = r->t->write(r->t->context, r->model + offset, n, offset);
	return got == (int64_t)n || failed(r, got);
}

static bool do_append(struct run *r)
{
	size_t offset = r->size, n;
	int64_t got;

	if (offset == FILE_MOST)
		return true;
	n = some_size(r, offset, FILE_MOST);
	place(r, offset, n);
	fill(r, offset, n);
	got = r->t->append(r->t->context, r->model + offset, n);
	return got == (int64_t)n || failed(r, got);
}

static bool do_truncate(struct run *r)
{
	size_t size = some_offset(r, FILE_MOST);
	int got;

	place(r, size, 0);
	if (size < r->size)
		memset(r->model + size, 0, r->size - size);
	r->size = size;
	got = r->t->truncate(r->t->context, size);
	return got == 0 || failed(r, got);
}

static bool do_allocate(struct run *r)
{
	static const char *const names[] = {"allocate", "reserve", "punch", "zero", "zero, keep"};
	enum fsx_allocate how = (enum fsx_allocate)below(r, FSX_ALLOCATE_COUNT);
	size_t offset = some_offset(r, FILE_MOST - 1), n = some_size(r, offset, FILE_MOST);
	int got;

	place(r, offset, n)->name = names[how];
	if (how == FSX_PUNCH || how == FSX_ZERO || how == FSX_ZERO_KEEP)
		memset(r->model + offset, 0, n);
	if ((how == FSX_EXTEND || how == FSX_ZERO) && offset + n > r->size)
		r->size = offset + n;
	got = r->t->allocate(r->t->context, how, offset, n);
	return got == 0 || failed(r, got);
}

/* What is not data is zeros, wherever a file system sees holes. */
static bool do_seek(struct run *r)
{
	size_t offset = some_offset(r, FILE_MOST);
	int64_t data = r->t->seek(r->t->context, offset, false),
		hole = r->t->seek(r->t->context, offset, true);
	size_t end = data < 0 ? r->size : (size_t)data;

	place(r, offset, 0);
	if (offset >= r->size)
		return (data == -ENXIO && hole == -ENXIO) || wrong(r, "found something behind the end");
	if (data < 0 ? data != -ENXIO : end < offset || end >= r->size)
		return wrong(r, "data at %lld", (long long)data);
	if (hole < (int64_t)offset || hole > (int64_t)r->size)
		return wrong(r, "a hole at %lld", (long long)hole);
	for (size_t i = offset; i < end; i++)
		if (r->model[i])
			return wrong(r, "a hole up to 0x%zx, with data at 0x%zx", end, i);
	/* Zeros may be the one at the first question and the other at the second: a kernel takes blocks that
	 * were never written for data while pages of them are in memory. */
	return hole != (int64_t)offset || !r->model[offset] || wrong(r, "a hole that is data");
}

static bool do_map_read(struct run *r)
{
	size_t offset, n;
	int got;

	if (r->size == 0)
		return true;
	offset = some_offset(r, r->size);
	n = some_size(r, offset, r->size);
	place(r, offset, n);
	got = r->t->map_read(r->t->context, r->bytes, n, offset);
	return got == 0 ? same(r, offset, n) : failed(r, got);
}

static bool do_map_write(struct run *r)
{
	size_t offset, n;
	int got;

	if (r->size == 0)
		return true;
	offset = some_offset(r, r->size);
	n = some_size(r, offset, r->size);
	place(r, offset, n);
	fill(r, offset, n);
	got = r->t->map_write(r->t->context, r->model + offset, n, offset);
	return got == 0 || failed(r, got);
}

static bool do_sync(struct run *r)
{
	int got = r->t->sync(r->t->context);

	return got == 0 || failed(r, got);
}

static bool do_reopen(struct run *r)
{
	int got = r->t->reopen(r->t->context);

	return got == 0 || failed(r, got);
}

static bool check_size(struct run *r)
{
	int64_t size = r->t->size(r->t->context);

	return size == (int64_t)r->size || (size < 0 ? failed(r, size)
						     : wrong(r, "the size is 0x%llx and should be 0x%zx",
							       (unsigned long long)size, r->size));
}

static bool check_whole(struct run *r)
{
	int64_t got;

	if (!check_size(r))
		return false;
	got = r->t->read(r->t->context, r->bytes, FILE_MOST, 0);
	return got == (int64_t)r->size ? same(r, 0, r->size) : failed(r, got);
}

/* Copied as an editor saves: what was read is written, so that what is wrong stays. */
static bool do_replace(struct run *r)
{
	int got;

	place(r, 0, r->size);
	if (!check_whole(r))
		return false;
	got = r->t->replace(r->t->context, r->bytes, r->size);
	return got == 0 || failed(r, got);
}

/* ---- the run ---------------------------------------------------------------------------------------- */

struct action {
	const char *name;
	bool (*run)(struct run *r);
	unsigned weight; /* in 1,000 */
	bool there;
};

#define ACTIONS 12u

static void list_actions(const struct fsx_target *t, struct action actions[ACTIONS])
{
	const struct action all[ACTIONS] = {{"read", do_read, 240, true}, {"write", do_write, 200, true},
		{"truncate", do_truncate, 90, t->truncate}, {"append", do_append, 80, t->append},
		{"allocate", do_allocate, 150, t->allocate}, {"seek", do_seek, 70, t->seek},
		{"map, read", do_map_read, 60, t->map_read}, {"map, write", do_map_write, 60, t->map_write},
		{"reopen", do_reopen, 30, t->reopen}, {"replace", do_replace, 8, t->replace},
		{"sync", do_sync, 2, t->sync}, {"compare", check_whole, 10, true}};

	memcpy(actions, all, sizeof all);
}

static const struct action *choose(struct run *r, const struct action actions[ACTIONS])
{
	for (;;) {
		uint32_t ticket = below(r, 1000);
		size_t i = 0;

		while (ticket >= actions[i].weight)
			ticket -= actions[i++].weight;
		if (actions[i].there)
			return &actions[i];
	}
}

static void begin(struct run *r, const char *name)
{
	r->now = &r->recent[r->report->done % RECENT];
	*r->now = (struct operation){.name = name, .file = r->size, .step = r->report->done};
}

static bool run_all(struct run *r, unsigned operations, unsigned whole)
{
	struct action actions[ACTIONS];

	list_actions(r->t, actions);
	begin(r, "start");
	if (!check_whole(r))
		return false;
	while (r->report->done < operations) {
		const struct action *a = choose(r, actions);

		r->report->done++;
		begin(r, a->name);
		if (!a->run(r) || (r->report->done % whole == 0 && !check_whole(r)))
			return false;
	}
	return check_whole(r);
}

unsigned fsx_operations(void)
{
	return getenv("MC_FEWER") ? 2000 : 20000;
}

bool fsx_run(const struct fsx_target *target, const struct fsx_options *o, struct fsx_report *report)
{
	struct run r = {.t = target,
		.seed = o->seed,
		.random = o->seed * 2654435761u | 1,
		.size = o->start_size,
		.model = calloc(1, FILE_MOST),
		.bytes = malloc(FILE_MOST + PART_MOST),
		.report = report};
	bool good = false;

	*report = (struct fsx_report){0};
	if (!r.model || !r.bytes || o->start_size > FILE_MOST) {
		say(report, "no memory, or too much to start with");
	} else {
		if (o->start_size > 0)
			memcpy(r.model, o->start, o->start_size);
		good = run_all(&r, o->operations, o->whole ? o->whole : 100);
	}
	free(r.model);
	free(r.bytes);
	return good;
}
