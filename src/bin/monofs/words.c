/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/words.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "os/terminal.h"

const char *words_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

const char *words_id(const struct object_id *id, char out[WORDS_ID])
{
	char hex[OBJECT_HEX_SIZE];

	snprintf(out, WORDS_ID, "%.12s", object_id_hex(id, hex));
	return out;
}

const char *words_time(struct entry_time time, int32_t zone, char out[WORDS_TIME])
{
	int64_t local;
	struct tm tm;
	int minutes = zone < 0 ? -zone : zone;

	if (__builtin_add_overflow(time.seconds, (int64_t)zone * 60, &local) ||
		!gmtime_r(&(time_t){local}, &tm)) {
		snprintf(out, WORDS_TIME, "@%lld", (long long)time.seconds);
		return out;
	}
	snprintf(out, WORDS_TIME, "%04lld-%02d-%02d %02d:%02d:%02d %c%02d%02d", tm.tm_year + 1900LL,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, zone < 0 ? '-' : '+',
		minutes / 60 % 100, minutes % 60);
	return out;
}

void words_name(FILE *out, const char *name, size_t size)
{
	bool terminal = terminal_is(fileno(out));

	for (size_t i = 0; i < size; i++)
		fputc(terminal && ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) ? '?' : name[i], out);
}

static const struct {
	char letter;
	const char *name;
} kinds[] = {[ENTRY_FILE] = {'-', "file"},
	[ENTRY_DIRECTORY] = {'d', "directory"},
	[ENTRY_SYMLINK] = {'l', "symlink"},
	[ENTRY_FIFO] = {'p', "fifo"},
	[ENTRY_SOCKET] = {'s', "socket"},
	[ENTRY_CHARACTER] = {'c', "character device"},
	[ENTRY_BLOCK] = {'b', "block device"},
	[ENTRY_LINK] = {'-', "link"}};

const char *words_kind(enum entry_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kinds) && kinds[kind].name ? kinds[kind].name : "?";
}

const char *words_mode(const struct entry *e, char out[WORDS_MODE])
{
	static const char letters[] = "rwxrwxrwx";

	out[0] = (size_t)e->kind < ARRAY_SIZE(kinds) ? kinds[e->kind].letter : '?';
	for (int i = 0; i < 9; i++)
		out[1 + i] = (char)(e->mode & 0400u >> i ? letters[i] : '-');
	if (e->mode & 04000)
		out[3] = e->mode & 0100 ? 's' : 'S';
	if (e->mode & 02000)
		out[6] = e->mode & 010 ? 's' : 'S';
	if (e->mode & 01000)
		out[9] = e->mode & 01 ? 't' : 'T';
	out[10] = 0;
	return out;
}

int32_t words_zone(void)
{
	time_t now = time(NULL);
	struct tm tm;

	return localtime_r(&now, &tm) ? (int32_t)(tm.tm_gmtoff / 60) : 0;
}

void json_put_id(struct buffer *b, const char *key, const struct object_id *id)
{
	char hex[OBJECT_HEX_SIZE];

	json_put_key(b, key);
	json_put_string(b, object_id_is_none(id) ? NULL : object_id_hex(id, hex));
}

void json_put_entry_time(struct buffer *b, const char *key, struct entry_time time)
{
	uint64_t nanoseconds;

	json_put_key(b, key);
	if (time.seconds < 0 ||
		__builtin_mul_overflow((uint64_t)time.seconds, NANOSECONDS_PER_SECOND, &nanoseconds) ||
		__builtin_add_overflow(nanoseconds, time.nanoseconds, &nanoseconds) || nanoseconds == 0) {
		json_put_number(b, time.seconds);
		return;
	}
	json_put_time(b, nanoseconds);
}

void json_put_count(struct buffer *b, const char *key, uint64_t n)
{
	json_put_key(b, key);
	json_put_number(b, (int64_t)(n & INT64_MAX));
}

void json_put_member(struct buffer *b, const char *key, const char *text)
{
	json_put_key(b, key);
	json_put_string(b, text);
}
