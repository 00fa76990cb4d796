/* SPDX-License-Identifier: Apache-2.0 */
#include "project/dockerfile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/json.h"

#define HEREDOCS_MAX 64u
#define FLAGS_MAX    64u

static const char blanks[] = " \t";

struct parser {
	const char *at, *end;
	uint32_t line; /* of the next line, from 1 */
	struct dockerfile *out;
	size_t capacity;
};

static const struct {
	const char *name;
	unsigned has;
} kinds[] = {
#define X(name, has) {#name, has},
	DOCKERFILE_KINDS(X)
#undef X
};

const char *dockerfile_kind_name(enum dockerfile_kind kind)
{
	return kinds[kind].name;
}

static void instruction_free(struct dockerfile_instruction *i)
{
	for (size_t n = 0; n < i->flag_count; n++) {
		free(i->flags[n].name);
		free(i->flags[n].value);
	}
	for (size_t n = 0; n < i->heredoc_count; n++) {
		free(i->heredocs[n].name);
		free(i->heredocs[n].text);
	}
	free(i->flags);
	free(i->heredocs);
	free(i->text);
	text_list_free(i->json);
	*i = (struct dockerfile_instruction){0};
}

void dockerfile_free(struct dockerfile *d)
{
	for (size_t i = 0; i < d->count; i++)
		instruction_free(&d->instructions[i]);
	free(d->instructions);
	*d = (struct dockerfile){0};
}

static int fail(const struct dockerfile_instruction *i, struct error *err, const char *text, const char *what)
{
	return error_set(err, ERROR_INVALID, "line %u: %s: %s%s", i->line, kinds[i->kind].name, text, what);
}

/* ---- lines ------------------------------------------------------------------------------------------- */

struct line {
	const char *text;
	size_t n; /* without its end */
};

static bool next_line(struct parser *p, struct line *l)
{
	const char *end;

	if (p->at == p->end)
		return false;
	end = memchr(p->at, '\n', (size_t)(p->end - p->at));
	l->text = p->at;
	l->n = (size_t)((end ? end : p->end) - p->at);
	p->at = end ? end + 1 : p->end;
	p->line++;
	if (l->n && l->text[l->n - 1] == '\r')
		l->n--;
	return true;
}

static struct line without_indent(struct line l)
{
	while (l.n && strchr(blanks, *l.text)) {
		l.text++;
		l.n--;
	}
	return l;
}

/* Cuts off an escape character at the end, with blanks behind it: the line goes on. */
static bool cut_continuation(const struct dockerfile *d, struct line *l)
{
	size_t n = l->n;

	while (n && strchr(blanks, l->text[n - 1]))
		n--;
	if (!n || l->text[n - 1] != d->escape)
		return false;
	l->n = n - 1;
	return true;
}

/* One line for those that are joined; false: there is none any more. *first: where it begins. */
static bool next_logical(struct parser *p, struct buffer *out, uint32_t *first)
{
	bool begun = false, more = true;
	struct line l;

	buffer_clear(out);
	while (more && next_line(p, &l)) {
		struct line bare = without_indent(l);

		if (!bare.n || *bare.text == '#')
			continue;
		if (!begun) {
			*first = p->line - 1;
			l = bare;
		}
		begun = true;
		more = cut_continuation(p->out, &l);
		buffer_append(out, l.text, l.n);
	}
	buffer_u8(out, 0);
	return begun;
}

/* ---- directives -------------------------------------------------------------------------------------- */

/* "# escape=`" of the first lines; what is no directive ends them. */
static int read_directives(struct parser *p, struct error *err)
{
	for (;;) {
		struct parser before = *p;
		struct line l;
		const char *equals;

		if (!next_line(p, &l))
			return 0;
		l = without_indent(l);
		equals = l.n && *l.text == '#' ? memchr(l.text, '=', l.n) : NULL;
		if (!equals) {
			*p = before;
			return 0;
		}
		l = without_indent((struct line){l.text + 1, l.n - 1});
		if (l.n < 6 || strncasecmp(l.text, "escape", 6))
			continue;
		l = without_indent((struct line){equals + 1, (size_t)(l.text + l.n - equals - 1)});
		while (l.n && strchr(blanks, l.text[l.n - 1]))
			l.n--;
		if (l.n != 1 || (*l.text != '\\' && *l.text != '`'))
			return error_set(err, ERROR_INVALID, "line %u: escape may be \\ or `, not '%.*s'",
				p->line - 1, (int)(l.n < 40 ? l.n : 40), l.text);
		p->out->escape = *l.text;
	}
}

/* ---- flags ------------------------------------------------------------------------------------------- */

