/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/options.h"

#include <getopt.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define OPTIONS_MOST 64
#define FIRST_LONG   256 /* getopt's value of row 0: above every letter */

/* The rows of both tables in one list, and the forms of it that getopt_long wants. */
struct merged {
	const struct option_spec *specs[OPTIONS_MOST];
	void *targets[OPTIONS_MOST];
	size_t size;
	struct option longs[OPTIONS_MOST + 1];
	char letters[2 * OPTIONS_MOST + 3];
};

static const struct option_spec *find_name(const struct merged *m, const char *name)
{
	for (size_t i = 0; i < m->size; i++)
		if (!strcmp(m->specs[i]->name, name))
			return m->specs[i];
	return NULL;
}

static bool has_letter(const struct merged *m, char letter)
{
	for (size_t i = 0; letter && i < m->size; i++)
		if (m->specs[i]->letter == letter)
			return true;
	return false;
}

static void merge_table(struct merged *m, const struct option_spec *specs, void *target)
{
	size_t at = strlen(m->letters);

	for (; specs && specs->name && m->size < OPTIONS_MOST; specs++) {
		if (find_name(m, specs->name))
			continue;
		if (specs->letter && !has_letter(m, specs->letter)) {
			m->letters[at++] = specs->letter;
			if (option_takes_argument(specs))
				m->letters[at++] = ':';
		}
		m->longs[m->size] = (struct option){.name = specs->name,
			.has_arg = option_takes_argument(specs) ? required_argument : no_argument,
			.val = FIRST_LONG + (int)m->size};
		m->specs[m->size] = specs;
		m->targets[m->size++] = target;
	}
}

static void merge(struct merged *m, const struct options_request *request)
{
	*m = (struct merged){.letters = {request->stop_early ? '+' : ':', request->stop_early ? ':' : 0}};
	merge_table(m, request->own, request->own_target);
	merge_table(m, request->shared, request->shared_target);
}

/* The row behind a value of getopt: a letter, or FIRST_LONG and more. */
static size_t row_of(const struct merged *m, int value)
{
	if (value >= FIRST_LONG)
		return (size_t)(value - FIRST_LONG);
	for (size_t i = 0; i < m->size; i++)
		if (m->specs[i]->letter && m->specs[i]->letter == value)
			return i;
	return m->size;
}

static const char *spelled(const struct option_spec *spec, char *out, size_t size)
{
	if (spec->letter)
		snprintf(out, size, "-%c/--%s", spec->letter, spec->name);
	else
		snprintf(out, size, "--%s", spec->name);
	return out;
}

static int unknown_long(const struct merged *m, const char *word, struct error *err)
{
	const char *names[OPTIONS_MOST + 1] = {NULL}, *nearest, *also = NULL, *first = NULL;
	size_t n = strcspn(word + 2, "=");
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)n, word + 2);
	for (size_t i = 0; i < m->size; i++) {
		names[i] = m->specs[i]->name;
		if (!text_starts(names[i], name))
			continue;
		also = first;
		first = names[i];
	}
	if (also)
		return error_set(err, ERROR_USAGE, "'--%s' may mean '--%s' or '--%s'; write it out", name,
			also, first);
	for (size_t i = 0, shown = 0; i < m->size; i++)
		if (!m->specs[i]->hidden) {
			names[shown++] = m->specs[i]->name;
			names[shown] = NULL;
		}
	nearest = text_nearest(name, names);
	if (nearest)
		return error_set(
			err, ERROR_USAGE, "unknown option '--%s'; did you mean '--%s'?", name, nearest);
	return error_set(err, ERROR_USAGE, "unknown option '--%s'", name);
}

/* getopt has refused something: which option was it? */
static int refused(const struct merged *m, int result, char **argv, struct error *err)
{
	size_t row = row_of(m, optopt);
	char text[80];

	if (result == ':')
		return error_set(err, ERROR_USAGE, "option '%s' needs %s",
			row < m->size ? spelled(m->specs[row], text, sizeof text) : argv[optind - 1],
			row < m->size ? m->specs[row]->argument : "an argument");
	if (optopt >= FIRST_LONG && row < m->size)
		return error_set(err, ERROR_USAGE, "option '--%s' takes no argument", m->specs[row]->name);
	if (optopt)
		return error_set(err, ERROR_USAGE, "unknown option '-%c'", optopt);
	return unknown_long(m, argv[optind - 1], err);
}

static int check_choice(
	const struct option_spec *spec, const char *name, const char *value, struct error *err)
{
	char list[256];
	size_t n = 0;

	for (const char *const *c = spec->choices; *c; c++) {
		if (!strcmp(*c, value))
			return 0;
		n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", *c);
		if (n >= sizeof list)
			n = sizeof list - 1;
	}
	return error_set(err, ERROR_USAGE, "%s: '%s' is none of: %s", name, value, list);
}

static int store(const struct option_spec *spec, void *field, const char *value, struct error *err)
{
	char name[80];

	spelled(spec, name, sizeof name);
	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_CHOICE:
		if (check_choice(spec, name, value, err) < 0)
			return -ERROR_USAGE;
		*(const char **)field = value;
		return 0;
	case OPTION_STRING:
		*(const char **)field = value;
		return 0;
	case OPTION_LIST:
		return text_list_add(field, value, err);
	case OPTION_SIZE:
		return text_parse_size(value, 1 << 20, name, field, err);
	case OPTION_DURATION:
		return text_parse_duration(value, name, field, err);
	case OPTION_NUMBER:
		return text_parse_u64(value, spec->most ? spec->most : UINT64_MAX, name, field, err);
	case OPTION_LATER:
		return error_set(
			err, ERROR_UNAVAILABLE, "option '%s' is not yet available in this version", name);
	}
	return 0;
}

/* A value that cannot be read is wrong usage, whatever the parser of values calls it. */
static int as_usage(int r, struct error *err)
{
	if (r != -ERROR_INVALID && r != -ERROR_LIMIT)
		return r;
	if (err)
		err->code = ERROR_USAGE;
	return -ERROR_USAGE;
}

int options_parse(const struct options_request *request, int argc, char **argv, int *first, struct error *err)
{
	const bool *help = (const bool *)((const char *)request->shared_target + request->help_offset);
	struct merged m;
	int value, r = 0;

	merge(&m, request);
	optind = 0;
	opterr = 0;
	for (;;) {
		size_t row;

		optopt = 0;
		value = getopt_long(argc, argv, m.letters, m.longs, NULL);
		if (value == -1)
			break;
		if (value == '?' || value == ':')
			return refused(&m, value, argv, err);
		row = row_of(&m, value);
		r = as_usage(
			store(m.specs[row], (char *)m.targets[row] + m.specs[row]->offset, optarg, err), err);
		if (r < 0)
			return r;
		if (request->shared_target && *help)
			break;
	}
	*first = optind;
	return 0;
}

void options_release(const struct option_spec *specs, void *target)
{
	for (; specs && specs->name; specs++)
		if (specs->kind == OPTION_LIST) {
			char ***list = (char ***)(void *)((char *)target + specs->offset);

			text_list_free(*list);
			*list = NULL;
		}
}
