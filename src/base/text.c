/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *text_format(struct error *err, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		error_no_memory(err, "format text");
		return NULL;
	}
	return text;
}

char *text_copy(const char *text, struct error *err)
{
	char *copy = strdup(text);

	if (!copy)
		error_no_memory(err, "copy text");
	return copy;
}

char *text_copy_bytes(const void *bytes, size_t n, struct error *err)
{
	char *copy = n < SIZE_MAX ? malloc(n + 1) : NULL;

	if (!copy) {
		error_no_memory(err, "copy text");
		return NULL;
	}
	if (n)
		memcpy(copy, bytes, n);
	copy[n] = 0;
	return copy;
}

char *text_clean_path(const char *path, struct error *err)
{
	char *clean = malloc(strlen(path) + 2), *end = clean;

	if (!clean) {
		error_no_memory(err, "copy a path");
		return NULL;
	}
	for (size_t n; *path; path += n) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 2 && !memcmp(path, "..", 2)) {
			while (end > clean && *--end != '/')
				;
		} else if (n && !(n == 1 && *path == '.')) {
			*end++ = '/';
			memcpy(end, path, n);
			end += n;
		}
	}
	if (end == clean)
		*end++ = '/';
	*end = 0;
	return clean;
}

bool text_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

void text_list_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

size_t text_list_size(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

int text_list_add(char ***list, const char *text, struct error *err)
{
	size_t n = text_list_size(*list);
	char **grown = realloc(*list, (n + 2) * sizeof *grown);

	if (!grown)
		return error_no_memory(err, "extend a list");
	*list = grown;
	grown[n] = text_copy(text, err);
	grown[n + 1] = NULL;
	return grown[n] ? 0 : -ERROR_NO_MEMORY;
}

char **text_list_copy(char *const *list, struct error *err)
{
	char **copy = calloc(text_list_size(list) + 1, sizeof *copy);

	if (!copy) {
		error_no_memory(err, "copy a list");
		return NULL;
	}
	for (size_t i = 0; list && list[i]; i++)
		if (!(copy[i] = text_copy(list[i], err))) {
			text_list_free(copy);
			return NULL;
		}
	return copy;
}

int text_parse_u64(const char *text, uint64_t max, const char *what, uint64_t *value, struct error *err)
{
	uint64_t v = 0;

	if (!*text)
		return error_set(err, ERROR_INVALID, "%s: expected a number, got nothing", what);
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return error_set(err, ERROR_INVALID, "%s: '%s' is not a number", what, text);
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v) || v > max)
			return error_set(
				err, ERROR_LIMIT, "%s: %s is over %llu", what, text, (unsigned long long)max);
	}
	*value = v;
	return 0;
}

/* Reads digits with an optional fraction; the value is whole + fraction / scale. Returns the first byte
 * behind, or NULL where there is no digit or the number is out of range. */
static const char *read_decimal(const char *p, uint64_t *whole, uint64_t *fraction, uint64_t *scale)
{
	*whole = *fraction = 0;
	*scale = 1;
	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
			__builtin_add_overflow(*whole, (uint64_t)(*p - '0'), whole))
			return NULL;
	if (*p != '.')
		return p;
	for (p++; *p >= '0' && *p <= '9'; p++)
		if (*scale < 1000000) {
			*fraction = *fraction * 10 + (uint64_t)(*p - '0');
			*scale *= 10;
		}
	return p;
}

static bool scaled(uint64_t whole, uint64_t fraction, uint64_t scale, uint64_t unit, uint64_t *value)
{
	uint64_t part;

	return !__builtin_mul_overflow(whole, unit, value) &&
	       !__builtin_mul_overflow(fraction, unit, &part) &&
	       !__builtin_add_overflow(*value, part / scale, value);
}

int text_parse_size(const char *text, uint64_t unit, const char *what, uint64_t *bytes, struct error *err)
{
	static const char letters[] = "kmgt";
	uint64_t whole, fraction, scale;
	const char *p = read_decimal(text, &whole, &fraction, &scale);
	const char *letter;

	if (!p)
		return error_set(err, ERROR_INVALID, "%s: '%s' is not a size; write 512M or 1G", what, text);
	letter = *p ? strchr(letters, tolower((unsigned char)*p)) : NULL;
	if (letter) {
		unit = 1ULL << (10 * (letter - letters + 1));
		p++;
		if (!strcasecmp(p, "ib") || !strcasecmp(p, "b"))
			p += strlen(p);
	} else if (!strcasecmp(p, "b")) {
		unit = 1;
		p++;
	}
	if (*p)
		return error_set(err, ERROR_INVALID, "%s: '%s' is not a size; write 512M or 1G", what, text);
	if (!scaled(whole, fraction, scale, unit, bytes))
		return error_set(err, ERROR_LIMIT, "%s: '%s' is too large", what, text);
	return 0;
}

static uint64_t duration_unit(const char **p)
{
	static const struct {
		const char *name;
		uint64_t nanoseconds;
	} units[] = {{"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000},
		{"d", 86400000000000}};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (text_starts(*p, units[i].name)) {
			*p += strlen(units[i].name);
			return units[i].nanoseconds;
		}
	return 0;
}

int text_parse_duration(const char *text, const char *what, uint64_t *nanoseconds, struct error *err)
{
	uint64_t total = 0, whole, fraction, scale, unit, part;
	const char *p = text;

	do {
		p = read_decimal(p, &whole, &fraction, &scale);
		if (!p)
			return error_set(err, ERROR_INVALID, "%s: '%s' is not a time; write 30s, 5m or 1h",
				what, text);
		unit = !*p && total == 0 ? 1000000000 : duration_unit(&p);
		if (!unit)
			return error_set(err, ERROR_INVALID, "%s: '%s' is not a time; write 30s, 5m or 1h",
				what, text);
		if (!scaled(whole, fraction, scale, unit, &part) ||
			__builtin_add_overflow(total, part, &total))
			return error_set(err, ERROR_LIMIT, "%s: '%s' is too long", what, text);
	} while (*p);
	*nanoseconds = total;
	return 0;
}

const char *text_human_size(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;
	double v = (double)bytes;

	while (v >= 1024 && unit + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		unit++;
	}
	snprintf(out, size, unit && v < 100 ? "%.1f %s" : "%.0f %s", v, units[unit]);
	return out;
}

size_t text_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t row[3][64];

	if (n > 63 || m > 63)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = row[i % 3], *last = row[(i + 2) % 3], *older = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				older[j - 2] + 1 < best)
				best = older[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[n % 3][m];
}

const char *text_nearest(const char *text, const char *const *candidates)
{
	size_t allowed = strlen(text) < 4 ? 1 : strlen(text) < 8 ? 2 : 3;
	const char *nearest = NULL;
	size_t best = allowed + 1;

	for (size_t i = 0; candidates[i]; i++) {
		size_t d = text_distance(text, candidates[i]);

		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}
