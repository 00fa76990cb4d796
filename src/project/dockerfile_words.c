/* SPDX-License-Identifier: Apache-2.0 */
#include "project/dockerfile_words.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"

#define OUTPUT_MAX (1u << 20)
#define DEPTH_MAX  16u
#define WORDS_MAX  100000u

static const char blanks[] = " \t\r\n";

/* Where a word ends: at a blank, at the end of the text, or at the '}' of what is around it. */
enum until { UNTIL_BLANK, UNTIL_END, UNTIL_BRACE, UNTIL_END_QUOTED };

struct expander {
	const struct dockerfile_variables *v;
	const char *at;
	unsigned depth;
};

static int take_word(struct expander *x, enum until until, struct buffer *out, struct error *err);

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static int no_variable(const char *at, struct error *err)
{
	return error_set(err, ERROR_INVALID,
		"'%.40s': expected ${NAME}, or ${NAME:-word} with :-, -, :+, +, :? or ?", at);
}

/* "${NAME" was read, and `operation` of its kind: what is behind it, up to the brace. */
static int take_alternative(
	struct expander *x, const char *name, size_t n, struct buffer *out, struct error *err)
{
	bool colon = *x->at == ':';
	char kind = x->at[colon];
	const char *value = x->v->find(x->v->context, name, n);
	_cleanup_buffer_ struct buffer word = {.limit = OUTPUT_MAX};
	bool is_set = value && !(colon && !*value);
	int r;

	x->at += colon + 1;
	if (is_set && kind != '+')
		buffer_append_text(out, value);
	r = take_word(x, UNTIL_BRACE, &word, err);
	if (r < 0)
		return r;
	if (word.failed || !buffer_u8(&word, 0))
		return error_set(err, ERROR_LIMIT, "what variables stand for is too long");
	if (kind == '?' && !is_set)
		return error_set(err, ERROR_INVALID, "%.*s: %s", (int)(n < 100 ? n : 100), name,
			word.size > 1 ? (char *)word.data : "it is not set");
	if ((kind == '+' && is_set) || (kind == '-' && !is_set))
		buffer_append(out, word.data, word.size - 1);
	return 0;
}

static int take_braces(struct expander *x, struct buffer *out, struct error *err)
{
	const char *start = x->at - 2, *name = x->at, *value;
	size_t n = 0;

	while (is_name(name[n]))
		n++;
	x->at += n;
	if (!n)
		return no_variable(start, err);
	if (*x->at == '}') {
		value = x->v->find(x->v->context, name, n);
		buffer_append_text(out, value ? value : "");
		x->at++;
		return 0;
	}
	if (!*x->at || !strchr("-+?", x->at[*x->at == ':']) || !x->at[*x->at == ':'])
		return no_variable(start, err);
	if (x->depth == DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "'%.40s': variables within variables, over %u deep", start,
			DEPTH_MAX);
	x->depth++;
	{
		int r = take_alternative(x, name, n, out, err);

		x->depth--;
		return r;
	}
}

/* At a '$'. */
static int take_variable(struct expander *x, struct buffer *out, struct error *err)
{
	const char *name = ++x->at, *value;
	size_t n = 0;

	if (*x->at == '{') {
		x->at++;
		return take_braces(x, out, err);
	}
	while (is_name(name[n]))
		n++;
	if (!n) {
		buffer_u8(out, '$');
		return 0;
	}
	x->at += n;
	value = x->v->find(x->v->context, name, n);
	buffer_append_text(out, value ? value : "");
	return 0;
}

static bool is_end(const struct expander *x, enum until until, char quote)
{
	if (!*x->at)
		return true;
	if (quote)
		return false;
	return until == UNTIL_BLANK ? strchr(blanks, *x->at) != NULL : until == UNTIL_BRACE && *x->at == '}';
}

/* What an escape character stands for, and the next one. */
static void take_escape(struct expander *x, char quote, bool body, struct buffer *out)
{
	char next = x->at[1], escape = x->v->escape;

	if (body ? next == '$' || next == escape : !quote || next == '"' || next == '$' || next == escape) {
		buffer_u8(out, (uint8_t)next);
		x->at += 2;
		return;
	}
	buffer_u8(out, (uint8_t)escape);
	x->at++;
}

