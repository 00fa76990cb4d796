/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a Dockerfile, a NUL, and a .dockerignore. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "project/dockerfile.h"
#include "project/dockerfile_words.h"
#include "project/dockerignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *find(void *context, const char *name, size_t n)
{
	(void)context;
	assert(n && n <= DOCKERFILE_MAX);
	return *name == 'a' ? "value of a" : *name == 'b' ? "" : NULL;
}

static void expand(const struct dockerfile *d, const char *text)
{
	const struct dockerfile_variables v = {d->escape, find, NULL};
	struct error err;
	char **list = NULL, *word = NULL;

	if (dockerfile_words(text, &v, &list, &err) == 0)
		assert(list);
	text_list_free(list);
	list = NULL;
	if (dockerfile_pairs(text, &v, &list, &err) == 0)
		for (char **p = list; *p; p++)
			assert(strchr(*p, '='));
	text_list_free(list);
	if (dockerfile_expand(text, &v, &word, &err) == 0)
		assert(word);
	free(word);
	word = NULL;
	if (dockerfile_expand_body(text, &v, &word, &err) == 0)
		assert(word);
	free(word);
}

static void parse(const char *text, size_t n)
{
	struct dockerfile d;
	struct error err;

	if (dockerfile_parse(text, n, &d, &err) < 0)
		return;
	assert(d.count && (d.escape == '\\' || d.escape == '`'));
	for (size_t i = 0; i < d.count; i++) {
		const struct dockerfile_instruction *x = &d.instructions[i];

		assert(*x->text && x->line);
		expand(&d, x->text);
		for (size_t h = 0; h < x->heredoc_count; h++)
			expand(&d, x->heredocs[h].text);
	}
	dockerfile_free(&d);
}

/* A copy that ends where its bytes do, so that reading past them shows. */
static char *copy_of(const uint8_t *data, size_t n)
{
	char *copy = malloc(n ? n : 1);

	if (n)
		memcpy(copy, data, n);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t n = end ? (size_t)(end - data) : size;
	char *text = copy_of(data, n), *ignore = end ? copy_of(end + 1, size - n - 1) : NULL;
	struct dockerignore d;
	struct error err;

	parse(text, n);
	if (ignore && dockerignore_parse(ignore, size - n - 1, &d, &err) == 0) {
		for (size_t i = 0; i < d.count; i++)
			dockerignore_match(&d, d.rules[i].pattern);
		dockerignore_match(&d, "a/b.c/d");
		dockerignore_free(&d);
	}
	free(ignore);
	free(text);
	return 0;
}
