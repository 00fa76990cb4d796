/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the default registry; the rest is an image's name. What is parsed prints, and what
 * is printed parses to the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "oci/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const char *text, const char *fallback, const char *canonical)
{
	_cleanup_name_ struct name n = {0};
	_cleanup_free_ char *again = NULL;
	struct error err = {0};

	assert(name_parse(text, fallback, &n, &err) == 0);
	again = name_text(&n, &err);
	assert(again && strcmp(again, canonical) == 0);
}

static void check_parsed(const struct name *n, const char *fallback)
{
	_cleanup_free_ char *canonical = name_text(n, NULL), *familiar = NULL, *registry = NULL, *rest = NULL;
	_cleanup_free_ char *prefix = NULL;

	assert(*n->registry && *n->repository && (*n->tag || *n->digest));
	assert(strlen(n->repository) <= NAME_REPOSITORY_MAX && strlen(n->tag) <= NAME_TAG_MAX);
	assert(!strstr(n->repository, "..") && !strstr(n->repository, "//") && n->repository[0] != '/');
	/* With its registry in it, the default does not count. */
	check_same(canonical, "example.com", canonical);
	check_same(canonical, NULL, canonical);
	familiar = name_familiar(canonical, fallback, NULL);
	assert(familiar && strlen(familiar) <= strlen(canonical));
	check_same(familiar, fallback, canonical);
	prefix = text_format(NULL, "%s/%s", n->registry, n->repository);
	assert(name_parse_prefix(prefix, &registry, &rest, NULL) == 0);
	assert(strcmp(registry, n->registry) == 0 && strcmp(rest, n->repository) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const fallbacks[] = {NULL, "quay.io", "localhost:5000", "Index.Docker.IO"};
	_cleanup_free_ char *text = NULL, *registry = NULL, *repository = NULL;
	_cleanup_name_ struct name n = {0};
	struct error err = {0};
	const char *fallback;
	int r;

	if (size < 1 || !(text = text_copy_bytes(data + 1, size - 1, NULL)))
		return 0;
	fallback = fallbacks[data[0] % ARRAY_SIZE(fallbacks)];
	r = name_parse(text, fallback, &n, &err);
	assert(r == -(int)err.code && (r == 0 || (*err.text && !n.registry && !n.repository)));
	if (r == 0)
		check_parsed(&n, fallback);
	r = name_parse_prefix(text, &registry, &repository, &err);
	assert(r == 0 ? *registry && repository : !registry && !repository);
	return 0;
}
