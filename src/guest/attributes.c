/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/attributes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/text.h"

#define NAMES_MOST 65536 /* bytes, by Linux (XATTR_LIST_MAX) */

bool attributes_of_files(const char *name)
{
	return !text_starts(name, "trusted.");
}

void attributes_free(struct tar_entry *e)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		free(e->xattrs[i].name);
		free(e->xattrs[i].value);
	}
	free(e->xattrs);
	e->xattrs = NULL;
	e->xattr_count = 0;
}

static int add(struct tar_entry *e, const char *name, const void *value, size_t n, struct error *err)
{
	struct tar_xattr *grown = reallocarray(e->xattrs, e->xattr_count + 1, sizeof *grown);
	struct tar_xattr x = {.size = n};

	if (!grown)
		return error_no_memory(err, "read extended attributes");
	e->xattrs = grown;
	x.name = text_copy(name, err);
	x.value = malloc(n ? n : 1);
	if (!x.name || !x.value) {
		free(x.name);
		free(x.value);
		return error_no_memory(err, "read extended attributes");
	}
	if (n)
		memcpy(x.value, value, n);
	grown[e->xattr_count++] = x;
	return 0;
}

static int read_each(int fd, const char *names, size_t size, attribute_filter *wanted, struct tar_entry *e,
	struct error *err)
{
	_cleanup_free_ uint8_t *value = malloc(ATTRIBUTES_MOST);
	size_t total = 0;

	if (!value)
		return error_no_memory(err, "read extended attributes");
	for (size_t at = 0, n; at < size; at += n + 1) {
		const char *name = names + at;
		ssize_t got = wanted(name) ? fgetxattr(fd, name, value, ATTRIBUTES_MOST) : -1;
		int r;

		n = strlen(name);
		if (got < 0)
			continue; /* gone, or for nobody to read */
		total += n + (size_t)got;
		if (total > ATTRIBUTES_MOST)
			return error_set(err, ERROR_LIMIT, "'%s' has more than %d bytes of attributes",
				e->path, ATTRIBUTES_MOST);
		r = add(e, name, value, (size_t)got, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int attributes_read(int fd, attribute_filter *wanted, struct tar_entry *e, struct error *err)
{
	_cleanup_free_ char *names = NULL;
	ssize_t n = flistxattr(fd, NULL, 0);

	if (n <= 0)
		return 0;
	names = malloc(NAMES_MOST + 1);
	if (!names)
		return error_no_memory(err, "read extended attributes");
	n = flistxattr(fd, names, NAMES_MOST);
	if (n <= 0)
		return 0;
	names[n] = '\0';
	return read_each(fd, names, (size_t)n, wanted, e, err);
}

int attributes_write(int fd, const struct tar_entry *e, struct error *err)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct tar_xattr *x = &e->xattrs[i];

		if (attributes_of_files(x->name) && fsetxattr(fd, x->name, x->value, x->size, 0) < 0 &&
			errno != ENOTSUP)
			return error_errno(err, errno, "set the attribute '%s' of '%s'", x->name, e->path);
	}
	return 0;
}
