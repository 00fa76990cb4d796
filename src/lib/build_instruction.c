/* SPDX-License-Identifier: Apache-2.0 */
/* An instruction of a Dockerfile → a step on the image at hand. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/build_dockerfile.h"
#include "oci/image.h"
#include "project/dockerfile_words.h"

/* What the image has hides what the build was given. */
static const char *find_variable(void *context, const char *name, size_t n)
{
	const struct build_at *at = context;
	const char *value = build_find_in(at->base.parsed.env, name, n);

	return value ? value : build_find_in(at->arguments, name, n);
}

/* ---- parts of them ------------------------------------------------------------------------------------ */

/* `word` so that it is read as one, and nothing in it stands for something else. */
static void put_quoted(struct buffer *out, const char *word)
{
	buffer_u8(out, '"');
	for (; *word; word++) {
		if (strchr("\"\\$", *word))
			buffer_u8(out, '\\');
		buffer_u8(out, (uint8_t)*word);
	}
	buffer_u8(out, '"');
}

static int add_change(struct build_step *s, struct buffer *change, struct error *err)
{
	if (!buffer_u8(change, 0))
		return error_no_memory(err, "read a Dockerfile");
	s->kind = BUILD_CONFIG;
	return text_list_add(&s->changes, (const char *)change->data, err);
}

/* "KIND word word" with words as they are after variables. */
static int change_words(struct build_step *s, const char *kind, char *const *words, struct error *err)
{
	_cleanup_buffer_ struct buffer change = {0};

	buffer_append_text(&change, kind);
	for (; *words; words++) {
		buffer_u8(&change, ' ');
		put_quoted(&change, *words);
	}
	return add_change(s, &change, err);
}

/* "KIND KEY=value", one of each. */
static int change_pairs(struct build_step *s, const char *kind, char *const *pairs, struct error *err)
{
	int r = 0;

	for (; r == 0 && *pairs; pairs++) {
		_cleanup_buffer_ struct buffer change = {0};
		size_t key = strcspn(*pairs, "=");

		if (strcspn(*pairs, " \t\"'\\$") < key)
			return error_set(err, ERROR_UNAVAILABLE, "'%.*s': a name with blanks or quotes",
				(int)key, *pairs);
		buffer_format(&change, "%s %.*s=", kind, (int)key, *pairs);
		put_quoted(&change, *pairs + key + 1);
		r = add_change(s, &change, err);
	}
	return r;
}

static int lower_pairs(const struct dockerfile_instruction *i, const struct dockerfile_variables *v,
	struct build_step *s, struct error *err)
{
	_cleanup_text_list_ char **pairs = NULL;
	int r = dockerfile_pairs(i->text, v, &pairs, err);

	return r < 0 ? r : change_pairs(s, dockerfile_kind_name(i->kind), pairs, err);
}

static int lower_words(const struct dockerfile_instruction *i, const struct dockerfile_variables *v,
	struct build_step *s, struct error *err)
{
	_cleanup_text_list_ char **words = NULL;
	int r = dockerfile_words(i->text, v, &words, err);

	return r < 0 ? r : change_words(s, dockerfile_kind_name(i->kind), words, err);
}

/* One value: all of the text. */
static int lower_text(const struct dockerfile_instruction *i, const struct dockerfile_variables *v,
	struct build_step *s, struct error *err)
{
	char *words[] = {NULL, NULL};
	int r = dockerfile_expand(i->text, v, &words[0], err);

	if (r == 0)
		r = change_words(s, dockerfile_kind_name(i->kind), words, err);
	free(words[0]);
	return r;
}

/* As it stands. */
static int lower_raw(const struct dockerfile_instruction *i, struct build_step *s, struct error *err)
{
	_cleanup_buffer_ struct buffer change = {0};

	buffer_append_text(&change, dockerfile_kind_name(i->kind));
	for (size_t n = 0; n < i->flag_count; n++)
		buffer_format(&change, " --%s%s%s", i->flags[n].name, i->flags[n].value ? "=" : "",
			i->flags[n].value ? i->flags[n].value : "");
	buffer_format(&change, " %s", i->text);
	return add_change(s, &change, err);
}

static int lower_maintainer(const struct dockerfile_instruction *i, struct build_step *s, struct error *err)
{
	_cleanup_free_ char *label = text_format(err, "maintainer=%s", i->text);
	char *pairs[] = {label, NULL};

	return label ? change_pairs(s, "LABEL", pairs, err) : -ERROR_NO_MEMORY;
}

static int lower_argument(struct build_at *at, const struct dockerfile_instruction *i,
	const struct dockerfile_variables *v, struct error *err)
{
	_cleanup_text_list_ char **words = NULL;
	int r = dockerfile_words(i->text, v, &words, err);

	for (char **w = words; r == 0 && *w; w++)
		r = build_set_argument(at->build, *w, at->build->globals, &at->arguments, err);
	return r;
}

