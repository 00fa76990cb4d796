/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/http_headers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/date.h"

/* ---- words ------------------------------------------------------------------------------------------ */

void header_skip_space(struct header_cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
		c->at++;
}

void header_skip_list(struct header_cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == ','))
		c->at++;
}

bool header_take(struct header_cursor *c, char wanted)
{
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

static bool is_token(char b)
{
	return (b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') ||
	       (b && strchr("!#$%&'*+-.^_`|~", b));
}

size_t header_token(struct header_cursor *c, const char **token)
{
	*token = c->at;
	while (c->at < c->end && is_token(*c->at))
		c->at++;
	return (size_t)(c->at - *token);
}

static bool is_control(char b)
{
	return ((unsigned char)b < 0x20 && b != '\t') || b == 0x7f;
}

/* What follows the opening quote. */
static int quoted(struct header_cursor *c, char *out, struct error *err)
{
	while (c->at < c->end && *c->at != '"') {
		if (*c->at == '\\' && ++c->at == c->end)
			break;
		if (is_control(*c->at))
			return error_set(err, ERROR_INVALID, "a header has a control character in quotes");
		*out++ = *c->at++;
	}
	*out = 0;
	return header_take(c, '"') ? 0 : error_set(err, ERROR_INVALID, "a header ends within quotes");
}

int header_value(struct header_cursor *c, char **value, struct error *err)
{
	_cleanup_free_ char *text = malloc((size_t)(c->end - c->at) + 1);
	const char *start;
	int r = 0;

	*value = NULL;
	if (!text)
		return error_no_memory(err, "read a header");
	if (header_take(c, '"')) {
		r = quoted(c, text, err);
	} else {
		for (start = c->at; c->at<c->end && * c->at> ' ' && *c->at < 0x7f; c->at++)
			if (strchr(",;\"\\", *c->at))
				break;
		memcpy(text, start, (size_t)(c->at - start));
		text[c->at - start] = 0;
		if (!*text)
			r = error_set(err, ERROR_INVALID, "a parameter of a header has no value");
	}
	if (r == 0)
		*value = TAKE_PTR(text);
	return r;
}

/* ---- Link ------------------------------------------------------------------------------------------- */

static bool same(const char *word, size_t n, const char *wanted)
{
	return n == strlen(wanted) && strncasecmp(word, wanted, n) == 0;
}

static bool has_word(const char *list, const char *wanted)
{
	for (size_t n; *list; list += n) {
		list += strspn(list, " \t");
		n = strcspn(list, " \t");
		if (same(list, n, wanted))
			return true;
	}
	return false;
}

/* The parameters of one link: whether it is the next page of what was asked for. Of several rel only the
 * first counts (§3.3). */
static int link_parameters(struct header_cursor *c, bool *next, struct error *err)
{
	bool related = false, elsewhere = false;

	*next = false;
	for (;;) {
		_cleanup_free_ char *value = NULL;
		const char *name;
		size_t n;

		header_skip_space(c);
		if (!header_take(c, ';'))
			break;
		header_skip_space(c);
		n = header_token(c, &name);
		header_skip_space(c);
		if (header_take(c, '=')) {
			int r;

			header_skip_space(c);
			r = header_value(c, &value, err);
			if (r < 0)
				return r;
		}
		if (same(name, n, "anchor"))
			elsewhere = true;
		if (same(name, n, "rel") && !related) {
			related = true;
			*next = value && has_word(value, "next");
		}
	}
	*next = *next && !elsewhere;
	return 0;
}

static int one_link(struct header_cursor *c, char **target, struct error *err)
{
	const char *start, *end;
	bool next;
	int r;

	if (!header_take(c, '<'))
		return error_set(err, ERROR_INVALID, "header Link: a target in <> is missing");
	start = c->at;
	while (c->at<c->end && * c->at> ' ' && *c->at < 0x7f && *c->at != '<' && *c->at != '>')
		c->at++;
	end = c->at;
	if (!header_take(c, '>'))
		return error_set(err, ERROR_INVALID, "header Link: the target is no URI");
	r = link_parameters(c, &next, err);
	if (r == 0 && next) {
		*target = text_copy_bytes(start, (size_t)(end - start), err);
		if (!*target)
			return error_no_memory(err, "read a header");
	}
	return r;
}

int http_link_next(const char *value, size_t n, char **target, struct error *err)
{
	struct header_cursor c = {value, value + n};
	int r = 0;

	*target = NULL;
	if (n > HTTP_HEADER_MAX)
		return error_set(err, ERROR_LIMIT, "header Link: over %u bytes", HTTP_HEADER_MAX);
	for (header_skip_list(&c); r == 0 && !*target && c.at < c.end; header_skip_list(&c)) {
		r = one_link(&c, target, err);
		if (r == 0 && !*target && c.at < c.end && *c.at != ',')
			return error_set(err, ERROR_INVALID, "header Link: a comma is missing");
	}
	return r;
}

/* ---- numbers ---------------------------------------------------------------------------------------- */

static void trim(struct header_cursor *c)
{
	header_skip_space(c);
	while (c->end > c->at && (c->end[-1] == ' ' || c->end[-1] == '\t'))
		c->end--;
}

/* Digits up to the greatest offset of a file. */
static bool number(struct header_cursor *c, uint64_t *value)
{
	const char *start = c->at;

	for (*value = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
		if (__builtin_mul_overflow(*value, 10, value) ||
			__builtin_add_overflow(*value, (uint64_t)(*c->at - '0'), value) || *value > INT64_MAX)
			return false;
	return c->at > start;
}

bool http_retry_after(const char *value, size_t n, uint64_t now, uint64_t *seconds)
{
	struct header_cursor c = {value, value + n}, digits;
	uint64_t then;

	*seconds = 0;
	if (n > HTTP_HEADER_MAX)
		return false;
	trim(&c);
	if (c.at == c.end)
		return false;
	digits = c;
	while (digits.at < digits.end && *digits.at >= '0' && *digits.at <= '9')
		digits.at++;
	if (digits.at == c.end) {
		if (!number(&c, seconds))
			*seconds = INT64_MAX; /* more than fits is a long time */
		return true;
	}
	if (!date_parse_http(c.at, (size_t)(c.end - c.at), now, &then))
		return false;
	*seconds = then > now ? then - now : 0;
	return true;
}

/* "first-last" as first and size. */
static bool span(struct header_cursor *c, uint64_t *first, uint64_t *size)
{
	uint64_t last;

	if (!number(c, first) || !header_take(c, '-') || !number(c, &last) || last < *first)
		return false;
	*size = last - *first + 1;
	return true;
}

bool http_content_range(const char *value, size_t n, struct http_range *range)
{
	struct header_cursor c = {value, value + n};
	const char *unit;
	size_t size;

	*range = (struct http_range){0};
	trim(&c);
	size = header_token(&c, &unit);
	if (n > HTTP_HEADER_MAX || !same(unit, size, "bytes") || !header_take(&c, ' '))
		return false;
	header_skip_space(&c);
	if (!header_take(&c, '*') && !span(&c, &range->first, &range->size))
		return false;
	if (!header_take(&c, '/'))
		return false;
	if (header_take(&c, '*'))
		return c.at == c.end && range->size > 0;
	range->total_known = true;
	return number(&c, &range->total) && c.at == c.end && range->first + range->size <= range->total;
}

bool http_upload_range(const char *value, size_t n, uint64_t *received)
{
	struct header_cursor c = {value, value + n};
	uint64_t first;

	*received = 0;
	trim(&c);
	if (c.end - c.at > 6 && strncasecmp(c.at, "bytes=", 6) == 0)
		c.at += 6;
	return n <= HTTP_HEADER_MAX && span(&c, &first, received) && first == 0 && c.at == c.end;
}
