/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output log, read from files. The first byte says what the rest is: a packed segment as it stands, which
 * may be damaged in any way; or a recipe for records, which are read as they are and once more packed, with
 * the same to be told. Whatever there is, no line is told that was not asked for.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "sandbox/output_format.h"
#include "sandbox/output_pack.h"

#define RECORDS_MOST (OUTPUT_FRAME_SIZE + (OUTPUT_FRAME_SIZE >> 2)) /* bytes: two frames */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "fuzz-output-XXXXXX";
static int sandbox = -1, log_directory = -1;

static void remove_folder(void)
{
	fs_remove_tree(AT_FDCWD, folder, NULL);
}

static void make_folder(void)
{
	if (sandbox >= 0)
		return;
	if (!mkdtemp(folder))
		abort();
	atexit(remove_folder);
	sandbox = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sandbox < 0 || mkdirat(sandbox, "log", 0700) < 0)
		abort();
	log_directory = openat(sandbox, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log_directory < 0)
		abort();
}

static void put_file(const char *name, const void *bytes, size_t n)
{
	_cleanup_fd_ int fd = openat(log_directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		abort();
}

static void remove_files(void)
{
	unlinkat(log_directory, "00000001", 0);
	unlinkat(log_directory, "00000001" OUTPUT_PACKED, 0);
}

/* ---- what is told -------------------------------------------------------------------------------------- */

struct told {
	const struct output_query *query;
	uint64_t lines, hash;
};

static void mix(struct told *t, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (uint64_t word = 0; n; b += sizeof word, n -= sizeof word) {
		if (n < sizeof word) {
			memcpy(&word, b, n);
			t->hash = (t->hash ^ word ^ n) * 0x100000001b3ULL;
			break;
		}
		memcpy(&word, b, sizeof word);
		t->hash = (t->hash ^ word) * 0x100000001b3ULL;
		t->hash ^= t->hash >> 29;
	}
}

static int take(void *context, const struct output_line *line)
{
	struct told *t = context;
	const struct output_query *q = t->query;
	uint32_t stream = line->stream;

	assert(stream < OUTPUT_STREAMS && line->size && line->size <= OUTPUT_LINE_MAX);
	assert(!q->since || line->time >= q->since);
	assert(!q->until || line->time <= q->until);
	assert(!q->streams || q->streams & 1u << stream);
	assert(memchr(line->data, '\n', line->size - 1) == NULL);
	t->lines++;
	mix(t, &line->time, sizeof line->time);
	mix(t, &stream, sizeof stream);
	mix(t, line->data, line->size);
	return 0;
}

static struct told ask(const struct output_query *query)
{
	struct told t = {.query = query, .hash = 0xcbf29ce484222325ULL};
	struct error err;

	assert(output_read(sandbox, query, take, &t, &err) == 0);
	assert(!query->last || t.lines <= query->last);
	return t;
}

/* ---- records ------------------------------------------------------------------------------------------- */

/* Four bytes are one: whose it is, how long, what it is made of, and how much later it comes. */
static void make_records(struct cursor *c, struct buffer *out)
{
	static const struct output_open none;
	uint8_t header[OUTPUT_HEADER_SIZE], state[OUTPUT_STATE_SIZE];
	uint64_t time = 1000;

	output_header_write(header, time, OUTPUT_STATE, sizeof state);
	output_state_write(state, &none);
	buffer_append(out, header, sizeof header);
	buffer_append(out, state, sizeof state);
	while (c->left >= 4 && out->size < RECORDS_MOST) {
		uint8_t who = cursor_u8(c), length = cursor_u8(c), text = cursor_u8(c), later = cursor_u8(c);
		uint32_t n = who & 4 ? length * 257u : length; /* up to 65,535 */

		time += (uint64_t)later * (who & 8 ? 1000 : 1);
		output_header_write(header, time, who % OUTPUT_STREAMS, n);
		buffer_append(out, header, sizeof header);
		if (!buffer_reserve(out, n))
			return;
		memset(out->data + out->size, 'a' + later % 26, n);
		for (uint32_t i = text; text && i <= n; i += text + 16u)
			out->data[out->size + i - 1] = '\n';
		out->size += n;
	}
}

static void check_same(const struct output_query *queries, const struct told *plain, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct told packed = ask(&queries[i]);

		assert(packed.lines == plain[i].lines && packed.hash == plain[i].hash);
	}
}

static void check_recipe(struct cursor *c, const struct output_query *queries, size_t count)
{
	_cleanup_buffer_ struct buffer records = {0};
	struct told plain[3];
	struct error err;

	make_records(c, &records);
	if (records.failed)
		return;
	put_file("00000001", records.data, records.size);
	for (size_t i = 0; i < count; i++)
		plain[i] = ask(&queries[i]);
	assert(output_pack(log_directory, 1, &err) == 0);
	assert(faccessat(log_directory, "00000001", F_OK, 0) < 0);
	check_same(queries, plain, count);
}

static void check_packed(const struct cursor *c, const struct output_query *queries, size_t count)
{
	put_file("00000001" OUTPUT_PACKED, c->data, c->left);
	for (size_t i = 0; i < count; i++)
		ask(&queries[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	uint8_t kind = cursor_u8(&c);
	uint64_t from = 1000 + cursor_u16(&c), length = cursor_u16(&c);
	const struct output_query queries[] = {{.last = length % 64 + 1},
		{.since = from, .until = from + length, .streams = kind >> 1 & 7},
		{.since = kind & 16 ? from : 0,
			.until = kind & 16 ? 0 : from,
			.last = kind & 32 ? 3 : 0,
			.grep = kind & 64 ? "a$" : NULL}};

	if (c.failed)
		return 0;
	make_folder();
	if (kind & 1)
		check_packed(&c, queries, ARRAY_SIZE(queries));
	else
		check_recipe(&c, queries, ARRAY_SIZE(queries));
	remove_files();
	return 0;
}