static int add_flag(struct dockerfile_instruction *i, const char *text, size_t n, struct error *err)
{
	struct dockerfile_flag *grown, *f;
	const char *equals = memchr(text, '=', n);
	size_t name = equals ? (size_t)(equals - text) : n;

	if (i->flag_count == FLAGS_MAX)
		return fail(i, err, "too many flags", "");
	grown = realloc(i->flags, (i->flag_count + 1) * sizeof *grown);
	if (!grown)
		return error_no_memory(err, "read a Dockerfile");
	i->flags = grown;
	f = &i->flags[i->flag_count++];
	*f = (struct dockerfile_flag){.name = text_copy_bytes(text, name, err)};
	if (equals)
		f->value = text_copy_bytes(equals + 1, n - name - 1, err);
	return f->name && (!equals || f->value) ? 0 : -ERROR_NO_MEMORY;
}

/* "--name=value" before all else; moves *text behind them. */
static int read_flags(struct dockerfile_instruction *i, const char **text, struct error *err)
{
	while (!strncmp(*text, "--", 2)) {
		size_t n = strcspn(*text, blanks);
		int r = n > 2 ? add_flag(i, *text + 2, n - 2, err)
			      : fail(i, err, "a flag without a name", "");

		if (r < 0)
			return r;
		*text += n;
		*text += strspn(*text, blanks);
	}
	return 0;
}

/* ---- heredocs ---------------------------------------------------------------------------------------- */

struct opening { /* of a heredoc: "[N]<<[-]NAME", NAME quoted or not */
	char *name;
	bool quoted, tabs;
};

/* Reads a word outside of quotes that may open one. 1: it does. */
static int read_opening(const char *word, size_t n, struct opening *o, struct error *err)
{
	const char *end = word + n;
	char quote = 0;

	*o = (struct opening){0};
	while (word < end && isdigit((unsigned char)*word))
		word++;
	if (end - word < 3 || word[0] != '<' || word[1] != '<')
		return 0;
	word += 2;
	if (*word == '-') {
		o->tabs = true;
		word++;
	}
	if (word < end && (*word == '"' || *word == '\'')) {
		quote = *word++;
		if (end - word < 2 || end[-1] != quote)
			return 0;
		end--;
	}
	if (word == end || memchr(word, '<', (size_t)(end - word)) ||
		memchr(word, quote ? quote : '"', (size_t)(end - word)))
		return 0;
	o->quoted = quote;
	o->name = text_copy_bytes(word, (size_t)(end - word), err);
	return o->name ? 1 : -ERROR_NO_MEMORY;
}

/* The length of a word, in which quotes hold blanks. */
static size_t word_size(const char *text, char escape)
{
	char quote = 0;
	size_t n = 0;

	for (; text[n] && (quote || !strchr(blanks, text[n])); n++) {
		if (text[n] == escape && quote != '\'' && text[n + 1])
			n++;
		else if (quote ? text[n] == quote : text[n] == '"' || text[n] == '\'')
			quote = quote ? 0 : text[n];
	}
	return n;
}

/* Takes lines up to the one that is its name alone. */
static int read_body(struct parser *p, struct dockerfile_instruction *i, const struct opening *o,
	struct dockerfile_heredoc *h, struct error *err)
{
	_cleanup_buffer_ struct buffer body = {0};
	size_t name = strlen(o->name);
	struct line l;

	while (next_line(p, &l)) {
		while (o->tabs && l.n && *l.text == '\t') {
			l.text++;
			l.n--;
		}
		if (l.n == name && !memcmp(l.text, o->name, name)) {
			h->text = text_copy_bytes(body.data ? (char *)body.data : "", body.size, err);
			return h->text && !body.failed ? 0 : -ERROR_NO_MEMORY;
		}
		buffer_append(&body, l.text, l.n);
		buffer_u8(&body, '\n');
	}
	return fail(i, err, "the file ends before the heredoc does: ", o->name);
}

static int add_heredoc(
	struct parser *p, struct dockerfile_instruction *i, struct opening *o, struct error *err)
{
	struct dockerfile_heredoc *grown;
	int r;

	if (i->heredoc_count == HEREDOCS_MAX)
		return fail(i, err, "too many heredocs", "");
	grown = realloc(i->heredocs, (i->heredoc_count + 1) * sizeof *grown);
	if (!grown)
		return error_no_memory(err, "read a Dockerfile");
	i->heredocs = grown;
	grown[i->heredoc_count] = (struct dockerfile_heredoc){.expand = !o->quoted};
	r = read_body(p, i, o, &grown[i->heredoc_count++], err);
	grown[i->heredoc_count - 1].name = TAKE_PTR(o->name);
	return r;
}

