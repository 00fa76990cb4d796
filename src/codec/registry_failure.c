/* SPDX-License-Identifier: Apache-2.0 */
/* What the body of a refusal says, in one line. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "codec/json.h"
#include "codec/printable.h"
#include "codec/registry_json.h"

#define ERRORS_MAX 3u     /* that are shown */
#define LOOK_MAX   65536u /* bytes of a body that is no JSON */
#define WORDS_MAX  2048u  /* bytes of it that go into the line, at most */

static bool is_code(const char *text)
{
	return *text && strlen(text) < sizeof((struct registry_failure *)0)->code &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(text);
}

/* "manifest unknown" says no less than MANIFEST_UNKNOWN. */
static bool same_words(const char *message, const char *code)
{
	for (; *message && *code; message++, code++)
		if (strncasecmp(message, code, 1) != 0 && !(*message == ' ' && *code == '_'))
			return false;
	return !*message && !*code;
}

/* Words that may be of any length. */
static void add_words(struct buffer *line, const char *text)
{
	buffer_append(line, text, strnlen(text, WORDS_MAX));
}

static void add_error(const json_t *entry, struct buffer *line, struct registry_failure *f)
{
	const char *code = json_string_value(json_object_get(entry, "code"));
	const char *message = json_string_value(json_object_get(entry, "message"));
	const char *detail = json_string_value(json_object_get(entry, "detail"));

	if (code && !is_code(code))
		code = NULL;
	if (code && !*f->code)
		memcpy(f->code, code, strlen(code) + 1);
	message = message && *message ? message : NULL;
	if (!message && !code)
		return;
	if (line->size > 0)
		buffer_append_text(line, "; ");
	add_words(line, message ? message : code);
	if (message && code && !same_words(message, code))
		buffer_format(line, " (%s)", code);
	if (detail && *detail && (!message || strcmp(detail, message) != 0)) {
		buffer_append_text(line, ": ");
		add_words(line, detail);
	}
}

static void read_object(const json_t *root, struct buffer *line, struct registry_failure *f)
{
	static const char *const members[] = {"error_description", "message", "error_message", "details",
		"detail", "error", "reason", "title"};
	const json_t *errors = json_object_get(root, "errors");
	const json_t *one = json_object_get(root, "error");

	for (size_t i = 0; i < json_array_size(errors) && i < ERRORS_MAX; i++)
		add_error(json_array_get(errors, i), line, f);
	if (line->size == 0 && json_is_object(one))
		add_error(one, line, f);
	for (size_t i = 0; line->size == 0 && i < ARRAY_SIZE(members); i++) {
		const char *text = json_string_value(json_object_get(root, members[i]));

		if (text)
			add_words(line, text);
	}
}

/* ---- HTML ------------------------------------------------------------------------------------------- */

/* The end of the first `mark` in [p, end), or NULL. */
static const char *behind(const char *p, const char *end, const char *mark)
{
	size_t n = strlen(mark);

	for (; (size_t)(end - p) >= n; p++)
		if (strncasecmp(p, mark, n) == 0)
			return p + n;
	return NULL;
}

/* Appends text, its commonest character references resolved. */
static void add_html(const char *p, const char *end, struct buffer *line)
{
	static const char *const references[][2] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"},
		{"&quot;", "\""}, {"&#39;", "'"}, {"&apos;", "'"}, {"&nbsp;", " "}};

	while (p < end && line->size < WORDS_MAX) {
		size_t taken = 1;
		const char *text = p;

		for (size_t i = 0; *p == '&' && i < ARRAY_SIZE(references); i++) {
			size_t n = strlen(references[i][0]);

			if ((size_t)(end - p) >= n && strncmp(p, references[i][0], n) == 0) {
				text = references[i][1];
				taken = n;
			}
		}
		buffer_append(line, text, 1);
		p += taken;
	}
}

/* The text between the tags; scripts and styles are none. */
static void add_text(const char *p, const char *end, struct buffer *line)
{
	static const char *const hidden[][2] = {
		{"<script", "</script"}, {"<style", "</style"}, {"<!--", "--"}};

	while (p && p < end && line->size < WORDS_MAX) {
		const char *tag = memchr(p, '<', (size_t)(end - p));

		add_html(p, tag ? tag : end, line);
		buffer_append_text(line, " ");
		for (size_t i = 0; tag && i < ARRAY_SIZE(hidden); i++)
			if ((size_t)(end - tag) >= strlen(hidden[i][0]) &&
				strncasecmp(tag, hidden[i][0], strlen(hidden[i][0])) == 0)
				tag = behind(tag + strlen(hidden[i][0]), end, hidden[i][1]);
		p = tag ? memchr(tag, '>', (size_t)(end - tag)) : NULL;
		p = p ? p + 1 : NULL;
	}
}

static bool is_blank(const struct buffer *line)
{
	char text[8];

	return line->size == 0 || (printable_line(line->data, line->size, text, sizeof text) == 0 && !*text);
}

static void read_html(const char *body, const char *end, struct buffer *line)
{
	const char *title = behind(body, end, "<title");

	title = title ? memchr(title, '>', (size_t)(end - title)) : NULL;
	if (title) {
		const char *close = behind(title, end, "</title");

		add_html(title + 1, close ? close - strlen("</title") : end, line);
	}
	if (is_blank(line)) {
		buffer_clear(line);
		add_text(body, end, line);
	}
}

void registry_failure_parse(const void *body, size_t n, struct registry_failure *f)
{
	_cleanup_buffer_ struct buffer line = {.limit = LOOK_MAX};
	_cleanup_json_ json_t *root = NULL;
	const char *start = n ? body : "", *end = start + (n < LOOK_MAX ? n : LOOK_MAX);

	*f = (struct registry_failure){0};
	while (start < end && strchr(" \t\r\n\xef\xbb\xbf", *start) && *start)
		start++;
	if (start == end)
		return;
	if (json_parse(body, n, REGISTRY_JSON_MAX, false, "body", &root, NULL) == 0)
		read_object(root, &line, f);
	else if (*start == '<')
		read_html(start, end, &line);
	else
		buffer_append(
			&line, start, (size_t)(end - start) < WORDS_MAX ? (size_t)(end - start) : WORDS_MAX);
	/* Bytes that are no text, such as compressed ones, say nothing. */
	if (printable_line(line.data, line.size, f->text, sizeof f->text) > strlen(f->text) / 8)
		*f->text = 0;
}
