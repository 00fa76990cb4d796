/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/when.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

/* Reads exactly n digits, at most `most`; NULL: not there. */
static const char *read_digits(const char *p, int n, int most, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, p++) {
		if (*p < '0' || *p > '9')
			return NULL;
		*value = *value * 10 + (*p - '0');
	}
	return *value <= most ? p : NULL;
}

static const char *expect(const char *p, char c)
{
	return p && *p == c ? p + 1 : NULL;
}

static const char *read_date(const char *p, struct tm *tm)
{
	if (!(p = expect(read_digits(p, 4, 9999, &tm->tm_year), '-')))
		return NULL;
	if (!(p = expect(read_digits(p, 2, 12, &tm->tm_mon), '-')))
		return NULL;
	if (!(p = read_digits(p, 2, 31, &tm->tm_mday)) || tm->tm_year < 1970 || !tm->tm_mon || !tm->tm_mday)
		return NULL;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return p;
}

static const char *read_time(const char *p, struct tm *tm, uint64_t *fraction)
{
	uint64_t unit = NANOSECONDS_PER_SECOND / 10;

	if (!(p = expect(read_digits(p, 2, 23, &tm->tm_hour), ':')))
		return NULL;
	if (!(p = read_digits(p, 2, 59, &tm->tm_min)) || *p != ':')
		return p;
	if (!(p = read_digits(p + 1, 2, 60, &tm->tm_sec)))
		return NULL;
	if (*p != '.')
		return p;
	for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
		*fraction += (uint64_t)(*p - '0') * unit;
	return p;
}

static const char *read_zone(const char *p, int *seconds)
{
	int hours, minutes, sign = *p == '-' ? -1 : 1;

	if (*p == 'Z' || *p == 'z')
		return p + 1;
	if (*p != '+' && *p != '-')
		return p;
	if (!(p = expect(read_digits(p + 1, 2, 23, &hours), ':')))
		return NULL;
	p = read_digits(p, 2, 59, &minutes);
	*seconds = sign * (hours * 3600 + minutes * 60);
	return p;
}

static bool read_rfc3339(const char *text, uint64_t *time)
{
	struct tm tm = {0};
	uint64_t fraction = 0;
	const char *p = read_date(text, &tm);
	int zone = 0, day = tm.tm_mday;
	time_t seconds;

	if (p && (*p == 'T' || *p == 't' || *p == ' ')) {
		p = read_time(p + 1, &tm, &fraction);
		if (p)
			p = read_zone(p, &zone);
	}
	if (!p || *p)
		return false;
	seconds = timegm(&tm) - zone;
	if (tm.tm_mday != day || seconds < 0 || seconds > 9999999999) /* 31 February became a day of March */
		return false;
	*time = (uint64_t)seconds * NANOSECONDS_PER_SECOND + fraction;
	return true;
}

/* "2 days ago", "yesterday": how long that is. */
static bool read_ago(const char *text, uint64_t *span)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}, {"week", 7 * 86400},
		{"month", 30 * 86400}, {"year", 365 * 86400}};
	size_t digits = strspn(text, "0123456789");
	char number[8];
	uint64_t count;

	if (!strcmp(text, "yesterday")) {
		*span = 86400 * NANOSECONDS_PER_SECOND;
		return true;
	}
	if (!digits || digits >= sizeof number || text[digits] != ' ')
		return false;
	memcpy(number, text, digits);
	number[digits] = 0;
	text += digits + 1;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(text, units[i].name, n) != 0)
			continue;
		text += n + (text[n] == 's');
		if (strcmp(text, " ago") != 0 || text_parse_u64(number, 9999999, "time", &count, NULL) < 0)
			return false;
		return !__builtin_mul_overflow(count, units[i].seconds * NANOSECONDS_PER_SECOND, span);
	}
	return false;
}

int when_parse(const char *text, const char *what, uint64_t now, uint64_t *time, struct error *err)
{
	uint64_t back;

	if (read_rfc3339(text, time))
		return 0;
	if (!read_ago(text, &back) && text_parse_duration(text, what, &back, NULL) < 0)
		return error_set(err, ERROR_USAGE,
			"%s: '%s' is no time; write 10m, 2 days ago or 2026-01-31T23:59:59Z", what, text);
	*time = back < now ? now - back : 1;
	return 0;
}

const char *when_span(uint64_t nanoseconds, char *out)
{
	unsigned long long s = nanoseconds / NANOSECONDS_PER_SECOND;

	if (s < 100)
		snprintf(out, 16, "%llus", s);
	else if (s < 100 * 60)
		snprintf(out, 16, "%llum", s / 60);
	else if (s < 48 * 3600)
		snprintf(out, 16, "%lluh", s / 3600);
	else
		snprintf(out, 16, "%llud", s / 86400);
	return out;
}
