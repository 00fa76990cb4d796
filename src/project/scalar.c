/* SPDX-License-Identifier: Apache-2.0 */
#include "project/scalar.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

static bool one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

/* All digits of `base`, at least one, up to what `end` gets. */
static bool digits(const char *p, const char *set, const char **end)
{
	size_t n = strspn(p, set);

	*end = p + n;
	return n > 0;
}

static bool is_number(const char *p)
{
	const char *end;

	if (!strncmp(p, "0o", 2))
		return digits(p + 2, "01234567", &end) && !*end;
	if (!strncmp(p, "0x", 2))
		return digits(p + 2, "0123456789abcdefABCDEF", &end) && !*end;
	if (*p == '-' || *p == '+')
		p++;
	return digits(p, "0123456789", &end) && !*end;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, or .inf, .nan */
static bool is_fraction(const char *p)
{
	static const char *const nan[] = {".nan", ".NaN", ".NAN"}, *const inf[] = {".inf", ".Inf", ".INF"};
	const char *end;
	bool some;

	if (one_of(p, nan, ARRAY_SIZE(nan)))
		return true;
	if (*p == '-' || *p == '+')
		p++;
	if (one_of(p, inf, ARRAY_SIZE(inf)))
		return true;
	some = digits(p, "0123456789", &p);
	if (*p == '.' && digits(p + 1, "0123456789", &p))
		some = true;
	if (!some)
		return false;
	if (*p == 'e' || *p == 'E') {
		p += p[1] == '-' || p[1] == '+' ? 2 : 1;
		return digits(p, "0123456789", &end) && !*end;
	}
	return !*p;
}

enum scalar_kind scalar_kind(const char *text)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	bool value;

	if (one_of(text, nulls, ARRAY_SIZE(nulls)))
		return SCALAR_NULL;
	if (scalar_bool(text, &value))
		return SCALAR_BOOL;
	if (!strchr("-+.0123456789", *text))
		return SCALAR_TEXT;
	if (is_number(text))
		return SCALAR_NUMBER;
	return is_fraction(text) ? SCALAR_FRACTION : SCALAR_TEXT;
}

const char *scalar_kind_name(enum scalar_kind kind)
{
	static const char *const names[] = {"text", "nothing", "true or false", "a number", "a fraction"};

	return names[kind];
}

bool scalar_bool(const char *text, bool *value)
{
	static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False", "FALSE"};

	*value = one_of(text, yes, ARRAY_SIZE(yes));
	return *value || one_of(text, no, ARRAY_SIZE(no));
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return (c | 0x20) - 'a' + 10;
}

bool scalar_number(const char *text, uint64_t *value)
{
	unsigned base = !strncmp(text, "0o", 2) ? 8 : !strncmp(text, "0x", 2) ? 16 : 10;
	uint64_t v = 0;

	if (!is_number(text) || *text == '-')
		return false;
	for (const char *p = text + (base == 10 ? *text == '+' : 2); *p; p++)
		if (__builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, (uint64_t)digit_value(*p), &v))
			return false;
	*value = v;
	return true;
}
