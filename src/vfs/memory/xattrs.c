/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/memory/xattrs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs.h"

struct memory_xattr {
	struct memory_xattr *next;
	size_t name_size, size; /* the name's with its NUL */
	char bytes[];           /* the name, then the value */
};

static uint64_t cost(size_t name_size, size_t size)
{
	return sizeof(struct memory_xattr) + name_size + size;
}

/* Where the attribute hangs, or where the last one ends. */
static struct memory_xattr **find(struct memory_xattr **first, const char *name)
{
	while (*first && strcmp((*first)->bytes, name) != 0)
		first = &(*first)->next;
	return first;
}

static void drop(struct memory_xattrs *x, struct memory_xattr **at, struct memory_budget *budget)
{
	struct memory_xattr *gone = *at;

	*at = gone->next;
	x->names -= gone->name_size;
	x->bytes -= gone->name_size + gone->size;
	memory_budget_give(budget, cost(gone->name_size, gone->size));
	free(gone);
}

void memory_xattrs_free(struct memory_xattrs *x, struct memory_budget *budget)
{
	while (x->first)
		drop(x, &x->first, budget);
}

int64_t memory_xattrs_get(const struct memory_xattrs *x, const char *name, void *value, size_t size)
{
	struct memory_xattr *first = x->first, *found = *find(&first, name);

	if (!found)
		return -ENODATA;
	if (size == 0)
		return (int64_t)found->size;
	if (found->size > size)
		return -ERANGE;
	if (found->size)
		memcpy(value, found->bytes + found->name_size, found->size);
	return (int64_t)found->size;
}

int64_t memory_xattrs_list(const struct memory_xattrs *x, char *names, size_t size)
{
	size_t at = 0;

	if (size == 0)
		return (int64_t)x->names;
	if (x->names > size)
		return -ERANGE;
	for (const struct memory_xattr *a = x->first; a; a = a->next) {
		memcpy(names + at, a->bytes, a->name_size);
		at += a->name_size;
	}
	return (int64_t)at;
}

static struct memory_xattr *attribute_new(const char *name, size_t name_size, const void *value, size_t size)
{
	struct memory_xattr *a = malloc(sizeof *a + name_size + size);

	if (!a)
		return NULL;
	*a = (struct memory_xattr){.name_size = name_size, .size = size};
	memcpy(a->bytes, name, name_size);
	if (size)
		memcpy(a->bytes + name_size, value, size);
	return a;
}

int memory_xattrs_set(struct memory_xattrs *x, const char *name, const void *value, size_t size,
	unsigned flags, struct memory_budget *budget)
{
	struct memory_xattr **at = find(&x->first, name), *old = *at, *new;
	size_t name_size = strlen(name) + 1;
	size_t names = x->names + (old ? 0 : name_size);
	size_t bytes = x->bytes + name_size + size - (old ? old->name_size + old->size : 0);

	if (old ? flags & VFS_XATTR_CREATE : flags & VFS_XATTR_REPLACE)
		return old ? -EEXIST : -ENODATA;
	if (names > MEMORY_XATTRS_NAMES || bytes > MEMORY_XATTRS_BYTES)
		return -ENOSPC;
	if (!memory_budget_take(budget, cost(name_size, size)))
		return -ENOSPC;
	new = attribute_new(name, name_size, value, size);
	if (!new) {
		memory_budget_give(budget, cost(name_size, size));
		return -ENOMEM;
	}
	if (old)
		drop(x, at, budget);
	new->next = *at;
	*at = new;
	x->names += name_size;
	x->bytes += name_size + size;
	return 0;
}

int memory_xattrs_remove(struct memory_xattrs *x, const char *name, struct memory_budget *budget)
{
	struct memory_xattr **at = find(&x->first, name);

	if (!*at)
		return -ENODATA;
	drop(x, at, budget);
	return 0;
}
