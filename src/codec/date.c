/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/date.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define DAY  86400u
#define YEAR 31556952u /* seconds of a mean one */

struct moment {
	unsigned year, month, day, hour, minute, second; /* month and day from 1 */
};

/* Days of the years and months before, Gregorian. */
static bool seconds_of(const struct moment *m, uint64_t *seconds)
{
	static const unsigned before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	bool leap = m->year % 4 == 0 && (m->year % 100 != 0 || m->year % 400 == 0);
	uint64_t past = (uint64_t)m->year - 1, days;

	if (m->year < 1970 || m->year > 9999 || m->month < 1 || m->month > 12 || m->day < 1 || m->hour > 23 ||
		m->minute > 59 || m->second > 60)
		return false;
	if (m->day > before[m->month] - before[m->month - 1] + (leap && m->month == 2))
		return false;
	days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
	days += before[m->month - 1] + (leap && m->month > 2) + m->day - 1;
	*seconds = days * DAY + m->hour * 3600u + m->minute * 60u + m->second;
	return true;
}

static unsigned month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *found = strlen(name) == 3 ? strstr(names, name) : NULL;

	return found && (found - names) % 3 == 0 ? (unsigned)(found - names) / 3 + 1 : 0;
}

/* A year of two digits: the century that makes it no more than 50 years after now. */
static unsigned full_year(unsigned year, uint64_t now)
{
	unsigned today = now / YEAR < 8000 ? 1970 + (unsigned)(now / YEAR) : 9970;

	year += today / 100 * 100;
	if (year > today + 50)
		year -= 100;
	return year;
}

bool date_parse_http(const char *text, size_t n, uint64_t now, uint64_t *seconds)
{
	struct moment m = {0};
	char copy[48], month[4] = "";
	int end = 0;

	if (n >= sizeof copy || memchr(text, 0, n))
		return false;
	memcpy(copy, text, n);
	copy[n] = 0;
	if (strspn(copy, "0123456789 ,:-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != n)
		return false;
	if (sscanf(copy, "%*3[A-Za-z], %2u %3[A-Za-z] %4u %2u:%2u:%2u GMT%n", &m.day, month, &m.year, &m.hour,
		    &m.minute, &m.second, &end) == 6 &&
		end == (int)n) {
		m.month = month_of(month);
		return seconds_of(&m, seconds);
	}
	end = 0;
	if (sscanf(copy, "%*9[A-Za-z], %2u-%3[A-Za-z]-%2u %2u:%2u:%2u GMT%n", &m.day, month, &m.year, &m.hour,
		    &m.minute, &m.second, &end) == 6 &&
		end == (int)n) {
		m.year = m.year < 100 ? full_year(m.year, now) : 0;
		m.month = month_of(month);
		return seconds_of(&m, seconds);
	}
	end = 0;
	if (sscanf(copy, "%*3[A-Za-z] %3[A-Za-z] %2u %2u:%2u:%2u %4u%n", month, &m.day, &m.hour, &m.minute,
		    &m.second, &m.year, &end) == 6 &&
		end == (int)n) {
		m.month = month_of(month);
		return seconds_of(&m, seconds);
	}
	return false;
}

/* `count` digits at *p. */
static bool digits(const char **p, const char *end, int count, unsigned *value)
{
	*value = 0;
	for (; count > 0; count--, (*p)++) {
		if (*p == end || **p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (unsigned)(**p - '0');
	}
	return true;
}

static bool mark(const char **p, const char *end, const char *wanted)
{
	if (*p == end || !**p || !strchr(wanted, **p))
		return false;
	(*p)++;
	return true;
}

bool date_parse_rfc3339(const char *text, size_t n, uint64_t *seconds)
{
	const char *p = text, *end = text + n;
	unsigned hours, minutes;
	struct moment m;
	bool east;

	if (!digits(&p, end, 4, &m.year) || !mark(&p, end, "-") || !digits(&p, end, 2, &m.month) ||
		!mark(&p, end, "-") || !digits(&p, end, 2, &m.day) || !mark(&p, end, "Tt ") ||
		!digits(&p, end, 2, &m.hour) || !mark(&p, end, ":") || !digits(&p, end, 2, &m.minute) ||
		!mark(&p, end, ":") || !digits(&p, end, 2, &m.second) || !seconds_of(&m, seconds))
		return false;
	if (mark(&p, end, ".")) {
		const char *first = p;

		while (p < end && *p >= '0' && *p <= '9')
			p++;
		if (p == first)
			return false;
	}
	if (mark(&p, end, "Zz"))
		return p == end;
	east = p < end && *p == '+';
	if (!mark(&p, end, "+-") || !digits(&p, end, 2, &hours) || !mark(&p, end, ":") ||
		!digits(&p, end, 2, &minutes) || p != end || hours > 23 || minutes > 59)
		return false;
	hours = hours * 3600 + minutes * 60;
	if (east && *seconds < hours)
		return false;
	*seconds = east ? *seconds - hours : *seconds + hours;
	return true;
}
