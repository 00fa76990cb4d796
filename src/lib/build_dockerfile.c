/* SPDX-License-Identifier: Apache-2.0 */
/* A Dockerfile → stages; and each of its instructions → a step on the image at hand, once that is known. */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/build.h"
#include "oci/image.h"
#include "os/fs.h"
#include "project/dockerfile_words.h"

#define STAGES_MAX 1000u

/* ---- variables --------------------------------------------------------------------------------------- */

static const char *find_in(char *const *list, const char *name, size_t n)
{
	for (; list && *list; list++)
		if (!strncmp(*list, name, n) && (*list)[n] == '=')
			return *list + n + 1;
	return NULL;
}

static int set_in(char ***list, const char *name, size_t n, const char *value, struct error *err)
{
	_cleanup_free_ char *pair = text_format(err, "%.*s=%s", (int)n, name, value);

	if (!pair)
		return -ERROR_NO_MEMORY;
	for (char **l = *list; l && *l; l++)
		if (!strncmp(*l, pair, n + 1)) {
			free(*l);
			*l = TAKE_PTR(pair);
			return 0;
		}
	return text_list_add(list, pair, err);
}

static const char *find_global(void *context, const char *name, size_t n)
{
	const struct build *b = context;

	return find_in(b->globals, name, n);
}

/* What the image has hides what the build was given. */
static const char *find_variable(void *context, const char *name, size_t n)
{
	const struct build_at *at = context;
	const char *value = find_in(at->base.parsed.env, name, n);

	return value ? value : find_in(at->arguments, name, n);
}

static const char *find_given(const struct build *b, const char *name, size_t n)
{
	return find_in((char *const *)b->options->arguments, name, n);
}

/* One of an ARG: "NAME" or "NAME=default", whose value is what was given, else the default, else `otherwise`.
 */
static int set_argument(
	struct build *b, const char *word, char *const *otherwise, char ***list, struct error *err)
{
	size_t n = strcspn(word, "=");
	const char *value = find_given(b, word, n);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)word[i]) && word[i] != '_')
			return error_set(err, ERROR_INVALID, "'%.100s': expected NAME or NAME=default", word);
	if (!n)
		return error_set(err, ERROR_INVALID, "'%.100s': expected NAME or NAME=default", word);
	if (!value && word[n])
		value = word + n + 1;
	if (!value)
		value = find_in(otherwise, word, n);
	return value ? set_in(list, word, n, value, err) : 0;
}

/* Names that each Dockerfile may ask for: what is built for, and what builds. */
static int set_platforms(struct build *b, struct error *err)
{
	_cleanup_free_ char *host = text_format(err, "linux/%s", image_host_architecture());
	const char *names[] = {"TARGET", "BUILD"};
	int r = host ? 0 : -ERROR_NO_MEMORY;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		const char *whole = i == 0 && b->options->platform ? b->options->platform : host;
		_cleanup_free_ char *os = text_copy_bytes(whole, strcspn(whole, "/"), err);
		const char *architecture = strchr(whole, '/'), *variant;
		char name[32];

		architecture = architecture ? architecture + 1 : "";
		variant = strchr(architecture, '/');
		snprintf(name, sizeof name, "%sPLATFORM", names[i]);
		r = os ? set_in(&b->globals, name, strlen(name), whole, err) : -ERROR_NO_MEMORY;
		snprintf(name, sizeof name, "%sOS", names[i]);
		r = r < 0 ? r : set_in(&b->globals, name, strlen(name), os, err);
		snprintf(name, sizeof name, "%sVARIANT", names[i]);
		r = r < 0 ? r : set_in(&b->globals, name, strlen(name), variant ? variant + 1 : "", err);
		snprintf(name, sizeof name, "%sARCH", names[i]);
		if (r == 0) {
			_cleanup_free_ char *arch =
				text_copy_bytes(architecture, strcspn(architecture, "/"), err);

			r = arch ? set_in(&b->globals, name, strlen(name), arch, err) : -ERROR_NO_MEMORY;
		}
	}
	return r;
}

/* ---- stages ------------------------------------------------------------------------------------------ */

