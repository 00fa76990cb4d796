/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READDIR and READDIRPLUS (RFC 1813, 3.3.16 and 17).
 *
 * Cookies are the file system's: they stay good for as long as the directory does, so the verifier that comes
 * with them is always zero. What comes is kept until the walk is over: handles are asked for afterwards,
 * since a file system may hold a lock while it lists.
 *
 * What was answered is kept (pages.c) where the file system can tell whether it still holds, for all of it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/nfs3/parts.h"

#define ENTRIES_MAX (1u << 20)
/* Bytes of READDIR3resok beside the entries: attributes, verifier, the end of the list, eof. */
#define AROUND (4u + NFS3_ATTRIBUTES_SIZE + NFS3_VERIFIER_SIZE + 4u + 4u)
/* Of an entry beside its name: that there is one, number, length, cookie. */
#define ENTRY (4u + 8u + 4u + 8u)
/* What READDIRPLUS has more, at most. */
#define ENTRY_PLUS (4u + NFS3_ATTRIBUTES_SIZE + 4u + 4u + NFS3_HANDLE_MAX)

struct kept {
	uint64_t ino, cookie;
	uint32_t name_size;
	bool has_attributes;
	struct vfs_attributes a;
	char name[]; /* and what aligns the next one */
};

struct listing {
	bool plus;
	bool attributes;        /* are wanted, and the caller may see them */
	size_t room, name_room; /* bytes left; of names and cookies only */
	struct buffer kept;
	size_t count;
	bool full;
	bool untold; /* some attributes change without a new version, or are not there */
};

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static size_t kept_size(size_t name_size)
{
	return (sizeof(struct kept) + name_size + 15) & ~(size_t)15;
}

static bool fits(const struct listing *l, size_t name_size)
{
	size_t names = ENTRY + padded(name_size);

	/* The first one comes whatever the client thinks of the names' size. */
	return names + (l->plus ? ENTRY_PLUS : 0) <= l->room && (names <= l->name_room || l->kept.size == 0);
}

static bool is_dots(const struct vfs_entry *e)
{
	return e->name[0] == '.' && (e->name_size == 1 || (e->name_size == 2 && e->name[1] == '.'));
}

static int keep(void *context, const struct vfs_entry *e)
{
	struct listing *l = context;
	size_t names = ENTRY + padded(e->name_size), size = kept_size(e->name_size);
	struct kept *k;

	if (!fits(l, e->name_size) || !buffer_reserve(&l->kept, size)) {
		l->full = true;
		return 1;
	}
	k = (struct kept *)(l->kept.data + l->kept.size);
	*k = (struct kept){.ino = e->ino,
		.cookie = e->cookie,
		.name_size = (uint32_t)e->name_size,
		.has_attributes = e->attributes != NULL};
	if (e->attributes)
		k->a = *e->attributes;
	memcpy(k->name, e->name, e->name_size);
	if (l->attributes && !is_dots(e) && !(e->attributes && e->attributes->told))
		l->untold = true;
	l->kept.size += size;
	l->count++;
	l->room -= names + (l->plus ? ENTRY_PLUS : 0);
	l->name_room -= names < l->name_room ? names : l->name_room;
	return 0;
}

static void write_entry(struct nfs3_request *q, bool plus, const struct kept *k)
{
	struct xdr x = xdr_writer(&q->entries);
	struct nfs3_entry e = {
		.fileid = k->ino, .name = {(const uint8_t *)k->name, k->name_size}, .cookie = k->cookie};

	if (k->has_attributes) {
		e.attributes = nfs3_post(q->server, &k->a);
		e.has_handle = nfs3_make_handle(q->server, k->a.ino, &e.handle) == NFS3_OK;
	}
	nfs3_code_entry(&x, plus, &e);
}

/* Writes what was kept, unless the walk failed, and forgets the objects. */
static void write_entries(struct nfs3_request *q, const struct listing *l, bool good)
{
	for (size_t at = 0; at < l->kept.size;) {
		const struct kept *k = (const struct kept *)(l->kept.data + at);

		if (good)
			write_entry(q, l->plus, k);
		if (k->has_attributes)
			vfs_forget(q->fs, k->a.ino, 1);
		at += kept_size(k->name_size);
	}
}

/* The walk that the cookie stands in, or a new one. */
static uint32_t begin_walk(struct nfs3_request *q, struct nfs3_object *directory, struct nfs3_walk *walk)
{
	int r;

	if (q->a.cookie != 0 && nfs3_walk_take(q->server, directory->a.ino, q->a.cookie, walk))
		return NFS3_OK;
	r = vfs_opendir(q->fs, directory->a.ino, &walk->handle);
	if (r < 0)
		return nfs3_status(r);
	/* It is looked up for as long as it is open. */
	walk->directory = *directory;
	directory->fs = NULL;
	return NFS3_OK;
}