static int read_heredocs(struct parser *p, struct dockerfile_instruction *i, struct error *err)
{
	for (const char *at = i->text; *(at += strspn(at, blanks));) {
		size_t n = word_size(at, p->out->escape);
		struct opening o;
		int r = read_opening(at, n, &o, err);

		if (r > 0)
			r = add_heredoc(p, i, &o, err);
		free(o.name);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

/* ---- instructions ------------------------------------------------------------------------------------ */

/* The JSON form; what is none is the other form, as docker has it. */
static int read_json(struct dockerfile_instruction *i, struct error *err)
{
	_cleanup_json_ json_t *list =
		*i->text == '[' ? json_loads(i->text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const json_t *item;
	size_t n;

	json_array_foreach(list, n, item) if (!json_is_string(item)) return 0;
	if (!list)
		return 0;
	json_array_foreach(list, n, item)
	{
		int r = text_list_add(&i->json, json_string_value(item), err);

		if (r < 0)
			return r;
	}
	if (!i->json && !(i->json = text_list_copy(NULL, err)))
		return -ERROR_NO_MEMORY;
	return 0;
}

static int find_kind(const char *name, size_t n, uint32_t line, enum dockerfile_kind *kind, struct error *err)
{
	const char *names[ARRAY_SIZE(kinds) + 1] = {NULL}, *nearest;
	char upper[32] = "";

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		names[i] = kinds[i].name;
		if (strlen(names[i]) == n && !strncasecmp(names[i], name, n)) {
			*kind = (enum dockerfile_kind)i;
			return 0;
		}
	}
	for (size_t i = 0; i < n && i < sizeof upper - 1; i++)
		upper[i] = (char)toupper((unsigned char)name[i]);
	nearest = text_nearest(upper, names);
	return error_set(err, ERROR_INVALID, "line %u: unknown instruction '%.*s'%s%s%s", line,
		(int)(n < 40 ? n : 40), name, nearest ? "; did you mean '" : "", nearest ? nearest : "",
		nearest ? "'?" : "");
}

static int check_order(const struct dockerfile *d, const struct dockerfile_instruction *i, struct error *err)
{
	bool begun = i->kind == DOCKERFILE_FROM || i->kind == DOCKERFILE_ARG;

	for (size_t n = 0; n < d->count && !begun; n++)
		begun = d->instructions[n].kind == DOCKERFILE_FROM;
	return begun ? 0 : fail(i, err, "a FROM must come before it", "");
}

static int fill_instruction(
	struct parser *p, struct dockerfile_instruction *i, const char *text, struct error *err)
{
	size_t name = strcspn(text, blanks), n;
	int r = find_kind(text, name, i->line, &i->kind, err);

	if (r == 0)
		r = check_order(p->out, i, err);
	text += name;
	text += strspn(text, blanks);
	if (r == 0 && kinds[i->kind].has & DOCKERFILE_HAS_FLAGS)
		r = read_flags(i, &text, err);
	if (r < 0)
		return r;
	for (n = strlen(text); n && strchr(blanks, text[n - 1]);)
		n--;
	i->text = text_copy_bytes(text, n, err);
	if (!i->text)
		return -ERROR_NO_MEMORY;
	if (!n)
		return fail(i, err, "nothing stands behind it", "");
	if (kinds[i->kind].has & DOCKERFILE_HAS_JSON)
		r = read_json(i, err);
	if (r == 0 && !i->json && kinds[i->kind].has & DOCKERFILE_HAS_HEREDOCS)
		r = read_heredocs(p, i, err);
	return r;
}

static int add_instruction(struct parser *p, uint32_t line, const char *text, struct error *err)
{
	struct dockerfile *d = p->out;
	struct dockerfile_instruction i = {.line = line};
	int r;

	if (d->count == DOCKERFILE_INSTRUCTIONS_MAX)
		return error_set(
			err, ERROR_LIMIT, "line %u: over %u instructions", line, DOCKERFILE_INSTRUCTIONS_MAX);
	if (d->count == p->capacity) {
		size_t capacity = p->capacity ? 2 * p->capacity : 16;
		struct dockerfile_instruction *grown = realloc(d->instructions, capacity * sizeof *grown);

		if (!grown)
			return error_no_memory(err, "read a Dockerfile");
		d->instructions = grown;
		p->capacity = capacity;
	}
	r = fill_instruction(p, &i, text, err);
	if (r < 0)
		instruction_free(&i);
	else
		d->instructions[d->count++] = i;
	return r;
}

static int check_from(const struct dockerfile *d, struct error *err)
{
	for (size_t n = 0; n < d->count; n++)
		if (d->instructions[n].kind == DOCKERFILE_FROM)
			return 0;
	return error_set(err, ERROR_INVALID, "it has no FROM");
}

int dockerfile_parse(const char *text, size_t n, struct dockerfile *d, struct error *err)
{
	struct parser p = {.at = text, .end = text + n, .line = 1, .out = d};
	_cleanup_buffer_ struct buffer line = {0};
	uint32_t first = 1;
	int r;

	*d = (struct dockerfile){.escape = '\\'};
	if (n > DOCKERFILE_MAX)
		return error_set(err, ERROR_LIMIT, "it is over %u bytes", DOCKERFILE_MAX);
	if (memchr(text, 0, n))
		return error_set(err, ERROR_INVALID, "it holds a NUL byte: this is no text");
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		p.at += 3;
	r = read_directives(&p, err);
	while (r == 0 && next_logical(&p, &line, &first))
		r = line.failed ? error_no_memory(err, "read a Dockerfile")
				: add_instruction(&p, first, (const char *)line.data, err);
	if (r == 0)
		r = check_from(d, err);
	if (r < 0)
		dockerfile_free(d);
	return r;
}