/* What the shell gets of a RUN: its line, with the heredocs as they stand; or the only heredoc alone. */
static int run_line(const struct dockerfile_instruction *i, char **line, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};

	if (i->heredoc_count == 1 && !strncmp(i->text, "<<", 2) && !strpbrk(i->text, " \t")) {
		if (text_starts(i->heredocs[0].text, "#!"))
			return error_set(
				err, ERROR_UNAVAILABLE, "a heredoc with an interpreter (#!) of its own");
		*line = text_copy(i->heredocs[0].text, err);
		return *line ? 0 : -ERROR_NO_MEMORY;
	}
	buffer_append_text(&text, i->text);
	for (size_t n = 0; n < i->heredoc_count; n++)
		buffer_format(&text, "\n%s%s", i->heredocs[n].text, i->heredocs[n].name);
	*line = text.failed ? NULL : text_copy_bytes(text.data, text.size, err);
	return *line ? 0 : error_no_memory(err, "read a Dockerfile");
}

static int lower_run(
	struct build_at *at, const struct dockerfile_instruction *i, struct build_step *s, struct error *err)
{
	static const char *const known[] = {"network", NULL};
	const char *network = build_flag(i, "network");
	_cleanup_free_ char *line = NULL;
	int r = build_check_flags(i, known, err);

	s->kind = BUILD_RUN;
	if (r == 0 && network && strcmp(network, "default") && strcmp(network, "none"))
		return error_set(err, ERROR_UNAVAILABLE, "--network=%s: there is default and none", network);
	if (r == 0 && network && !strcmp(network, "none") && !(s->reach = text_copy("none", err)))
		return -ERROR_NO_MEMORY;
	if (r == 0 && i->json) {
		s->argv = text_list_copy(i->json, err);
		r = s->argv ? 0 : -ERROR_NO_MEMORY;
	} else if (r == 0) {
		s->argv = text_list_copy(at->shell, err);
		r = s->argv ? run_line(i, &line, err) : -ERROR_NO_MEMORY;
		if (r == 0)
			r = text_list_add(&s->argv, line, err);
	}
	if (r == 0 && !*s->argv)
		return error_set(err, ERROR_INVALID, "an empty command");
	for (char **a = at->arguments; r == 0 && a && *a; a++)
		if (!build_find_in(at->base.parsed.env, *a, strcspn(*a, "=")))
			r = text_list_add(&s->env, *a, err);
	return r;
}

/* ---- COPY and ADD ------------------------------------------------------------------------------------ */

static int copy_flags(struct build_at *at, const struct dockerfile_instruction *i,
	const struct dockerfile_variables *v, struct build_step *s, struct error *err)
{
	static const char *const known[] = {"from", "chown", "chmod", "link", NULL};
	const char *owner = build_flag(i, "chown"), *mode = build_flag(i, "chmod"),
		   *from = build_flag(i, "from");
	size_t stage;
	int r = build_check_flags(i, known, err);

	if (r == 0 && owner)
		r = dockerfile_expand(owner, v, &s->owner, err);
	if (r == 0 && mode) {
		_cleanup_free_ char *text = NULL;
		char *end;

		r = dockerfile_expand(mode, v, &text, err);
		if (r < 0)
			return r;
		s->mode = (uint32_t)strtoul(text, &end, 8);
		s->has_mode = true;
		if (!*text || *end || !isdigit((unsigned char)*text) || s->mode > 07777)
			return error_set(err, ERROR_INVALID, "--chmod=%s: expected an octal number", text);
	}
	if (r < 0 || !from)
		return r;
	if (i->kind == DOCKERFILE_ADD)
		return error_set(err, ERROR_INVALID, "--from goes with COPY");
	if (build_find_stage(at->build, from, (size_t)(at->stage - at->build->stages), &stage))
		s->stage = stage + 1;
	else
		r = (s->from = text_copy(from, err)) ? 0 : -ERROR_NO_MEMORY;
	return r;
}

static int add_inlines(const struct dockerfile_instruction *i, const struct dockerfile_variables *v,
	struct build_step *s, struct error *err)
{
	int r = 0;

	s->inlines = i->heredoc_count ? calloc(i->heredoc_count, sizeof *s->inlines) : NULL;
	if (i->heredoc_count && !s->inlines)
		return error_no_memory(err, "read a Dockerfile");
	for (size_t n = 0; r == 0 && n < i->heredoc_count; n++) {
		struct build_inline *in = &s->inlines[s->inline_count++];

		in->name = text_copy(i->heredocs[n].name, err);
		if (!in->name)
			r = -ERROR_NO_MEMORY;
		else if (i->heredocs[n].expand)
			r = dockerfile_expand_body(i->heredocs[n].text, v, &in->text, err);
		else
			r = (in->text = text_copy(i->heredocs[n].text, err)) ? 0 : -ERROR_NO_MEMORY;
	}
	return r;
}

static bool opens_heredoc(const char *word)
{
	return text_starts(word + strspn(word, "0123456789"), "<<");
}

