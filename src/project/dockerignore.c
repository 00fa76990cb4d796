/* SPDX-License-Identifier: Apache-2.0 */
#include "project/dockerignore.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"

void dockerignore_free(struct dockerignore *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->rules[i].pattern);
	free(d->rules);
	*d = (struct dockerignore){0};
}

/* ---- patterns ---------------------------------------------------------------------------------------- */

/* One byte against what stands at *p, which then is moved behind it: a byte, '?', "[a-z]", "[^a]", "\\x". */
static bool match_byte(const char **p, char c)
{
	const char *at = *p;
	bool negated, found = false;

	if (*at == '\\' && at[1]) {
		*p = at + 2;
		return at[1] == c;
	}
	*p = at + 1;
	if (*at == '?')
		return c != '/';
	if (*at != '[' || !strchr(at + 1, ']'))
		return *at == c;
	negated = at[1] == '^';
	at += 1 + negated;
	do {
		char low, high;

		if (*at == '\\' && at[1])
			at++;
		low = high = *at++;
		if (*at == '-' && at[1] && at[1] != ']') {
			at += at[1] == '\\' && at[2] ? 2 : 1;
			high = *at++;
		}
		found |= low <= c && c <= high;
	} while (*at && *at != ']');
	*p = at + (*at == ']');
	return found != negated && c != '/';
}

/*
 * The last '*' and the last "**" are where to go back to: a '*' takes one byte more as long as it is no
 * slash, then the "**" before it does. What stands before a "**" need not be tried anew.
 */
bool dockerignore_pattern(const char *pattern, const char *path, size_t n)
{
	const char *p = pattern, *at = path, *end = path + n;
	const char *star = NULL, *star_at = NULL, *stars = NULL, *stars_at = NULL;

	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			while (*p == '*')
				p++;
			/* "**" and a slash may be nothing at all. */
			if (*p == '/' && (at == path || at[-1] == '/')) {
				p++;
			}
			stars = p;
			stars_at = at;
			star = NULL;
		} else if (*p == '*') {
			star = ++p;
			star_at = at;
		} else if (at == end && !*p) {
			return true;
		} else if (at == end || !*p || !match_byte(&p, *at)) {
			if (star && star_at < end && *star_at != '/') {
				p = star;
				at = ++star_at;
			} else if (stars && stars_at < end) {
				p = stars;
				at = ++stars_at;
				/* Behind "**" and a slash a name begins. */
				while (stars > pattern && stars[-1] == '/' && at < end && at[-1] != '/')
					at = ++stars_at;
				star = NULL;
			} else
				return false;
		} else
			at++;
	}
}

static bool matches(const char *pattern, const char *path)
{
	for (const char *end = path; *end;) {
		end += strcspn(end + 1, "/") + 1;
		if (dockerignore_pattern(pattern, path, (size_t)(end - path)))
			return true;
	}
	return false;
}

bool dockerignore_match(const struct dockerignore *d, const char *path)
{
	bool ignored = false;

	for (size_t i = 0; i < d->count; i++)
		if (ignored == d->rules[i].back && matches(d->rules[i].pattern, path))
			ignored = !d->rules[i].back;
	return ignored;
}

/* ---- the file ---------------------------------------------------------------------------------------- */

/* A pattern's dots and doubled slashes resolved; *out is empty where it means the context itself. */
static int clean(const char *text, size_t n, struct buffer *out)
{
	buffer_clear(out);
	while (n) {
		const char *slash = memchr(text, '/', n);
		size_t part = slash ? (size_t)(slash - text) : n;

		if (part == 2 && !memcmp(text, "..", 2)) {
			while (out->size && out->data[--out->size] != '/')
				;
		} else if (part && !(part == 1 && *text == '.')) {
			if (out->size)
				buffer_u8(out, '/');
			buffer_append(out, text, part);
		}
		part += slash != NULL;
		text += part;
		n -= part;
	}
	return buffer_u8(out, 0) ? 0 : -ERROR_NO_MEMORY;
}

static int add_rule(
	struct dockerignore *d, const char *text, size_t n, struct buffer *pattern, struct error *err)
{
	bool back = n && *text == '!';
	struct dockerignore_rule *grown;

	text += back;
	n -= back;
	while (n && (*text == ' ' || *text == '\t')) {
		text++;
		n--;
	}
	if (clean(text, n, pattern) < 0)
		return error_no_memory(err, "read a .dockerignore");
	if (pattern->size == 1)
		return 0;
	if ((d->count & (d->count - 1)) == 0) {
		grown = realloc(d->rules, (d->count ? 2 * d->count : 1) * sizeof *grown);
		if (!grown)
			return error_no_memory(err, "read a .dockerignore");
		d->rules = grown;
	}
	d->rules[d->count] = (struct dockerignore_rule){
		.pattern = text_copy_bytes(pattern->data, pattern->size - 1, err), .back = back};
	if (!d->rules[d->count].pattern)
		return -ERROR_NO_MEMORY;
	d->count++;
	d->any_back |= back;
	return 0;
}

static int read_line(
	struct dockerignore *d, const char *text, size_t n, struct buffer *pattern, struct error *err)
{
	if (n && *text == '#')
		return 0;
	while (n && strchr(" \t\r", text[n - 1]))
		n--;
	while (n && (*text == ' ' || *text == '\t')) {
		text++;
		n--;
	}
	return n ? add_rule(d, text, n, pattern, err) : 0;
}

int dockerignore_parse(const char *text, size_t n, struct dockerignore *d, struct error *err)
{
	_cleanup_buffer_ struct buffer pattern = {0};
	const char *end = text + n;
	int r = 0;

	*d = (struct dockerignore){0};
	if (n > DOCKERIGNORE_MAX)
		return error_set(err, ERROR_LIMIT, "it is over %u bytes", DOCKERIGNORE_MAX);
	if (n && memchr(text, 0, n))
		return error_set(err, ERROR_INVALID, "it holds a NUL byte: this is no text");
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	while (r == 0 && text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t size = (size_t)((newline ? newline : end) - text);

		r = read_line(d, text, size, &pattern, err);
		text += size + (newline != NULL);
	}
	if (r < 0)
		dockerignore_free(d);
	return r;
}
