/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line of the input is a component's name, the second a value, the rest a project's text. The
 * component is added to each section, and removed again; and what there is is removed. An edit that comes out
 * means what went in but for the component, however the text is written; adding and removing leaves what
 * there was.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "project/edit.h"
#include "project/edit_check.h"
#include "project/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, as text of its own. */
static char *take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, '\n', *size);
	size_t n = end ? (size_t)(end - *data) : *size;
	char *line = text_copy_bytes(*data, n, NULL);

	*data += end ? n + 1 : n;
	*size -= end ? n + 1 : n;
	return line;
}

static struct yaml_document *parse(const struct buffer *b)
{
	struct mistakes m = {0};
	struct yaml_document *document = NULL;

	assert(yaml_parse(b->data, b->size, &m, 0, &document, NULL) == 0);
	assert(m.count == 0);
	mistakes_free(&m);
	return document;
}

static int change(const struct buffer *text, bool add, enum edit_section section, const char *name,
	const char *value, struct buffer *out)
{
	const struct edit_setting settings[] = {{.key = "image", .value = value},
		{.key = "envs", .value = value, .list = true},
		{.key = "scripts", .name = value, .value = value},
		{.key = "ram", .value = value, .number = true}, {.key = "groups", .name = "g"}};
	struct mistakes m = {0};
	int r = add ? edit_add(text->data, text->size, &m, 0, section, name, settings, 5, out, NULL)
		    : edit_remove(text->data, text->size, &m, 0, section, name, out, NULL);

	mistakes_free(&m);
	return r;
}

static void add_and_remove(
	const struct buffer *text, enum edit_section section, const char *name, const char *value)
{
	_cleanup_buffer_ struct buffer more = {0}, less = {0};
	struct yaml_document *a, *b, *c;

	if (change(text, true, section, name, value, &more) < 0)
		return;
	a = parse(text);
	b = parse(&more);
	assert(edit_check(yaml_root(a), yaml_root(b), section, name, NULL, 0));
	if (change(&more, false, section, name, value, &less) == 0) {
		c = parse(&less);
		assert(edit_check(yaml_root(c), yaml_root(b), section, name, NULL, 0));
		yaml_release(c);
	}
	yaml_release(a);
	yaml_release(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = take_line(&data, &size), *value = take_line(&data, &size);
	_cleanup_buffer_ struct buffer text = {0};

	buffer_reserve(&text, size + 1);
	buffer_append(&text, data, size);
	for (enum edit_section s = EDIT_SANDBOXES; size < 10000 && s <= EDIT_GROUPS; s++) {
		_cleanup_buffer_ struct buffer out = {0};

		add_and_remove(&text, s, name, value);
		change(&text, false, s, name, value, &out);
	}
	free(name);
	free(value);
	return 0;
}