static int copy_words(const struct dockerfile_instruction *i, const struct dockerfile_variables *v,
	char ***words, struct error *err)
{
	int r = 0;

	if (!i->json)
		return dockerfile_words(i->text, v, words, err);
	for (char **j = i->json; r == 0 && *j; j++) {
		_cleanup_free_ char *word = NULL;

		r = dockerfile_expand(*j, v, &word, err);
		if (r == 0)
			r = text_list_add(words, word, err);
	}
	return r;
}

static int check_source(const struct dockerfile_instruction *i, const char *source, struct error *err)
{
	if (i->kind != DOCKERFILE_ADD)
		return 0;
	if (text_starts(source, "http://") || text_starts(source, "https://") ||
		text_starts(source, "git@") || text_starts(source, "git://"))
		return error_set(err, ERROR_UNAVAILABLE,
			"'%.200s': remote files are not added; fetch it by a RUN", source);
	return 0;
}

static int lower_copy(struct build_at *at, const struct dockerfile_instruction *i,
	const struct dockerfile_variables *v, struct build_step *s, struct error *err)
{
	_cleanup_text_list_ char **words = NULL;
	size_t n;
	int r = copy_flags(at, i, v, s, err);

	s->kind = BUILD_COPY;
	s->unpack = i->kind == DOCKERFILE_ADD;
	if (r == 0)
		r = add_inlines(i, v, s, err);
	if (r == 0)
		r = copy_words(i, v, &words, err);
	n = r < 0 ? 0 : text_list_size(words);
	if (r == 0 && n < 2)
		return error_set(err, ERROR_INVALID, "expected SOURCE... TARGET");
	for (size_t w = 0; r == 0 && w + 1 < n; w++) {
		r = check_source(i, words[w], err);
		if (r == 0 && !(i->heredoc_count && opens_heredoc(words[w])))
			r = text_list_add(&s->sources, words[w], err);
	}
	if (r == 0)
		s->target = TAKE_PTR(words[n - 1]);
	if (r == 0 && !*s->target)
		return error_set(err, ERROR_INVALID, "the target is empty");
	if (r == 0 && n > 2 && !text_ends(s->target, "/") && strcmp(s->target, ".") &&
		strcmp(s->target, "./"))
		return error_set(err, ERROR_INVALID,
			"with several sources the target '%s' must end with a slash", s->target);
	return r;
}

static int lower(
	struct build_at *at, const struct dockerfile_instruction *i, struct build_step *s, struct error *err)
{
	const struct dockerfile_variables v = {at->build->dockerfile.escape, find_variable, at};

	switch (i->kind) {
	case DOCKERFILE_ARG:
		return lower_argument(at, i, &v, err);
	case DOCKERFILE_RUN:
		return lower_run(at, i, s, err);
	case DOCKERFILE_COPY:
	case DOCKERFILE_ADD:
		return lower_copy(at, i, &v, s, err);
	case DOCKERFILE_ENV:
	case DOCKERFILE_LABEL:
		return lower_pairs(i, &v, s, err);
	case DOCKERFILE_EXPOSE:
		return lower_words(i, &v, s, err);
	case DOCKERFILE_VOLUME:
		return i->json ? lower_raw(i, s, err) : lower_words(i, &v, s, err);
	case DOCKERFILE_WORKDIR:
	case DOCKERFILE_USER:
	case DOCKERFILE_STOPSIGNAL:
		return lower_text(i, &v, s, err);
	case DOCKERFILE_CMD:
	case DOCKERFILE_ENTRYPOINT:
	case DOCKERFILE_HEALTHCHECK:
		return lower_raw(i, s, err);
	case DOCKERFILE_SHELL:
		return i->json ? lower_raw(i, s, err)
			       : error_set(err, ERROR_INVALID,
					 "expected a JSON array: [\"/bin/bash\", \"-c\"]");
	case DOCKERFILE_MAINTAINER:
		return lower_maintainer(i, s, err);
	default:
		return error_set(err, ERROR_UNAVAILABLE, "this instruction is not done here");
	}
}

int build_lower(
	struct build_at *at, const struct dockerfile_instruction *i, struct build_step *s, struct error *err)
{
	int r = lower(at, i, s, err);

	if (r == 0) {
		_cleanup_buffer_ struct buffer text = {0};

		buffer_append_text(&text, dockerfile_kind_name(i->kind));
		for (size_t n = 0; n < i->flag_count; n++)
			buffer_format(&text, " --%s%s%s", i->flags[n].name, i->flags[n].value ? "=" : "",
				i->flags[n].value ? i->flags[n].value : "");
		buffer_format(&text, " %s", i->text);
		s->text = text.failed ? NULL : text_copy_bytes(text.data, text.size, err);
		r = s->text ? 0 : error_no_memory(err, "read a Dockerfile");
	}
	return r < 0 ? build_at_line(i, err) : 0;
}
