/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "project/yaml_parts.h"

#define STEP 64

static bool begins_character(uint8_t byte)
{
	return (byte & 0xc0) != 0x80;
}

int yaml_source_open(struct yaml_source *s, const uint8_t *bytes, size_t n, uint32_t file, struct error *err)
{
	size_t characters = 0, i;

	*s = (struct yaml_source){.bytes = bytes, .size = n, .file = file};
	if (n >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3))
		s->mark = 3;
	for (i = s->mark; i < n && bytes[i] < 0x80; i++)
		;
	if (i == n)
		return 0;
	s->steps = calloc(n / STEP + 2, sizeof *s->steps);
	if (!s->steps)
		return error_no_memory(err, "read YAML");
	for (i = s->mark; i < n; i++)
		if (begins_character(bytes[i]) && characters++ % STEP == 0)
			s->steps[s->step_count++] = (uint32_t)i;
	return 0;
}

void yaml_source_close(struct yaml_source *s)
{
	free(s->steps);
	s->steps = NULL;
}

size_t yaml_source_offset(const struct yaml_source *s, size_t character)
{
	size_t at, left;

	if (!s->steps)
		return character > s->size - s->mark ? s->size : s->mark + character;
	if (character / STEP >= s->step_count)
		return s->size;
	at = s->steps[character / STEP];
	for (left = character % STEP; left && at < s->size; left--)
		do
			at++;
		while (at < s->size && !begins_character(s->bytes[at]));
	return at;
}

size_t yaml_source_trim(const struct yaml_source *s, size_t start, size_t end)
{
	while (end > start && memchr(" \t\r\n", s->bytes[end - 1], 4))
		end--;
	return end;
}

/* What libyaml says, where it says it, and what is more helpful. */
static const struct {
	const char *problem, *context, *words;
	bool at_context; /* the place is where the thing began */
} complaints[] = {
	{"found a tab character that violates indentation", NULL, "a tab cannot indent a line; write spaces"},
	{"found a tab character where an indentation space is expected", NULL,
		"a tab cannot indent a line; write spaces"},
	{"mapping values are not allowed in this context", NULL,
		"a key and its value cannot begin here; is the line indented as those beside it, or does a "
		"text with ': ' lack its quotes?"},
	{"block sequence entries are not allowed in this context", NULL,
		"a list cannot begin here; its '-' stands in a line of its own"},
	{"did not find expected ',' or ']'", NULL, "this '[' is not closed, or a ',' is missing in it", true},
	{"did not find expected ',' or '}'", NULL, "this '{' is not closed, or a ',' is missing in it", true},
	{"found unexpected end of stream", "while scanning a quoted scalar", "this quote is not closed",
		true},
	{"found unexpected document indicator", "while scanning a quoted scalar", "this quote is not closed",
		true},
	{"found unknown escape character", NULL,
		"there is no such escape in double quotes; write '\\\\' for a backslash"},
	{"did not find expected key", "while parsing a block mapping",
		"expected a key that is indented as those before it"},
	{"did not find expected '-' indicator", NULL, "expected a '-' that is indented as those before it"},
	{"could not find expected ':'", NULL, "this line is a key without its ':', or not indented enough",
		true},
	{"did not find expected node content", NULL, "expected a value here"},
	{"did not find expected <document start>", NULL, "nothing can stand behind the end of the document"},
	{"found incompatible YAML document", NULL, "this is another version of YAML than 1.1 or 1.2"},
};

/* A character that nothing begins with. */
static bool complain_of_character(
	const struct yaml_source *s, const yaml_parser_t *parser, struct mistakes *m, struct project_place at)
{
	size_t offset = yaml_source_offset(s, parser->problem_mark.index);
	char c = offset < s->size ? (char)s->bytes[offset] : ' ';

	if (strcmp(parser->problem, "found character that cannot start any token") != 0)
		return false;
	if (c == '\t')
		mistake_add(m, at, 1, "a tab cannot indent a line; write spaces");
	else
		mistake_add(m, at, 1, "a text that begins with '%c' needs quotes", c);
	return true;
}

/* The reader's errors tell a byte. */
static void complain_of_byte(const struct yaml_source *s, const yaml_parser_t *parser, struct mistakes *m)
{
	size_t at = s->mark + parser->problem_offset, line = 1, column = 1;

	for (size_t i = s->mark; i < at && i < s->size; i++)
		if (s->bytes[i] == '\n') {
			line++;
			column = 1;
		} else if (begins_character(s->bytes[i]))
			column++;
	mistake_add(m, (struct project_place){s->file, (uint32_t)line, (uint32_t)column}, 1,
		strstr(parser->problem, "control") ? "a control character (0x%02x) cannot stand in YAML"
						   : "this is no UTF-8 (0x%02x)",
		(unsigned)parser->problem_value);
}

void yaml_complain(const struct yaml_source *s, const yaml_parser_t *parser, struct mistakes *m)
{
	struct project_place at = {
		s->file, (uint32_t)parser->problem_mark.line + 1, (uint32_t)parser->problem_mark.column + 1};
	const char *problem = parser->problem ? parser->problem : "this is no YAML";

	if (parser->error == YAML_READER_ERROR) {
		complain_of_byte(s, parser, m);
		return;
	}
	if (complain_of_character(s, parser, m, at))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(complaints); i++) {
		if (strcmp(problem, complaints[i].problem) != 0)
			continue;
		if (complaints[i].context &&
			(!parser->context || strcmp(parser->context, complaints[i].context)))
			continue;
		if (complaints[i].at_context && parser->context)
			at = (struct project_place){s->file, (uint32_t)parser->context_mark.line + 1,
				(uint32_t)parser->context_mark.column + 1};
		mistake_add(m, at, 1, "%s", complaints[i].words);
		return;
	}
	mistake_add(m, at, 1, "no YAML: %s%s%s", parser->context ? parser->context : "",
		parser->context ? ": " : "", problem);
}
