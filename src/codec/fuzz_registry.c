/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses what of a registry's answer the rest is: a header's value or a body. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/challenge.h"
#include "codec/date.h"
#include "codec/http_headers.h"
#include "codec/printable.h"
#include "codec/registry_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plain(const char *text)
{
	for (; *text; text++)
		assert(((unsigned char)*text >= ' ' || *text == '\t') && *text != 0x7f);
}

/* What was made printable is one line, and stays as it is when it is made so again. */
static void check_line(const char *text, size_t size)
{
	char again[2048];

	check_plain(text);
	assert(strlen(text) < size && size <= sizeof again && !strchr(text, '\t'));
	assert(printable_line(text, strlen(text), again, size) == 0 && strcmp(text, again) == 0);
}

static int check_challenges(const char *text, size_t n, struct error *err)
{
	_cleanup_challenges_ struct challenges c = {0};
	int r = challenges_add(&c, text, n, err);
	size_t count = c.count;

	assert(r == 0 || count == 0);
	for (size_t i = 0; i < count; i++) {
		check_plain(c.list[i].realm);
		check_plain(c.list[i].service);
		check_plain(c.list[i].scope);
		check_plain(c.list[i].error);
	}
	/* A second header adds to the first, or leaves it. */
	if (challenges_add(&c, text, n, NULL) == 0)
		assert(c.count == 2 * count);
	else
		assert(c.count == count);
	return r;
}

static int check_link(const char *text, size_t n, struct error *err)
{
	_cleanup_free_ char *target = NULL;
	int r = http_link_next(text, n, &target, err);

	assert(r == 0 || !target);
	if (target)
		check_plain(target);
	return r;
}

static int check_numbers(const char *text, size_t n, struct error *err)
{
	struct http_range range;
	uint64_t value;

	(void)err;
	if (http_content_range(text, n, &range))
		assert(range.total_known ? range.first + range.size <= range.total : range.size > 0);
	if (http_upload_range(text, n, &value))
		assert(value > 0 && value <= (uint64_t)INT64_MAX + 1);
	if (http_retry_after(text, n, 1800000000, &value))
		assert(value <= INT64_MAX);
	if (date_parse_rfc3339(text, n, &value) || date_parse_http(text, n, 1800000000, &value))
		assert(value < 253402387200); /* year 10000 and a day */
	return 0;
}

static int check_token(const char *text, size_t n, struct error *err)
{
	struct registry_token t;
	int r = registry_token_parse(text, n, &t, err);

	assert(r == 0 ? *t.token && t.refresh_token && t.lifetime > 0 : !t.token && !t.refresh_token);
	if (r == 0) {
		check_plain(t.token);
		check_plain(t.refresh_token);
	}
	registry_token_free(&t);
	return r;
}

static int check_failure(const char *text, size_t n, struct error *err)
{
	struct registry_failure f;

	(void)err;
	registry_failure_parse(text, n, &f);
	assert(strlen(f.code) < sizeof f.code);
	check_line(f.text, sizeof f.text);
	return 0;
}

static int check_tags(const char *text, size_t n, struct error *err)
{
	_cleanup_text_list_ char **tags = NULL, **repositories = NULL;
	int r = registry_tags_parse(text, n, &tags, err);

	assert(r == 0 ? tags != NULL : tags == NULL);
	for (size_t i = 0; r == 0 && tags[i]; i++)
		check_line(tags[i], 129);
	if (registry_catalog_parse(text, n, &repositories, NULL) == 0)
		for (size_t i = 0; repositories[i]; i++)
			check_line(repositories[i], 256);
	return r;
}

static int check_search(const char *text, size_t n, struct error *err)
{
	struct registry_search s;
	int r = registry_search_parse(text, n, &s, err);

	assert(r == 0 || (!s.list && s.count == 0));
	for (size_t i = 0; i < s.count; i++) {
		check_line(s.list[i].name, 256);
		check_line(s.list[i].description, 1024);
	}
	registry_search_free(&s);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const checks[])(const char *, size_t, struct error *) = {check_challenges, check_link,
		check_numbers, check_token, check_failure, check_tags, check_search};
	_cleanup_free_ char *copy = NULL;
	struct error err = {0};
	int r;

	if (size < 1 || !(copy = malloc(size)))
		return 0;
	/* A copy that ends where its bytes do, so that reading past them shows. */
	memmove(copy, data + 1, size - 1);
	copy = realloc(copy, size > 1 ? size - 1 : 1);
	r = checks[data[0] % ARRAY_SIZE(checks)](copy, size - 1, &err);
	assert(r == -(int)err.code && (r == 0 || *err.text));
	return 0;
}
