/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that has memory keeps all that it has ever looked up, and what it keeps has a node here. So where
 * there are many of them it is told which it need not keep. It forgets those that nobody uses, and the next
 * live_shrink() lets go of them.
 */
#include <malloc.h>
#include <stdlib.h>

#include "monofs/live_parts.h"

#define AT_ONCE 512u

struct pruning {
	uint64_t *inos;
	size_t count, most;
};

/* What was asked for since the last look stays for now. */
static bool is_wanted(const struct live *l, struct live_node *n)
{
	if (n == l->root || !atomic_load(&n->lookups) || atomic_load(&n->opened))
		return true;
	return S_ISDIR(n->type) ? atomic_load(&n->used) : atomic_exchange(&n->used, false);
}

/* Names can go from memory where none of a directory's has a node: so those of directories that are not in
 * use are the first. */
static bool is_in_use(const struct live_node *n)
{
	return n->names && atomic_load(&n->names->directory->used);
}

static void look(struct live *l, struct pruning *p, bool in_use)
{
	for (size_t i = 0; i < (size_t)1 << l->bucket_bits; i++)
		for (struct live_node *n = l->buckets[i]; n && p->count < p->most; n = n->next)
			if (is_in_use(n) == in_use && !is_wanted(l, n))
				p->inos[p->count++] = n->ino;
}

/* So many that half of what may be there is left. */
static void choose(struct live *l, struct pruning *p)
{
	LIVE_SHARED(locked, &l->fs);

	if (!l->watcher.prune || l->node_count <= live_nodes_most(l))
		return;
	p->most = l->node_count - live_nodes_most(l) / 2;
	p->inos = reallocarray(NULL, p->most, sizeof *p->inos);
	if (!p->inos)
		return;
	look(l, p, false);
	look(l, p, true);
}

static struct vfs_watcher watcher_of(struct live *l)
{
	LIVE_SHARED(locked, &l->fs);

	return l->watcher;
}

/* All that was ever looked up is not gone through again and again for one who keeps it all the same. */
static void never_again(struct live *l)
{
	LIVE_LOCKED(locked, &l->fs);

	l->watcher.prune = NULL;
}

/* Whether that is of any use. */
static bool tell(struct live *l, const struct pruning *p)
{
	struct vfs_watcher watcher;
	bool told;

	pthread_mutex_lock(&l->telling);
	watcher = watcher_of(l);
	told = watcher.prune != NULL;
	for (size_t i = 0, n; told && i < p->count; i += n) {
		n = p->count - i < AT_ONCE ? p->count - i : AT_ONCE;
		told = watcher.prune(watcher.context, p->inos + i, n);
	}
	if (!told)
		never_again(l);
	pthread_mutex_unlock(&l->telling);
	return told;
}

/* What is not forgotten by now goes the next time. */
static void shrink(struct live *l)
{
	LIVE_LOCKED(locked, &l->fs);

	live_shrink(l);
	l->node_limit = l->name_limit = 0;
}

void live_prune(struct live *l)
{
	struct pruning p = {0};

	choose(l, &p);
	if (p.count && tell(l, &p)) {
		shrink(l);
#ifdef __GLIBC__
		/* Of what each thread has freed little goes back to the system by itself. */
		malloc_trim(0);
#endif
	}
	free(p.inos);
}
