/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the live tree share.
 *
 * Objects lie in memory as nodes, found by their numbers. A node is there while somebody has it looked up or
 * open, while it differs from the newest revision, or until there are too many. A directory's names are in
 * memory, all of them, once it was looked into; a name has a node or what the revision says of it. An object
 * of several names has its node always, and so have all these names.
 *
 * Locks, in this order:
 *
 *   tree      readers and writers: names, which nodes there are. Who changes contents or attributes of one
 *             object reads it, so that a commit, which writes it, sees no half of a change.
 *   lock      of each node: attributes, contents. Reading a file takes this alone, and pins the node.
 *   guard     the list of what is dirty, numbers in the journal, what the committing thread is told
 *   the journal's
 *
 * Whoever changes something judges first, makes room, appends to the journal, and then changes memory, which
 * cannot fail any more. Replay does the last of these alone, by the same functions.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "monofs/commit.h"
#include "monofs/content.h"
#include "monofs/entry.h"
#include "monofs/journal.h"
#include "monofs/live.h"
#include "monofs/live_ahead.h"
#include "monofs/live_extents.h"
#include "monofs/live_names.h"
#include "monofs/mst.h"
#include "vfs/vfs.h"

/* What a revision has of an object, decoded. */
struct live_base {
	atomic_uint users;
	struct live_blob *blob; /* that entry points into */
	struct entry entry;
};

struct live_xattr {
	struct live_xattr *next;
	struct object_id object; /* that has the value; none: it is here */
	size_t name_size, size;  /* the name's with its NUL */
	char bytes[];            /* the name, then the value */
};

/* A name that a directory has lost since its last commit. */
struct live_lost {
	struct live_lost *next;
	uint16_t size;
	char name[];
};

struct live_node {
	struct live_node *next; /* in its bucket */
	uint64_t ino, generation;
	uint32_t type; /* S_IFMT of the mode: that stays */
	uint8_t id[ENTRY_ID_SIZE];
	atomic_uint_least64_t lookups;
	atomic_uint opened, pins;
	bool dirty; /* guard: it is in the list of what is */
	struct live_node *next_dirty;
	bool shed;        /* rolled back: this number is stale until the object is found again */
	atomic_bool used; /* since the last look for what can go */
	uint32_t links;   /* tree */
	uint64_t segment; /* guard: its number in the journal is of this segment */
	uint64_t number;
	struct live_name *names;     /* tree */
	struct live_snap *snap;      /* while a commit is begun */
	struct live_node *multi;     /* the next with several names */
	struct live_node **multi_at; /* NULL: it is not in that list */

	pthread_rwlock_t lock; /* what follows */
	uint32_t mode, uid, gid, major, minor;
	struct vfs_time atime, mtime, ctime, btime;
	uint64_t change;
	struct live_xattr *xattrs;
	size_t xattr_bytes;     /* of names and values */
	struct live_base *base; /* NULL: no revision has it */
	union {
		struct {
			uint64_t size;
			uint64_t base_limit; /* so much of the base's contents is still there */
			uint64_t cut;        /* the least size since the commit that is under way began */
			atomic_uint_least64_t ahead; /* so far was read, or is read ahead */
			struct live_extents extents;
		} file;
		struct {
			char *text;
			size_t size;
		} target;
		struct {
			struct object_id content, identity; /* roots of its maps, as of the newest revision */
			bool loaded;
			struct live_names names; /* where it is loaded */
			struct live_lost *lost;
			uint64_t version;
		} directory;
	};
};

struct live_handle {
	struct live_node *node; /* NULL: free */
	unsigned flags;         /* enum vfs_open; LIVE_LISTING */
	uint32_t sequence;      /* how often this place was used before: the upper half of the handle */
	uint32_t next_free;
};
#define LIVE_LISTING 0x8000u
#define LIVE_HANDLES 65536u

struct live {
	struct vfs fs; /* the first member */
	struct repository *repository;
	struct store *store;
	const struct crypt *crypt;
	struct mst content_map, identity_map;
	struct live_options options;
	char *author;
	uint64_t seed[2]; /* of cookies */