static int take_word(struct expander *x, enum until until, struct buffer *out, struct error *err)
{
	bool body = until == UNTIL_END_QUOTED;
	char quote = 0;
	int r = 0;

	while (r == 0 && !out->failed && !is_end(x, until, quote)) {
		char c = *x->at;

		if (c == '$' && quote != '\'')
			r = take_variable(x, out, err);
		else if (c == x->v->escape && quote != '\'' && x->at[1])
			take_escape(x, quote, body, out);
		else if (!body && (quote ? c == quote : c == '"' || c == '\'')) {
			quote = quote ? 0 : c;
			x->at++;
		} else {
			buffer_u8(out, (uint8_t)c);
			x->at++;
		}
	}
	if (r == 0 && quote)
		return error_set(err, ERROR_INVALID, "a quote (%c) is not closed", quote);
	if (r == 0 && until == UNTIL_BRACE && *x->at++ != '}')
		return error_set(err, ERROR_INVALID, "a '${' is not closed");
	if (r == 0 && out->failed)
		return error_set(err, ERROR_LIMIT, "what variables stand for is over %u bytes", OUTPUT_MAX);
	return r;
}

static int expand(struct expander *x, enum until until, char **out, struct error *err)
{
	_cleanup_buffer_ struct buffer word = {.limit = OUTPUT_MAX};
	int r = take_word(x, until, &word, err);

	if (r < 0)
		return r;
	*out = text_copy_bytes(word.data ? (char *)word.data : "", word.size, err);
	return *out ? 0 : -ERROR_NO_MEMORY;
}

int dockerfile_expand(const char *text, const struct dockerfile_variables *v, char **out, struct error *err)
{
	struct expander x = {.v = v, .at = text};

	return expand(&x, UNTIL_END, out, err);
}

int dockerfile_expand_body(
	const char *text, const struct dockerfile_variables *v, char **out, struct error *err)
{
	struct expander x = {.v = v, .at = text};

	return expand(&x, UNTIL_END_QUOTED, out, err);
}

static int add_owned(char ***list, size_t *count, char *word, struct error *err)
{
	/* Room for a power of two of them, and the NULL. */
	if ((*count & (*count + 1)) == 0) {
		char **grown = realloc(*list, (2 * *count + 2) * sizeof *grown);

		if (!grown) {
			free(word);
			return error_no_memory(err, "read words");
		}
		*list = grown;
	}
	(*list)[(*count)++] = word;
	(*list)[*count] = NULL;
	return 0;
}

int dockerfile_words(const char *text, const struct dockerfile_variables *v, char ***out, struct error *err)
{
	struct expander x = {.v = v, .at = text};
	_cleanup_text_list_ char **list = NULL;
	size_t count = 0, size = 0;
	int r = 0;

	while (r == 0 && *(x.at += strspn(x.at, blanks))) {
		char *word = NULL;

		r = expand(&x, UNTIL_BLANK, &word, err);
		if (r < 0)
			return r;
		size += strlen(word);
		r = add_owned(&list, &count, word, err);
		if (r == 0 && (size > OUTPUT_MAX || count > WORDS_MAX))
			r = error_set(
				err, ERROR_LIMIT, "what variables stand for is over %u bytes", OUTPUT_MAX);
	}
	if (r == 0 && !list && !(list = text_list_copy(NULL, err)))
		r = -ERROR_NO_MEMORY;
	if (r == 0)
		*out = TAKE_PTR(list);
	return r;
}

/* "KEY value to the end" */
static int old_pair(
	const char *text, size_t key, const struct dockerfile_variables *v, char ***out, struct error *err)
{
	_cleanup_free_ char *name = text_copy_bytes(text, key, err), *value = NULL, *pair = NULL;
	int r = name ? 0 : -ERROR_NO_MEMORY;

	text += key + strspn(text + key, blanks);
	if (r == 0 && !*text)
		return error_set(err, ERROR_INVALID, "'%.100s' has no value", name);
	if (r == 0)
		r = dockerfile_expand(text, v, &value, err);
	if (r == 0 && !(pair = text_format(err, "%s=%s", name, value)))
		r = -ERROR_NO_MEMORY;
	return r < 0 ? r : text_list_add(out, pair, err);
}

int dockerfile_pairs(const char *text, const struct dockerfile_variables *v, char ***out, struct error *err)
{
	size_t key = strcspn(text, "= \t");
	int r;

	*out = NULL;
	if (text[key] != '=' && *text != '"' && *text != '\'')
		return old_pair(text, key, v, out, err);
	r = dockerfile_words(text, v, out, err);
	for (size_t i = 0; r == 0 && (*out)[i]; i++) {
		const char *equals = strchr((*out)[i], '=');

		if (!equals || equals == (*out)[i])
			r = error_set(err, ERROR_INVALID, "'%.100s': expected KEY=value", (*out)[i]);
	}
	if (r < 0 && *out) {
		text_list_free(*out);
		*out = NULL;
	}
	return r;
}