/* Those of the last entries that were given. False: none, or memory is out. */
static bool remember_cookies(const struct listing *l, struct nfs3_walk *walk)
{
	size_t skipped = l->count > NFS3_WALK_COOKIES ? l->count - NFS3_WALK_COOKIES : 0, n = 0;
	uint64_t *cookies = l->count ? calloc(l->count - skipped, sizeof *cookies) : NULL;

	if (!cookies)
		return false;
	for (size_t at = 0; at < l->kept.size; n++) {
		const struct kept *k = (const struct kept *)(l->kept.data + at);

		if (n >= skipped)
			cookies[n - skipped] = k->cookie;
		at += kept_size(k->name_size);
	}
	free(walk->cookies);
	walk->cookies = cookies;
	walk->count = n - skipped;
	return true;
}

static uint32_t walk(struct nfs3_request *q, struct nfs3_object *directory, struct listing *l)
{
	struct nfs3_walk w = {0};
	uint32_t status = begin_walk(q, directory, &w);
	int r;

	if (status != NFS3_OK)
		return status;
	r = vfs_readdir(q->fs, directory->a.ino, w.handle, q->a.cookie, l->attributes, keep, l);
	write_entries(q, l, r == 0);
	/* At the end, too: the client may go on from within what it got. */
	if (r == 0 && remember_cookies(l, &w))
		nfs3_walk_keep(q->server, &w);
	else
		nfs3_walk_end(&w);
	return nfs3_status(r);
}

static void answer(struct nfs3_request *q, const struct nfs3_listed *listed)
{
	q->r.entries = (struct xdr_bytes){listed->bytes, listed->size};
	q->r.end = listed->end;
}

static uint32_t list_anew(struct nfs3_request *q, struct nfs3_object *directory, struct listing *l,
	const struct nfs3_page_key *key, uint64_t version)
{
	uint32_t status = walk(q, directory, l);
	struct nfs3_listed listed = {q->entries.data, (uint32_t)q->entries.size, !l->full};

	if (status != NFS3_OK)
		return status;
	if (l->kept.failed || q->entries.failed)
		return NFS3ERR_JUKEBOX;
	if ((l->full && l->kept.size == 0) || q->a.most < AROUND)
		return NFS3ERR_TOOSMALL;
	answer(q, &listed);
	if (version && !l->untold && version == vfs_version(q->fs, key->ino))
		nfs3_page_keep(&q->server->pages, key, version, &listed);
	return NFS3_OK;
}

static uint32_t list(struct nfs3_request *q, struct nfs3_object *directory, struct listing *l)
{
	struct nfs3_page_key key = {.ino = directory->a.ino,
		.cookie = q->a.cookie,
		.room = l->room,
		.name_room = l->name_room,
		.plus = l->plus};
	uint32_t status = nfs3_may(q, &directory->a, VFS_MAY_READ);
	uint64_t version;

	if (status != NFS3_OK)
		return status;
	/* Who may only list gets no attributes. */
	key.attributes = l->attributes = l->plus && nfs3_may(q, &directory->a, VFS_EXECUTE) == NFS3_OK;
	version = vfs_version(q->fs, key.ino);
	q->listed = version ? nfs3_page_take(&q->server->pages, &key, version) : NULL;
	if (!q->listed)
		return list_anew(q, directory, l, &key, version);
	answer(q, q->listed);
	return NFS3_OK;
}

static void run(struct nfs3_request *q, bool plus)
{
	_cleanup_object_ struct nfs3_object directory = {0};
	uint32_t most = q->a.most < ENTRIES_MAX ? q->a.most : ENTRIES_MAX;
	struct listing l = {.plus = plus,
		.room = most > AROUND ? most - AROUND : 0,
		.name_room = plus ? q->a.directory_count : SIZE_MAX};

	q->r.status = nfs3_resolve_directory(q, &q->a.object, &directory);
	if (directory.fs)
		q->r.object = nfs3_post(q->server, &directory.a);
	if (q->r.status == NFS3_OK)
		q->r.status = list(q, &directory, &l);
	buffer_free(&l.kept);
}

void nfs3_readdir(struct nfs3_request *q)
{
	run(q, false);
}

void nfs3_readdirplus(struct nfs3_request *q)
{
	run(q, true);
}
