/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of files of variables: env.h says what is in them. */
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "project/env.h"
#include "project/interpolate.h"

struct reader {
	const struct env_source *source;
	struct mistakes *m;
	struct env *e;
	const char *p, *end;
	const char *line_start;
	uint32_t line;
	struct interpolation variables;
};

static const char *get(void *context, const char *name)
{
	const struct reader *r = context;
	const char *value = env_get(r->e, name);

	return value ? value : r->source->get ? r->source->get(r->source->context, name) : NULL;
}

static struct project_place place_at(const struct reader *r, const char *p)
{
	uint32_t column = 1;

	for (const char *q = r->line_start; q < p; q++)
		column += ((unsigned char)*q & 0xc0) != 0x80;
	return (struct project_place){r->source->file, r->line, column};
}

static void take_break(struct reader *r)
{
	if (r->p < r->end && *r->p == '\n') {
		r->p++;
		r->line++;
		r->line_start = r->p;
	}
}

static void skip_line(struct reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
	take_break(r);
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
}

/* The bytes of a value in quotes; false: they are not closed. */
static bool read_quoted(struct reader *r, struct buffer *value)
{
	static const char escapes[] = "n\nr\rt\t\"\"\\\\$$";
	char quote = *r->p++;

	for (; r->p < r->end && *r->p != quote; r->p++) {
		const char *escape = NULL;

		if (*r->p == '\n') {
			r->line++;
			r->line_start = r->p + 1;
		}
		for (const char *s = escapes; quote == '"' && *r->p == '\\' && r->p + 1 < r->end && *s;
			s += 2)
			if (*s == r->p[1])
				escape = s;
		r->p += escape != NULL;
		/* Only the "$" of "${" is more than a dollar where variables are looked for. */
		if (quote == '"' && *r->p == '$' && (escape || r->p + 1 == r->end || r->p[1] != '{'))
			buffer_u8(value, '$');
		buffer_u8(value, (uint8_t)(escape ? escape[1] : *r->p));
	}
	if (r->p == r->end)
		return false;
	r->p++;
	return true;
}

static void read_bare(struct reader *r, struct buffer *value)
{
	const char *start = r->p, *end = r->p;

	for (; r->p < r->end && *r->p != '\n'; r->p++) {
		if (*r->p == '#' && (r->p == start || r->p[-1] == ' ' || r->p[-1] == '\t'))
			break;
		if (*r->p != ' ' && *r->p != '\t' && *r->p != '\r')
			end = r->p + 1;
	}
	buffer_append(value, start, (size_t)(end - start));
}

static int put_value(struct reader *r, const char *name, size_t n, struct project_place place,
	const char *text, char quote, struct error *err)
{
	_cleanup_free_ char *value = NULL;
	int e;

	if (quote == '\'')
		return env_set(r->e, name, n, text, err);
	r->variables.keep_dollars = quote != '"';
	e = interpolate(text, &r->variables, &value, NULL, err);
	if (e == -ERROR_NO_MEMORY)
		return e;
	if (e == 0)
		return env_set(r->e, name, n, value, err);
	mistake_add(r->m, place, n, "%s", err->text);
	return 0;
}

/* What stands behind "KEY=". */
static int read_value(
	struct reader *r, const char *name, size_t n, struct project_place place, struct error *err)
{
	_cleanup_buffer_ struct buffer value = {0};
	char quote = r->p < r->end && (*r->p == '"' || *r->p == '\'') ? *r->p : 0;
	struct project_place start = place_at(r, r->p);
	_cleanup_free_ char *text = NULL;

	if (!quote) {
		read_bare(r, &value);
	} else if (!read_quoted(r, &value)) {
		mistake_add(r->m, start, 1, "this quote is not closed");
		return 0;
	} else {
		skip_blanks(r);
		if (r->p < r->end && !strchr("#\r\n", *r->p))
			mistake_add(r->m, place_at(r, r->p), 1, "nothing can stand behind the closing quote");
	}
	text = buffer_take_text(&value);
	if (!text)
		return error_no_memory(err, "read variables");
	return put_value(r, name, n, place, text, quote, err);
}

static int read_assignment(struct reader *r, struct error *err)
{
	struct project_place place = place_at(r, r->p);
	const char *name = r->p, *value;
	size_t n;

	while (r->p < r->end && !strchr("=#\r\n", *r->p) && *r->p)
		r->p++;
	n = (size_t)(r->p - name);
	while (n && (name[n - 1] == ' ' || name[n - 1] == '\t'))
		n--;
	if (!env_is_name(name, n)) {
		mistake_add(r->m, place, n, "expected KEY=value");
		return 0;
	}
	if (r->p < r->end && *r->p == '=') {
		r->p++;
		skip_blanks(r);
		return read_value(r, name, n, place, err);
	}
	{
		_cleanup_free_ char *copy = text_copy_bytes(name, n, err);

		if (!copy)
			return -ERROR_NO_MEMORY;
		value = r->source->get ? r->source->get(r->source->context, copy) : NULL;
	}
	return value ? env_set(r->e, name, n, value, err) : 0;
}

int env_parse(const char *bytes, size_t n, const struct env_source *source, struct mistakes *m, struct env *e,
	struct error *err)
{
	struct reader r = {.source = source, .m = m, .e = e, .p = bytes, .end = bytes + n, .line = 1};
	const char *nul = memchr(bytes, 0, n);

	if (n >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3))
		r.p += 3;
	r.line_start = r.p;
	r.variables = (struct interpolation){.get = get, .context = &r, .left = INTERPOLATE_MAX};
	if (nul) {
		mistake_add(m, (struct project_place){source->file, 0, 0}, 1,
			"a NUL byte cannot stand in a file of variables");
		return 0;
	}
	while (r.p < r.end) {
		skip_blanks(&r);
		if (r.end - r.p > 7 && !memcmp(r.p, "export", 6) && (r.p[6] == ' ' || r.p[6] == '\t')) {
			r.p += 7;
			skip_blanks(&r);
		}
		if (r.p < r.end && !strchr("#\r\n", *r.p) && read_assignment(&r, err) < 0)
			return -ERROR_NO_MEMORY;
		skip_line(&r);
	}
	return 0;
}
