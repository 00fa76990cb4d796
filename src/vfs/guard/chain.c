/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes stand behind their parents. A node that is there has been looked up once, so that its number stays; a
 * client that forgets more than it has looked up can end that, and then the number is unknown (-ESTALE) and
 * everything refused until it is known again.
 */
#include "vfs/guard/chain.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "vfs/guard/guard.h"

struct node {
	char *name;
	size_t parent;
	bool final; /* a path ends here */
	bool there;
	bool folds; /* a directory in which names may differ in case and be the same */
	uint64_t ino;
};

struct chain {
	struct vfs *fs;
	pthread_rwlock_t lock; /* of where nodes lead */
	struct node *nodes;    /* the first is the root */
	size_t count;
	uint64_t looked; /* clock_monotonic(); 0: never. Under the lock */
	atomic_bool doubted;
};

/* ---- the tree ------------------------------------------------------------------------------------------ */

static int find_or_add(
	struct chain *c, size_t parent, const char *name, size_t n, size_t *found, struct error *err)
{
	for (size_t i = 1; i < c->count; i++)
		if (c->nodes[i].parent == parent && !strncmp(c->nodes[i].name, name, n) &&
			!c->nodes[i].name[n]) {
			*found = i;
			return 0;
		}
	if (c->count == GUARD_NAMES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %u names are to be guarded", GUARD_NAMES_MAX);
	c->nodes[c->count] = (struct node){.name = strndup(name, n), .parent = parent};
	if (!c->nodes[c->count].name)
		return error_no_memory(err, "guard names");
	*found = c->count++;
	return 0;
}

static int add_path(struct chain *c, const char *path, struct error *err)
{
	size_t at = 0;

	for (const char *p = path; *(p += strspn(p, "/"));) {
		size_t n = strcspn(p, "/");
		int r;

		if (n > VFS_NAME_MAX || (n <= 2 && !strncmp(p, "..", n)))
			return error_set(err, ERROR_INVALID, "'%s' cannot be guarded", path);
		r = find_or_add(c, at, p, n, &at, err);
		if (r < 0)
			return r;
		p += n;
	}
	c->nodes[at].final = true;
	return 0;
}

static int add_paths(struct chain *c, const char *paths, size_t size, struct error *err)
{
	int r = 0;

	if (size > GUARD_BYTES_MAX || (size && paths[size - 1]))
		return error_set(err, ERROR_INVALID, "names that are to be guarded are cut off");
	for (size_t at = 0; r == 0 && at < size; at += strlen(paths + at) + 1)
		r = add_path(c, paths + at, err);
	return r;
}

int chain_new(struct vfs *fs, const char *paths, size_t size, struct chain **out, struct error *err)
{
	struct chain *c = calloc(1, sizeof *c);
	int r;

	if (!c || !(c->nodes = calloc(GUARD_NAMES_MAX, sizeof *c->nodes))) {
		free(c);
		return error_no_memory(err, "guard names");
	}
	c->fs = fs;
	pthread_rwlock_init(&c->lock, NULL);
	c->nodes[0] = (struct node){.there = true, .ino = VFS_ROOT};
	c->count = 1;
	r = add_paths(c, paths, size, err);
	if (r < 0)
		chain_free(c);
	else
		*out = c;
	return r;
}

void chain_free(struct chain *c)
{
	if (!c)
		return;
	for (size_t i = 1; i < c->count; i++) {
		if (c->nodes[i].there)
			vfs_forget(c->fs, c->nodes[i].ino, 1);
		free(c->nodes[i].name);
	}
	pthread_rwlock_destroy(&c->lock);
	free(c->nodes);
	free(c);
}

/* ---- where they lead ----------------------------------------------------------------------------------- */

static bool leads_nowhere(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

/* Nobody reaches anything by such a name: it lies in what is mounted there, and not served. */
static bool never_leads(int r)
{
	return r == -EXDEV || r == -ENAMETOOLONG;
}

/* Whether the directory takes a name in other case for the same. */
static bool takes_other_case(struct vfs *fs, uint64_t parent, const char *name, uint64_t ino)
{
	char other[VFS_NAME_MAX + 1];
	struct vfs_attributes a;
	size_t i;

	for (i = 0; name[i]; i++)
		other[i] = (char)(isupper((unsigned char)name[i]) ? tolower((unsigned char)name[i])
								  : toupper((unsigned char)name[i]));
	other[i] = 0;
	if (!strcmp(other, name) || vfs_lookup(fs, parent, other, &a) < 0)
		return false;
	vfs_forget(fs, a.ino, 1);
	return a.ino == ino;
}

static void leave(struct chain *c, struct node *n)
{
	if (n->there)
		vfs_forget(c->fs, n->ino, 1);
	n->there = n->folds = false;
}

/* What is known of it is forgotten behind the lookup, so that it is known all the time. Where a client
 * has taken away the permission to look, it is what it was. */
static int look_up(struct chain *c, struct node *n)
{
	struct node *parent = &c->nodes[n->parent];
	struct vfs_attributes a;
	bool same;
	int r = parent->there ? vfs_lookup(c->fs, parent->ino, n->name, &a) : -ENOENT;

	if (r < 0 && !leads_nowhere(r))
		return (n->there && r == -EACCES) || never_leads(r) ? 0 : r;
	same = r == 0 && n->there && n->ino == a.ino;
	if (same) {
		vfs_forget(c->fs, a.ino, 1);
		return 0;
	}
	leave(c, n);
	if (r == 0) {
		n->there = true;
		n->ino = a.ino;
		parent->folds |= takes_other_case(c->fs, parent->ino, n->name, n->ino);
	}
	return 0;
}

void chain_doubt(struct chain *c)
{
	atomic_store(&c->doubted, true);
}

static bool is_fresh(struct chain *c)
{
	return !atomic_load(&c->doubted) && c->looked && clock_monotonic() - c->looked <= GUARD_AGE;
}

/* With the lock. Who doubts while this looks has it looked up once more. */
static int look_up_all(struct chain *c)
{
	uint64_t now = clock_monotonic();
	int r = 0;

	atomic_store(&c->doubted, false);
	for (size_t i = 1; r == 0 && i < c->count; i++)
		r = look_up(c, &c->nodes[i]);
	c->looked = r == 0 ? now : 0;
	return r;
}

int chain_refresh(struct chain *c)
{
	bool fresh;
	int r = 0;

	pthread_rwlock_rdlock(&c->lock);
	fresh = is_fresh(c);
	pthread_rwlock_unlock(&c->lock);
	if (fresh)
		return 0;
	pthread_rwlock_wrlock(&c->lock);
	if (!is_fresh(c))
		r = look_up_all(c);
	pthread_rwlock_unlock(&c->lock);
	return r;
}

/* ---- questions ----------------------------------------------------------------------------------------- */

/* Bytes of a name that a file system may leave out at its end (vfat). */
static size_t length_without_tail(const char *name)
{
	size_t n = strlen(name);

	while (n && (name[n - 1] == '.' || name[n - 1] == ' '))
		n--;
	return n;
}

static bool is_ascii(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name >= 0x80)
			return false;
	return true;
}

/* In a directory that folds case: what is not ASCII may fold to anything. */
static bool may_be_same(const char *guarded, const char *name)
{
	size_t n = length_without_tail(guarded);

	if (!is_ascii(name))
		return true;
	return n == length_without_tail(name) && !strncasecmp(guarded, name, n);
}

/* Such a directory may have further names for what is in it (vfat: MONOCO~1.YAM). */
static int is_other_name(struct chain *c, uint64_t parent, const char *name)
{
	struct vfs_attributes a;
	bool found = false;
	int r = vfs_lookup(c->fs, parent, name, &a);

	if (r < 0)
		return leads_nowhere(r) || never_leads(r) ? 0 : r;
	for (size_t i = 1; !found && i < c->count; i++)
		found = c->nodes[i].there && c->nodes[i].ino == a.ino;
	vfs_forget(c->fs, a.ino, 1);
	return found;
}

int chain_has_name(struct chain *c, uint64_t parent, const char *name)
{
	bool folds = false;
	int found = 0;

	pthread_rwlock_rdlock(&c->lock);
	for (size_t i = 1; !found && i < c->count; i++) {
		const struct node *n = &c->nodes[i], *in = &c->nodes[n->parent];

		if (!in->there || in->ino != parent)
			continue;
		folds |= in->folds;
		found = !strcmp(n->name, name) || (in->folds && may_be_same(n->name, name));
	}
	if (!found && folds)
		found = is_other_name(c, parent, name);
	pthread_rwlock_unlock(&c->lock);
	return found;
}

bool chain_may_have_name(const struct chain *c, const char *name)
{
	for (size_t i = 1; i < c->count; i++)
		if (!strcasecmp(c->nodes[i].name, name))
			return true;
	return false;
}

bool chain_has_object(struct chain *c, uint64_t ino)
{
	bool found = false;

	pthread_rwlock_rdlock(&c->lock);
	for (size_t i = 1; !found && i < c->count; i++)
		found = c->nodes[i].final && c->nodes[i].there && c->nodes[i].ino == ino;
	pthread_rwlock_unlock(&c->lock);
	return found;
}