	pthread_mutex_t gate; /* who waits to write lets no more readers in */
	pthread_rwlock_t tree;
	struct live_node *root;
	struct live_node **buckets;
	unsigned bucket_bits;
	size_t node_count, name_count; /* names: those in loaded directories */
	size_t node_limit, name_limit; /* beyond which live_shrink() looks again for some that can go */
	struct live_node *multi;       /* objects of several names */
	bool paths_changed;            /* one of these may have other paths since the last commit */
	struct object_id main;         /* the newest revision */
	struct object_id base, base_content, base_identity; /* the same or a draft, and its roots */
	uint64_t drafted;                                   /* objects that the draft has otherwise */
	atomic_uint_least64_t version;

	pthread_mutex_t handles_lock;
	struct live_handle *handles;
	uint32_t handle_count, free_handle, open_count;

	pthread_mutex_t guard;
	pthread_cond_t told;     /* the committing thread is, or tells that it is done */
	struct journal *journal; /* NULL: a view, read-only */
	uint64_t segment;        /* number of the one that is written to */
	uint64_t last_number;    /* that was given to an object in it */
	struct live_node *dirty;
	atomic_size_t dirty_count;
	uint64_t first_change, last_change; /* monotonic; 0: none since the last commit */
	uint64_t retry_at;                  /* monotonic: a commit has failed, and is tried again then */
	bool no_space;                      /* the last commit failed for want of space */
	bool stop, thread_runs;
	pthread_t thread;
	pthread_mutex_t committing; /* one at a time */

	pthread_mutex_t index_lock; /* live_index.c */
	struct live_index *index;

	struct live_ahead ahead;

	struct vfs_watcher
		watcher;         /* tree: who hears of a tree that was rolled back, and of too many nodes */
	pthread_mutex_t telling; /* before `tree`: held while that one is told what it need not keep */
};

static inline struct live *live_of(struct vfs *fs)
{
	return (struct live *)fs;
}

/* ---- live_node.c: locks and nodes ---- */

void live_lock(struct live *l, bool exclusive);
void live_unlock_tree(struct live **l);
#define _cleanup_tree_ __attribute__((cleanup(live_unlock_tree)))
/* Until the end of the scope. */
static inline struct live *live_locked(struct vfs *fs, bool exclusive)
{
	live_lock(live_of(fs), exclusive);
	return live_of(fs);
}
#define LIVE_SHARED(name, fs) _cleanup_tree_ struct live *name = live_locked(fs, false)
#define LIVE_LOCKED(name, fs) _cleanup_tree_ struct live *name = live_locked(fs, true)

static inline void live_unlock_node(struct live_node **n)
{
	if (*n)
		pthread_rwlock_unlock(&(*n)->lock);
}
static inline struct live_node *live_read_node(struct live_node *n)
{
	pthread_rwlock_rdlock(&n->lock);
	return n;
}
static inline struct live_node *live_write_node(struct live_node *n)
{
	pthread_rwlock_wrlock(&n->lock);
	return n;
}
#define _cleanup_node_ __attribute__((cleanup(live_unlock_node), unused))

/* 0 or -ESTALE. Any lock of the tree. */
int live_get(const struct live *l, uint64_t ino, struct live_node **out);
/* Also what is stale. */
bool live_find_any(const struct live *l, uint64_t ino, struct live_node **out);
unsigned live_depth(const struct live_node *d); /* directories above it */
/* The same as live_get(), with the names of the directory in memory: takes the lock, which is held afterwards
 * whatever is returned. -ENOTDIR, -ENOENT (removed), -EIO. */
int live_enter(struct live *l, uint64_t ino, bool exclusive, struct live_node **out);