static int at_line(const struct dockerfile_instruction *i, struct error *err)
{
	return error_prefix(err, "line %u: %s", i->line, dockerfile_kind_name(i->kind));
}

/* By its name or number, among the first `count`. */
static bool find_stage(const struct build *b, const char *name, size_t count, size_t *stage)
{
	uint64_t number;

	for (size_t i = count; i-- > 0;)
		if (!strcasecmp(b->stages[i].name, name)) {
			*stage = i;
			return true;
		}
	if (text_parse_u64(name, count ? count - 1 : 0, "stage", &number, NULL) < 0 || number >= count)
		return false;
	*stage = (size_t)number;
	return true;
}

static const char *flag(const struct dockerfile_instruction *i, const char *name)
{
	for (size_t n = 0; n < i->flag_count; n++)
		if (!strcmp(i->flags[n].name, name))
			return i->flags[n].value ? i->flags[n].value : "";
	return NULL;
}

static int check_flags(const struct dockerfile_instruction *i, const char *const *known, struct error *err)
{
	for (size_t n = 0; n < i->flag_count; n++) {
		const char *const *k = known;

		while (*k && strcmp(*k, i->flags[n].name))
			k++;
		if (!*k)
			return error_set(
				err, ERROR_UNAVAILABLE, "the flag --%s is not known here", i->flags[n].name);
	}
	return 0;
}

static int read_from(
	struct build *b, struct build_stage *s, const struct dockerfile_instruction *i, struct error *err)
{
	static const char *const known[] = {"platform", NULL};
	const struct dockerfile_variables v = {b->dockerfile.escape, find_global, b};
	const char *platform = flag(i, "platform");
	_cleanup_text_list_ char **words = NULL;
	size_t n, number = (size_t)(s - b->stages);
	int r = check_flags(i, known, err);

	if (r == 0)
		r = dockerfile_words(i->text, &v, &words, err);
	n = r < 0 ? 0 : text_list_size(words);
	if (r == 0 && n != 1 && (n != 3 || strcasecmp(words[1], "as")))
		return error_set(err, ERROR_INVALID, "expected IMAGE or IMAGE AS NAME");
	if (r == 0 && platform)
		r = dockerfile_expand(platform, &v, &s->platform, err);
	if (r < 0)
		return r;
	s->name = n == 3 ? text_copy(words[2], err) : text_format(err, "stage-%zu", number);
	if (!s->name)
		return -ERROR_NO_MEMORY;
	if (!*words[0])
		return error_set(err, ERROR_INVALID, "'%s' stands for no image", i->text);
	if (find_stage(b, words[0], number, &s->base_stage) &&
		strspn(words[0], "0123456789") != strlen(words[0]))
		return build_add_need(s, s->base_stage, err);
	s->base = TAKE_PTR(words[0]);
	return 0;
}

