/* SPDX-License-Identifier: Apache-2.0 */
#include "project/interpolate.h"

#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

#define NAME_MAX_SIZE 128
#define MESSAGE_MAX   512

struct reader {
	const struct interpolation *i;
	const char *text, *p;
	const char *wrong; /* where it is wrong */
	struct buffer out;
	unsigned depth, quiet; /* quiet: in a word that is not wanted, of which only the end counts */
	bool full;             /* more than out may hold */
	struct error *err;
};

static int read_until(struct reader *r, bool word);

static int fail(struct reader *r, const char *at, enum error_code code, const char *what)
{
	r->wrong = at;
	return error_set(r->err, code, "%s", what);
}

/* Both failures are found at the end of what is read. */
static void put(struct reader *r, const char *text, size_t n)
{
	if (r->quiet)
		return;
	r->full = r->full || n + 1 > r->out.limit - r->out.size;
	if (!r->full)
		buffer_append(&r->out, text, n);
}

static size_t name_size(const char *p)
{
	size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	return *p >= '0' && *p <= '9' ? 0 : n;
}

/* The word up to its '}', put where it is wanted. */
static int read_word(struct reader *r, bool wanted)
{
	int e;

	r->quiet += !wanted;
	e = read_until(r, true);
	r->quiet -= !wanted;
	return e;
}

/* "?text}": the text is what is wrong. */
static int complain(struct reader *r, const char *start, const char *name)
{
	struct buffer out = r->out;
	char *message;
	int e;

	r->out = (struct buffer){.limit = MESSAGE_MAX};
	e = read_until(r, true);
	message = buffer_take_text(&r->out);
	r->out = out;
	r->wrong = e < 0 ? r->wrong : start;
	if (e == 0 && !message)
		e = error_no_memory(r->err, "put variables in their places");
	else if (e == 0)
		e = error_set(r->err, ERROR_INVALID, "the variable %s is not set: %s", name,
			*message ? message : "it is needed");
	free(message);
	return e;
}

static int apply(struct reader *r, const char *start, const char *name, const char *value)
{
	bool colon = *r->p == ':' && r->p[1] && strchr("-+?", r->p[1]);
	bool set = value && (!colon || *value);
	char sign;

	r->p += colon;
	sign = *r->p;
	if (sign == '}') {
		r->p++;
		if (!value && !r->quiet) {
			r->wrong = start;
			return error_set(r->err, ERROR_INVALID,
				"the variable %s is not set; ${%s:-TEXT} would have a default, and $${%s} is "
				"for a "
				"shell to see",
				name, name, name);
		}
		if (value)
			put(r, value, strlen(value));
		return 0;
	}
	if (!sign || !strchr("-+?", sign))
		return fail(r, start, ERROR_INVALID,
			*r->p ? "expected '}', ':-', ':+' or ':?' behind a variable's name; write '$${' for "
				"a shell to see"
			      : "this '${' is not closed");
	r->p++;
	if (sign == '+')
		return read_word(r, set);
	if (sign == '?' && !set && !r->quiet)
		return complain(r, start, name);
	if (set)
		put(r, value, strlen(value));
	return read_word(r, sign == '-' && !set);
}

/* At the "${" of a variable. */
static int read_variable(struct reader *r)
{
	const char *start = r->p;
	size_t n = name_size(start + 2);
	char name[NAME_MAX_SIZE];
	int e;

	if (n == 0)
		return fail(r, start, ERROR_INVALID,
			"expected a variable's name behind '${'; write '$${' for a shell to see");
	if (n >= sizeof name)
		return fail(r, start, ERROR_LIMIT, "a variable's name is too long");
	if (r->depth == INTERPOLATE_DEPTH)
		return fail(r, start, ERROR_LIMIT, "variables are nested too deep");
	memcpy(name, start + 2, n);
	name[n] = 0;
	r->p = start + 2 + n;
	r->depth++;
	e = apply(r, start, name, r->quiet ? NULL : r->i->get(r->i->context, name));
	r->depth--;
	return e;
}

/* To the end of the text, or of the word that stands in "${…}". */
static int read_until(struct reader *r, bool word)
{
	const char *start = r->p;

	while (*r->p && !(word && *r->p == '}')) {
		size_t n = strcspn(r->p, "$}");
		int e = 0;

		if (n == 0 && r->p[0] == '$' && r->p[1] == '{') {
			e = read_variable(r);
		} else {
			size_t taken = n ? n : 1, kept = taken;

			if (!n && r->p[0] == '$' && r->p[1] == '$' && !r->i->keep_dollars)
				taken = 2;
			put(r, r->p, kept);
			r->p += taken;
		}
		if (e < 0)
			return e;
		if (r->full)
			return fail(r, start, ERROR_LIMIT, "with their variables the texts are too long");
		if (r->out.failed)
			return error_no_memory(r->err, "put variables in their places");
	}
	if (word && !*r->p)
		return fail(r, start, ERROR_INVALID, "this '${' is not closed");
	r->p += word;
	return 0;
}

int interpolate(const char *text, struct interpolation *i, char **out, size_t *at, struct error *err)
{
	struct reader r = {.i = i, .text = text, .p = text, .wrong = text, .err = err};
	int e;

	*out = NULL;
	r.out.limit = i->left + 1; /* a NUL comes behind it */
	e = read_until(&r, false);
	i->left -= r.out.size < i->left ? r.out.size : i->left;
	if (e == 0) {
		*out = buffer_take_text(&r.out);
		if (!*out)
			e = error_no_memory(err, "put variables in their places");
	}
	if (at)
		*at = (size_t)(r.wrong - text);
	buffer_free(&r.out);
	return e;
}