uint64_t live_ino(const uint8_t id[ENTRY_ID_SIZE]);
/* New, in the table, with nothing but this; exclusive. NULL: memory is out. */
struct live_node *live_node_new(struct live *l, const uint8_t id[ENTRY_ID_SIZE], uint32_t mode);
/* The node of a name, which is made from its blob where there is none; exclusive. 0, -EIO, -ENOMEM. */
int live_node_of(struct live *l, struct live_name *name, struct live_node **out);
/* Frees it where it has no name and nobody holds it; exclusive. */
void live_settle(struct live *l, struct live_node *n);
void live_node_free(struct live *l, struct live_node *n); /* out of the table, too */
void live_nodes_free(struct live *l);
/* All nodes lose what they have, also their names; numbers that were given out are kept, as stale; exclusive.
 */
void live_shed(struct live *l);
/* Names and nodes that nobody needs go, where there are too many; exclusive. No node or name is in use but
 * what is pinned. */
void live_shrink(struct live *l);
bool live_is_large(const struct live *l);

/* A pinned node stays, without the tree's lock. */
static inline void live_pin(struct live_node *n)
{
	atomic_fetch_add(&n->pins, 1);
}
static inline void live_unpin(struct live_node *n)
{
	atomic_fetch_sub(&n->pins, 1);
}

/* Which names a node has; exclusive. */
void live_bind(struct live *l, struct live_name *name, struct live_node *n);
void live_unbind(struct live *l, struct live_name *name);

struct live_base *live_base_new(struct live_blob *blob, struct error *err); /* decodes; holds the blob */
struct live_base *live_base_hold(struct live_base *b);
void live_base_drop(struct live_base *b); /* NULL is fine */

/* ---- live_prune.c ---- */

/* Who has looked up too many objects is told which he need not keep. To be called without a lock. */
void live_prune(struct live *l);

/* ---- live_links.c ---- */

/* All objects of several names; exclusive, before anything else. keep: what is found is written down. */
int live_load_links(struct live *l, bool keep, struct error *err);

/* ---- live_draft.c ---- */

int live_find_main(struct repository *r, struct object_id *commit, struct error *err);

/* ---- live_attributes.c ---- */

void live_attributes(struct live_node *n, struct vfs_attributes *out); /* its lock is held */
void live_look_up(struct live_node *n, struct vfs_attributes *out);    /* counts; takes its lock */
struct vfs_time live_now(void);

enum live_touch { LIVE_CHANGED, LIVE_MODIFIED };
/* ctime, the change attribute, and mtime where its data or names have changed. The node's lock is held. */
void live_touch(struct live *l, struct live_node *n, enum live_touch how, const struct vfs_time *now);
void live_touch_locking(struct live *l, struct live_node *n, enum live_touch how, const struct vfs_time *now);

/* ---- live_handles.c ---- */

int live_handle_new(struct live *l, struct live_node *n, unsigned flags, vfs_handle *out);
/* Whether it is one of this object and of this kind, opened for all of flags; *has: what it was opened for.
 */
bool live_handle_is(
	struct live *l, const struct live_node *n, vfs_handle handle, unsigned flags, unsigned *has);
/* false: there is no such handle. */
bool live_handle_close(struct live *l, struct live_node *n, vfs_handle handle, unsigned kind);

/* ---- live_load.c ---- */

/* The names of a directory come into memory. The node is pinned, the tree not locked. */
int live_load(struct live *l, struct live_node *d);
/* Two paths of one object, whose names come into memory and stay; exclusive. */
int live_bind_link(struct live *l, const char *path, const char *target, struct error *err);
/* The root of what the tree stands on from now on; exclusive. */
int live_load_root(struct live *l, const struct object_id *commit, struct error *err);

/* Bytes of the journal that make it a revision at once; where little is free on the disk, which has to take
 * the revision beside it, the less. */
#define LIVE_JOURNAL_MOST  (1024ull << 20)
#define LIVE_JOURNAL_LESS  (256ull << 20)
#define LIVE_JOURNAL_SPACE (4096ull << 20)
#define LIVE_DIRTY_MOST    32768u