/* Images and stages that files are copied from. */
static int read_copies(struct build *b, struct build_stage *s, struct error *err)
{
	for (size_t n = 0; n < s->count; n++) {
		const struct dockerfile_instruction *i = &s->instructions[n];
		const char *from = i->kind == DOCKERFILE_COPY ? flag(i, "from") : NULL;
		size_t stage;
		int r;

		if (from && find_stage(b, from, (size_t)(s - b->stages), &stage)) {
			r = build_add_need(s, stage, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int read_globals(struct build *b, size_t *at, struct error *err)
{
	const struct dockerfile_variables v = {b->dockerfile.escape, find_global, b};
	int r = set_platforms(b, err);

	for (; r == 0 && b->dockerfile.instructions[*at].kind == DOCKERFILE_ARG; ++*at) {
		_cleanup_text_list_ char **words = NULL;
		const struct dockerfile_instruction *i = &b->dockerfile.instructions[*at];

		r = dockerfile_words(i->text, &v, &words, err);
		for (char **w = words; r == 0 && w && *w; w++)
			r = set_argument(b, *w, NULL, &b->globals, err);
		if (r < 0)
			return at_line(i, err);
	}
	return r;
}

static int read_stages(struct build *b, size_t at, struct error *err)
{
	const struct dockerfile *d = &b->dockerfile;
	size_t count = 0;

	for (size_t i = at; i < d->count; i++)
		count += d->instructions[i].kind == DOCKERFILE_FROM;
	if (count > STAGES_MAX)
		return error_set(err, ERROR_LIMIT, "over %u stages", STAGES_MAX);
	b->stages = calloc(count, sizeof *b->stages);
	if (!b->stages)
		return error_no_memory(err, "read a Dockerfile");
	while (at < d->count) {
		struct build_stage *s = &b->stages[b->count++];
		const struct dockerfile_instruction *from = &d->instructions[at++];
		int r = read_from(b, s, from, err);

		if (r < 0)
			return at_line(from, err);
		s->instructions = &d->instructions[at];
		while (at < d->count && d->instructions[at].kind != DOCKERFILE_FROM) {
			s->count++;
			at++;
		}
		r = read_copies(b, s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_file(struct build *b, struct buffer *text, struct error *err)
{
	const char *path = b->options->dockerfile;
	int r = fs_read_file(
		path ? AT_FDCWD : b->context, path ? path : "Dockerfile", DOCKERFILE_MAX, text, err);

	if (r == 0)
		r = dockerfile_parse(text->data ? (char *)text->data : "", text->size, &b->dockerfile, err);
	return r < 0 ? error_prefix(err, "%s", path ? path : "Dockerfile") : 0;
}

/* Of the Dockerfile's own name, else of the context. */
static int read_ignore(struct build *b, struct error *err)
{
	_cleanup_free_ char *own = b->options->dockerfile
					   ? text_format(err, "%s.dockerignore", b->options->dockerfile)
					   : text_copy("Dockerfile.dockerignore", err);
	_cleanup_buffer_ struct buffer text = {0};
	int r = !own ? -ERROR_NO_MEMORY
		     : fs_read_file(b->options->dockerfile ? AT_FDCWD : b->context, own, DOCKERIGNORE_MAX,
			       &text, err);

	if (r == -ERROR_NOT_FOUND)
		r = fs_read_file(b->context, ".dockerignore", DOCKERIGNORE_MAX, &text, err);
	if (r == -ERROR_NOT_FOUND)
		return 0;
	if (r == 0)
		r = dockerignore_parse(text.data ? (char *)text.data : "", text.size, &b->ignore, err);
	return r < 0 ? error_prefix(err, ".dockerignore") : 0;
}

int build_read_dockerfile(struct build *b, size_t *target, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};
	size_t at = 0;
	int r = read_file(b, &text, err);

	if (r == 0)
		r = read_ignore(b, err);
	if (r == 0)
		r = read_globals(b, &at, err);
	if (r == 0)
		r = read_stages(b, at, err);
	if (r < 0)
		return r;
	*target = b->count - 1;
	if (b->options->target && !find_stage(b, b->options->target, b->count, target))
		return error_set(err, ERROR_NOT_FOUND, "there is no stage '%s'", b->options->target);
	return 0;
}

/* ---- instructions → steps ---------------------------------------------------------------------------- */

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
		r = set_argument(at->build, *w, at->build->globals, &at->arguments, err);
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
	const char *network = flag(i, "network");
	_cleanup_free_ char *line = NULL;
	int r = check_flags(i, known, err);

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
		if (!find_in(at->base.parsed.env, *a, strcspn(*a, "=")))
			r = text_list_add(&s->env, *a, err);
	return r;
}

/* ---- COPY and ADD ------------------------------------------------------------------------------------ */

static int copy_flags(struct build_at *at, const struct dockerfile_instruction *i,
	const struct dockerfile_variables *v, struct build_step *s, struct error *err)
{
	static const char *const known[] = {"from", "chown", "chmod", "link", NULL};
	const char *owner = flag(i, "chown"), *mode = flag(i, "chmod"), *from = flag(i, "from");
	size_t stage;
	int r = check_flags(i, known, err);

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
	if (find_stage(at->build, from, (size_t)(at->stage - at->build->stages), &stage))
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
	return r < 0 ? at_line(i, err) : 0;
}
