/* SPDX-License-Identifier: Apache-2.0 */
/* The first line is an image's name, the rest is registries.json. Where a name leads is a registry and a
 * repository as they are asked for; mirrors come first, and what is real comes last and once. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/text.h"
#include "oci/registries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_endpoint(const struct endpoint *e, bool last)
{
	_cleanup_free_ char *registry = NULL, *repository = NULL, *whole = NULL;

	assert(e->mirror == !last);
	assert(*e->host && *e->registry && *e->repository && e->ca_file);
	assert(strlen(e->repository) <= NAME_REPOSITORY_MAX);
	whole = text_format(NULL, "%s/%s", e->registry, e->repository);
	assert(whole && name_parse_prefix(whole, &registry, &repository, NULL) == 0);
	assert(strcmp(registry, e->registry) == 0 && strcmp(repository, e->repository) == 0);
	/* Only Docker Hub is asked at another host than it is called by. */
	assert(strcmp(e->host, e->registry) == 0 || strcmp(e->registry, NAME_DEFAULT_REGISTRY) == 0);
}

static void check_resolved(const struct registries *r, const char *text)
{
	_cleanup_name_ struct name name = {0};
	struct endpoint *list = NULL;
	struct error err = {0};
	size_t count = 0;
	int result;

	assert(strchr(registries_default(r), '/') == NULL);
	if (name_parse(text, registries_default(r), &name, &err) < 0)
		return;
	result = registries_resolve(r, &name, &list, &count, &err);
	assert(result == 0 || result == -(int)err.code);
	assert(result < 0 || count > 0);
	for (size_t i = 0; result == 0 && i < count; i++)
		check_endpoint(&list[i], i == count - 1);
	endpoints_free(list, count);
}

/* A file that is in memory; its path. */
static const char *put(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[32];

	if (fd < 0) {
		fd = memfd_create("registries.json", MFD_CLOEXEC);
		assert(fd >= 0 && fchmod(fd, 0600) == 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	_cleanup_free_ char *text = NULL;
	struct error err = {0};
	int result;

	if (!end || !(text = text_copy_bytes(data, (size_t)(end - data), NULL)))
		return 0;
	result = registries_load_from(
		put(end + 1, size - (size_t)(end + 1 - data)), "/proc/self/no/home", &r, &err);
	assert((result == 0 || result == -(int)err.code) && (result < 0) == (r == NULL));
	assert(result == 0 || strstr(err.text, "/proc/self/fd/"));
	if (r)
		check_resolved(r, text);
	return 0;
}