/* Whether it stands on what is no revision yet. */
static inline bool live_is_draft(const struct live *l)
{
	return !object_id_equal(&l->base, &l->main);
}
#define LIVE_NODES_MOST 49152u
static inline size_t live_nodes_most(const struct live *l)
{
	return l->options.nodes_most ? l->options.nodes_most : LIVE_NODES_MOST;
}
static inline size_t live_dirty_most(const struct live *l)
{
	return l->options.dirty_most ? l->options.dirty_most : LIVE_DIRTY_MOST;
}

/* ---- live_record.c: dirt and the journal ---- */

uint64_t live_journal_most(struct live *l);
/* Waits until the journal has room. To be called without a lock. 0 or -ENOSPC. */
int live_begin(struct live *l);
void live_dirty(struct live *l, struct live_node *n);
/* There is something to commit, though no object is dirty. */
void live_uncommitted(struct live *l);
/* The list of what is dirty, which is empty then; but for a draft nothing is left that a commit waits for. */
struct live_node *live_take_dirty(struct live *l, bool draft);
/* The number of an object in the journal, which is told of it and the directories above; the tree is locked.
 * 0: no name leads to it, and nothing of it need be told. */
int live_number(struct live *l, struct live_node *n, uint64_t *number);
/* Appends what makes a node, which has its number then. */
int live_append_new(struct live *l, struct journal_record *r, const struct buffer *body, struct live_node *n);
/* What live_apply_set() does: values and bits are such as last. The node's lock is held. */
int live_record_set(struct live *l, struct live_node *n, const struct vfs_attributes *v, unsigned what,
	const struct vfs_time *now);

/*
 * Records in the journal (journal.h). Objects have numbers, of a segment each: 1 is the root, others get the
 * next one with their first record in it, NAME or MAKE; a name, of 1 to 255 bytes, is without a NUL. The
 * record's time is the object's ctime, and where contents or names change, its mtime. Bodies, little-endian:
 */
enum live_record {
	LIVE_NAME = 1, /* object: a new number; argument: a directory; body: the name there that it means */
	LIVE_MAKE,     /* object: a new number; argument: a directory; body: u32 mode with the type, u32 uid,
			* u32 gid, u32 major, u32 minor, id[16], u32 size, name; of a symbolic link then
			* u32 size, target */
	LIVE_LINK,     /* object; argument: a directory; body: one more name */
	LIVE_UNLINK,   /* argument: a directory; body: the name, that of an empty directory or of what is none
			*/
	LIVE_RENAME,   /* object: the old directory; argument: the new one; body: u32 flags (enum vfs_rename),
			* u32 size, old name, new name */
	LIVE_SET,      /* object; argument: bits of enum vfs_set; body: u32 mode, u32 uid, u32 gid, u64 size,
			* i64 seconds, u32 nanoseconds of mtime */
	LIVE_WRITE,    /* object, 0: a file without a name; argument: offset; body: the bytes */
	LIVE_ZERO, /* object; argument: offset; body: u64 size, u8 enum live_extent_kind, u8: the file grows
		    * to the end of it */
	LIVE_SETXATTR,   /* object; body: u32 size, name, value */
	LIVE_REMOVEXATTR /* object; body: u32 size, name */
};

int live_replay(struct live *l, struct error *err);

/* ---- changes, without judgement; of what the journal has. The time is the record's. ---- */

struct live_making {
	struct live_node *directory, *node; /* node: new, unnamed */
	struct live_name *name;
};
void live_apply_make(struct live *l, const struct live_making *m, const struct vfs_time *now);
void live_apply_link(struct live *l, const struct live_making *m, const struct vfs_time *now);
/* lost: for the name, made before. */
void live_apply_unlink(
	struct live *l, struct live_name *name, struct live_lost *lost, const struct vfs_time *now);

struct live_renaming {
	struct live_node *from, *to;    /* directories */
	struct live_name *name, *other; /* other: NULL where the new name is free */
	struct live_name *fresh;        /* for the new name, where that is free */
	struct live_lost *lost;         /* for the old name, unless they are exchanged */
	unsigned flags;
};
void live_apply_rename(struct live *l, const struct live_renaming *r, const struct vfs_time *now);

