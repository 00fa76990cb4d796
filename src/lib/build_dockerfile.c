/* SPDX-License-Identifier: Apache-2.0 */
/* A Dockerfile → stages. Its instructions become steps once the image at hand is known: build_instruction.c.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/build_dockerfile.h"
#include "oci/image.h"
#include "os/fs.h"
#include "project/dockerfile_words.h"

#define STAGES_MAX 1000u

/* ---- variables --------------------------------------------------------------------------------------- */

const char *build_find_in(char *const *list, const char *name, size_t n)
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

	return build_find_in(b->globals, name, n);
}

static const char *find_given(const struct build *b, const char *name, size_t n)
{
	return build_find_in((char *const *)b->options->arguments, name, n);
}

/* One of an ARG: "NAME" or "NAME=default", whose value is what was given, else the default, else `otherwise`.
 */
int build_set_argument(
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
		value = build_find_in(otherwise, word, n);
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

int build_at_line(const struct dockerfile_instruction *i, struct error *err)
{
	return error_prefix(err, "line %u: %s", i->line, dockerfile_kind_name(i->kind));
}

/* By its name or number, among the first `count`. */
bool build_find_stage(const struct build *b, const char *name, size_t count, size_t *stage)
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

const char *build_flag(const struct dockerfile_instruction *i, const char *name)
{
	for (size_t n = 0; n < i->flag_count; n++)
		if (!strcmp(i->flags[n].name, name))
			return i->flags[n].value ? i->flags[n].value : "";
	return NULL;
}

int build_check_flags(const struct dockerfile_instruction *i, const char *const *known, struct error *err)
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
	const char *platform = build_flag(i, "platform");
	_cleanup_text_list_ char **words = NULL;
	size_t n, number = (size_t)(s - b->stages);
	int r = build_check_flags(i, known, err);

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
	if (build_find_stage(b, words[0], number, &s->base_stage) &&
		strspn(words[0], "0123456789") != strlen(words[0]))
		return build_add_need(s, s->base_stage, err);
	s->base = text_copy(words[0], err);
	return s->base ? 0 : -ERROR_NO_MEMORY;
}

/* Images and stages that files are copied from. */
static int read_copies(struct build *b, struct build_stage *s, struct error *err)
{
	for (size_t n = 0; n < s->count; n++) {
		const struct dockerfile_instruction *i = &s->instructions[n];
		const char *from = i->kind == DOCKERFILE_COPY ? build_flag(i, "from") : NULL;
		size_t stage;
		int r;

		if (from && build_find_stage(b, from, (size_t)(s - b->stages), &stage)) {
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
			r = build_set_argument(b, *w, NULL, &b->globals, err);
		if (r < 0)
			return build_at_line(i, err);
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
			return build_at_line(from, err);
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
	if (b->options->target && !build_find_stage(b, b->options->target, b->count, target))
		return error_set(err, ERROR_NOT_FOUND, "there is no stage '%s'", b->options->target);
	return 0;
}