/* The node's lock is held for writing; room was made in its extents. */
void live_apply_set(struct live *l, struct live_node *n, const struct vfs_attributes *v, unsigned what,
	const struct vfs_time *now);
void live_apply_size(struct live *l, struct live_node *n, uint64_t size, uint64_t epoch);
void live_apply_extent(struct live *l, struct live_node *n, const struct live_extent *x, bool grow,
	const struct vfs_time *now);
void live_apply_xattr(struct live *l, struct live_node *n, const char *name, struct live_xattr *set,
	const struct vfs_time *now); /* set: takes the place of that name; NULL: it goes */

struct live_lost *live_lost_new(const char *name, size_t size);
void live_lost_free(struct live_lost *lost); /* all of them */

/* Judging and making ready, also for replay; exclusive. */
int live_prepare_make(struct live *l, struct live_node *d, const char *name, uint32_t mode,
	const uint8_t id[ENTRY_ID_SIZE], struct live_making *m);
void live_abandon_make(struct live *l, struct live_making *m);
int live_judge_rename(struct live *l, struct live_renaming *r, const char *name, const char *new_name);
int live_prepare_rename(struct live *l, struct live_renaming *r, const char *new_name);
void live_abandon_rename(struct live_renaming *r);

/* ---- contents ---- */

struct live_contents {
	struct live *live;
	uint64_t size, base_limit;
	const struct live_extents *extents;
	struct live_base *base; /* NULL: none */
};
/* n bytes that are within the file. 0 or a negative errno. */
int live_contents_read(const struct live_contents *c, void *to, size_t n, uint64_t offset);
/* From offset on, how much of one kind there is. */
int live_contents_run(
	const struct live_contents *c, uint64_t offset, uint64_t *size, enum live_extent_kind *kind);
struct live_contents live_contents_of(struct live *l, struct live_node *n);

struct live_xattr *live_xattr_new(const char *name, const void *value, size_t size);
void live_xattrs_free(struct live_xattr *x);
struct live_xattr *live_xattrs_copy(const struct live_xattr *x, int *error);

/* ---- live_commit.c, live_index.c ---- */

int live_commit_now(struct live *l, const char *author, const char *message, struct object_id *id, bool *made,
	struct error *err);
void *live_thread(void *live); /* makes revisions until l->stop */
struct live_index;
void live_index_free(struct live_index *index);

/* A tree of that revision, without a journal, read-only. keep: as live_load_links(). */
int live_make(struct repository *r, const struct object_id *commit, bool keep, struct live **out,
	struct error *err);

int live_errno(int r); /* of an enum error_code, as the store gives it */

/* ---- the calls of vfs.h, by the file that has them ---- */

/* live_entries.c */
int live_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out);
void live_forget(struct vfs *fs, uint64_t ino, uint64_t times);
int live_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	uint32_t major, uint32_t minor, struct vfs_attributes *out);
int live_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	struct vfs_attributes *out);
int live_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out);
int live_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle);
int live_link(struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out);
int live_unlink(struct vfs *fs, uint64_t parent, const char *name);
int live_rmdir(struct vfs *fs, uint64_t parent, const char *name);
/* live_rename.c */
int live_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags);
/* live_attributes.c */
int live_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out);
int live_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out);
int live_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1]);
/* live_xattrs.c */
int64_t live_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size);
int live_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags);
int64_t live_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size);
int live_removexattr(struct vfs *fs, uint64_t ino, const char *name);
/* live_files.c */
int live_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle);
void live_release(struct vfs *fs, uint64_t ino, vfs_handle handle);
int64_t live_read(struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset);
int64_t live_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset);
int live_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only);
int live_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length);
int64_t live_seek(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence);
/* opens what is there, for create; exclusive */
int live_open_node(struct live *l, struct live_node *n, unsigned flags, vfs_handle *handle);
/* live_listing.c */
int live_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle);
void live_releasedir(struct vfs *fs, uint64_t ino, vfs_handle handle);
int live_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context);
int live_fsyncdir(struct vfs *fs, uint64_t ino);
/* live_persist.c */
int live_persist(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size);
int live_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out);
