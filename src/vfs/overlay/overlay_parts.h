/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of an overlay share. overlay.h tells of the locks. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "vfs/overlay/overlay.h"

#define OVERLAY_STRIPES  64u
#define OVERLAY_UPPER    0u /* the layer's number; lowers follow */
#define OVERLAY_MARK     ".wh."
#define OVERLAY_MARK_LEN 4u
#define OVERLAY_OPQ      ".wh..wh..opq"
#define OVERLAY_TEMP_MAX 32u
#define OVERLAY_KEY_MAX  (VFS_PERSISTENT_MAX - 4u)   /* bytes that stand for a lower object */
#define OVERLAY_HEX_MAX  (2u * OVERLAY_KEY_MAX + 1u) /* as a name in the index */

struct overlay_object {
	uint64_t ino;
	uint32_t layer;
};

/* What is known of a copied file. */
struct overlay_copy {
	uint8_t key[OVERLAY_KEY_MAX]; /* layer and persistent handle of what it was copied from */
	uint8_t key_size;
	bool indexed; /* has a link in the index */
};

struct overlay;

struct overlay_node {
	struct overlay *fs;
	uint64_t number, generation;
	uint64_t lookups;    /* by clients; with the members up to `remembered` guarded by `lock` */
	uint32_t opens;      /* open files and directories */
	uint32_t references; /* all that keeps it: calls, opens, places of children; one for all lookups */
	bool remembered;
	uint32_t type;
	_Atomic uint64_t upper;       /* 0: not there; set once */
	_Atomic uint64_t change_base; /* what is added to the layer's change attribute */
	struct overlay_object *lower; /* topmost first; of a file one at most, kept also when it was copied */
	uint32_t lower_count;
	/* Of directories, and files that have a lower: where it was seen last. Changed with `lock` held and
	 * the tree at least for reading. NULL: the root, or not known. */
	struct overlay_node *parent;
	char *name;
	_Atomic bool placed;       /* the upper has it there */
	_Atomic bool removed;      /* a directory without a name; a lower file whose last name is hidden */
	struct overlay_copy *copy; /* set with the tree held for writing, or before anybody sees it */
	_Atomic uint32_t
		covered; /* how many of the lower file's names the union does not take from the lower */
	uint32_t lower_links;
	struct overlay_node *next_doomed;
};

struct overlay_window;

/* An open file or directory. */
struct overlay_open {
	vfs_handle id;
	struct overlay_node *node;
	uint32_t references; /* guarded by the overlay's lock, with the table */
	bool directory;
	unsigned flags;
	uint32_t layer;
	vfs_handle handle;    /* the layer's */
	pthread_mutex_t lock; /* of what follows */
	vfs_handle copied;    /* of the upper, when the file was copied since; VFS_NO_HANDLE: not yet */
	struct overlay_window *window;
};

struct overlay {
	struct vfs vfs;               /* the first member */
	struct overlay_layer *layers; /* the upper (fs NULL: none), then the lowers */
	uint32_t layer_count;
	uint64_t work, index; /* directories of the upper file system */
	enum overlay_form form;
	struct vfs_caller own; /* to whom belongs what the union makes for itself */
	bool unsynced;
	size_t node_max;
	unsigned shift; /* bits of a number that are the layer's */
	pthread_rwlock_t tree;
	pthread_mutex_t copying[OVERLAY_STRIPES];
	pthread_mutex_t lock;
	struct map by_number, by_object;
	size_t node_count;
	struct overlay_node *root;
	_Atomic uint64_t temps;
	_Atomic bool copies;  /* the upper may hold files that were copied up */
	_Atomic bool indexed; /* the index may hold names */
	struct overlay_open **opens;
	size_t opens_size, opens_hint;
	uint32_t open_sequence;
	struct overlay_node **remembered; /* a ring */
	size_t remembered_max, remembered_at;
};

static inline struct overlay *overlay_of(struct vfs *fs)
{
	return (struct overlay *)fs;
}

static inline struct vfs *overlay_fs(const struct overlay *fs, uint32_t layer)
{
	return fs->layers[layer].fs;
}

static inline struct vfs *overlay_upper(const struct overlay *fs)
{
	return fs->layers[OVERLAY_UPPER].fs;
}

static inline void overlay_tree_release(struct overlay **fs)
{
	if (*fs)
		pthread_rwlock_unlock(&(*fs)->tree);
}
/* The tree is held until the block ends. */
#define _cleanup_tree_ __attribute__((cleanup(overlay_tree_release), unused))
static inline struct overlay *overlay_tree_read(struct overlay *fs)
{
	pthread_rwlock_rdlock(&fs->tree);
	return fs;
}
static inline struct overlay *overlay_tree_write(struct overlay *fs)
{
	pthread_rwlock_wrlock(&fs->tree);
	return fs;
}

/* ---- mark.c: whiteouts and opaque directories -------------------------------------------------------- */

bool overlay_is_mark(const char *name);
bool overlay_is_whiteout(const struct vfs_attributes *a);
bool overlay_is_private(const char *xattr); /* of a layer: a mark, and not a client's */
/* A client's xattr by its name in the layers; -ERANGE: it is too long. */
int overlay_escape(const char *name, char escaped[VFS_XATTR_NAME_MAX + 1]);
size_t overlay_unescape(char *name); /* in place; returns its length */
/* 1: a ".wh." file in the directory hides the name in lower layers; 0; or an error. */
int overlay_hidden(struct overlay *fs, struct overlay_object directory, const char *name);
int overlay_opaque(struct overlay *fs, struct overlay_object directory); /* 1, 0, or an error */
bool overlay_marks_by_device(
	const struct overlay *fs, const char *name); /* that is how this name is hidden */
/* Hides the name below; the upper directory has no entry of that name (device) or may have one (file). */
int overlay_write_whiteout(struct overlay *fs, uint64_t directory, const char *name);
int overlay_drop_whiteout(struct overlay *fs, uint64_t directory, const char *name); /* a ".wh." file */
int overlay_write_opaque(struct overlay *fs, uint64_t directory);
/* An upper directory's whiteouts and opaque marks go, so that it is empty if nothing else is in it. */
int overlay_clear_marks(struct overlay *fs, uint64_t directory);

/* ---- work.c: the work directory ----------------------------------------------------------------------- */

int overlay_work_open(struct overlay *fs, uint64_t work); /* and sweeps it */
void overlay_temp_name(struct overlay *fs, char name[OVERLAY_TEMP_MAX]);
/* Removes the name, with what is in it. */
int overlay_discard(struct overlay *fs, uint64_t directory, const char *name);

/* ---- find.c: a name in the layers of a directory ------------------------------------------------------ */

/* The layers of a directory, topmost first. */
struct overlay_stack {
	const struct overlay_object *objects;
	size_t count;
	uint64_t upper; /* before `objects`; 0: none */
};

struct overlay_found {
	struct overlay *fs;
	struct vfs_attributes top;      /* as the layer has them */
	struct overlay_object *objects; /* topmost first; of a file one; each is looked up */
	size_t count;
	bool here;                 /* the upper has it */
	bool mark;                 /* the upper has a ".wh." file of that name */
	bool device;               /* the upper has a device 0:0 of that name */
	struct overlay_object one; /* the topmost, also when they were taken */
};
void overlay_found_release(struct overlay_found *f);
#define _cleanup_found_ __attribute__((cleanup(overlay_found_release)))

struct overlay_stack overlay_stack_of(const struct overlay_node *directory);
/* -ENOENT, with mark or device set where it is the upper that hides it. The tree is held. f: released by
 * the caller, also after a failure. */
int overlay_find_in(
	struct overlay *fs, const struct overlay_stack *in, const char *name, struct overlay_found *f);
int overlay_find(struct overlay_node *directory, const char *name, struct overlay_found *f);
/* 1: a lower shows the name, if the upper does not hide it; 0; or an error. */
int overlay_below(struct overlay_node *directory, const char *name);

/* ---- node.c: known objects ------------------------------------------------------------------------------
 */

int overlay_nodes_new(struct overlay *fs, struct error *err);
void overlay_nodes_free(struct overlay *fs);
/* With a reference; -ESTALE: not looked up. */
int overlay_get(struct overlay *fs, uint64_t number, struct overlay_node **node);
/* As overlay_get(); -ENOTDIR for what is no directory. */
int overlay_get_directory(struct overlay *fs, uint64_t number, struct overlay_node **node);
void overlay_put(struct overlay_node *node);
static inline void cleanup_overlay_node(struct overlay_node **node)
{
	if (*node)
		overlay_put(*node);
}
#define _cleanup_node_ __attribute__((cleanup(cleanup_overlay_node)))
void overlay_refer(struct overlay_node *node);
/* The node of what was found, seen there; parent NULL: not known where. The tree is held. */
int overlay_enter(struct overlay *fs, struct overlay_found *f, struct overlay_node *parent, const char *name,
	struct overlay_node **node);
struct overlay_node *overlay_known(
	struct overlay *fs, struct overlay_object o); /* NULL, or with a reference */
void overlay_looked_up(struct overlay_node *node);
/* It is at that name now (parent NULL: nowhere). */
int overlay_place(struct overlay_node *node, struct overlay_node *parent, const char *name, bool placed);
bool overlay_is_placed(struct overlay_node *node, const struct overlay_node *parent, const char *name);
/* It has this object in the upper, which is looked up and now the node's. -ENOMEM: nothing has happened. */
int overlay_expect_upper(struct overlay_node *node, uint64_t ino);
void overlay_unexpect_upper(struct overlay_node *node, uint64_t ino);
/* The number that the object has, or would have. */
uint64_t overlay_number(struct overlay *fs, struct overlay_object object);
struct overlay_object overlay_top(const struct overlay_node *node);
void overlay_remember(struct overlay_node *node);

/* ---- copy.c: what a copy has of the original --------------------------------------------------------------
 */

/* to: in the upper. keep: bytes of data at most. */
int overlay_copy_data(struct overlay *fs, struct overlay_object from, uint64_t to, uint64_t keep);
int overlay_copy_xattrs(struct overlay *fs, struct overlay_object from, uint64_t to);
int overlay_copy_attributes(struct overlay *fs, const struct vfs_attributes *from, uint64_t to);

/* ---- index.c: where copies come from
 * ------------------------------------------------------------------------ */

int overlay_key(struct overlay *fs, struct overlay_object lower, uint8_t key[OVERLAY_KEY_MAX], size_t *size);
void overlay_hex(const uint8_t *key, size_t size, char hex[OVERLAY_HEX_MAX]);
int overlay_key_resolve(struct overlay *fs, const uint8_t *key, size_t size, struct overlay_object *lower,
	struct vfs_attributes *a); /* looked up */
/* Notes in the upper file where it comes from. -EOPNOTSUPP where the upper cannot. */
int overlay_write_origin(struct overlay *fs, uint64_t upper, const uint8_t *key, size_t size);
int overlay_write_covered(struct overlay *fs, const uint8_t *key, size_t size, uint32_t covered);
/* An upper that nothing was ever copied into needs not be asked where its files come from. The index says so
 * until the first copy is about to get its name, and no longer after a power cut then. */
int overlay_set_pure(struct overlay *fs); /* 0 also where the upper cannot keep it */
bool overlay_is_pure(struct overlay *fs);
int overlay_unset_pure(struct overlay *fs);

/* What a node of an upper file is to know of its origin; before anybody sees it. */
int overlay_load_origin(struct overlay_node *node);
/* A lower file's copy: the node gets the upper object, where the index has one. */
int overlay_load_index(struct overlay_node *node);
void overlay_cover(struct overlay_node *node); /* one more name of the lower file is not the lower's */
uint64_t overlay_links(struct overlay_node *node, uint64_t layer_links);
/* The index lets go of what has no name in the union any more. The tree is held for writing. */
void overlay_drop_unnamed(struct overlay_node *node);
int overlay_sweep_index(struct overlay *fs);

/* ---- raise.c: copy-up -----------------------------------------------------------------------------------
 */

#define OVERLAY_KEEP_ALL UINT64_MAX

/* The object is in the upper. Neither tree nor lock is held. keep: bytes of the data that are wanted. */
int overlay_raise(struct overlay_node *node, uint64_t keep);
/* The same of a directory, with the tree held for writing. */
int overlay_raise_directory(struct overlay_node *node);
/* The upper has this name of the copied file too; the tree is held for writing. */
int overlay_link_up(struct overlay_node *node, struct overlay_node *parent, const char *name);

/* ---- window.c: the next names of a directory in an order
 * --------------------------------------------------- */

struct overlay_listed {
	uint64_t hash, ino;
	const char *name;
	size_t offset; /* of the name in the window's names */
	uint32_t layer, type;
	uint8_t size;
	bool hides; /* no entry, but a whiteout */
};

struct overlay_position {
	uint64_t hash;
	char name[VFS_NAME_MAX + 1];
};

struct overlay_window {
	struct overlay_listed *entries;
	size_t count, allocated, room;
	char *names;
	size_t names_size, names_allocated;
	bool by_name;                       /* sorted by name; else by hash and name */
	bool complete;                      /* up to the end of the directory */
	struct overlay_position after, end; /* it has what is behind the one, up to the other */
};
struct overlay_window *overlay_window_new(bool by_name, size_t room);
void overlay_window_free(struct overlay_window *w);
CLEANUP_DEFINE(overlay_window, struct overlay_window, overlay_window_free);
#define _cleanup_window_ _cleanup_(cleanup_overlay_window)
uint64_t overlay_hash(const char *name, size_t size);
/* The names behind a place, those that are hidden left out; there may be none, and yet more to come. NULL:
 * from the beginning. The tree is held. */
int overlay_window_fill(struct overlay *fs, struct overlay_window *w, const struct overlay_stack *of,
	const struct overlay_position *after);
int overlay_is_empty(struct overlay_node *directory); /* 1, 0, or an error; the tree is held for writing */

/* ---- opens.c: handles -------------------------------------------------------------------------------------
 */

/* The node keeps a count of it. layer and handle become its own. */
int overlay_open_new(
	struct overlay_node *node, unsigned flags, uint32_t layer, vfs_handle handle, vfs_handle *id);
int overlay_open_get(struct overlay *fs, uint64_t number, vfs_handle id, bool directory,
	struct overlay_open **open); /* -EBADF; with a reference */
void overlay_open_put(struct overlay_open *open);
static inline void cleanup_overlay_open(struct overlay_open **open)
{
	if (*open)
		overlay_open_put(*open);
}
#define _cleanup_open_ __attribute__((cleanup(cleanup_overlay_open)))
void overlay_open_close(struct overlay *fs, uint64_t number, vfs_handle id, bool directory);
void overlay_opens_free(struct overlay *fs);

/* ---- attributes.c
 * ------------------------------------------------------------------------------------------- */

/* The layer's attributes as the union shows them. */
void overlay_show(struct overlay_node *node, struct vfs_attributes *a);
int overlay_attributes(struct overlay_node *node, struct vfs_attributes *out);
/* The same where the node was entered by what was found: the layer is asked again only where it was copied up
 * meanwhile. */
int overlay_attributes_found(
	struct overlay_node *node, const struct overlay_found *f, struct vfs_attributes *out);

/* ---- the calls
 * ---------------------------------------------------------------------------------------------- */

int overlay_lookup(struct vfs *vfs, uint64_t parent, const char *name, struct vfs_attributes *out);
void overlay_forget(struct vfs *vfs, uint64_t ino, uint64_t times);
int overlay_getattr(struct vfs *vfs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out);
int overlay_setattr(struct vfs *vfs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out);
int overlay_readlink(struct vfs *vfs, uint64_t ino, char target[VFS_PATH_MAX + 1]);
int64_t overlay_getxattr(struct vfs *vfs, uint64_t ino, const char *name, void *value, size_t size);
int overlay_setxattr(
	struct vfs *vfs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags);
int64_t overlay_listxattr(struct vfs *vfs, uint64_t ino, char *names, size_t size);
int overlay_removexattr(struct vfs *vfs, uint64_t ino, const char *name);

int overlay_mknod(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out);
int overlay_mkdir(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out);
int overlay_symlink(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out);
int overlay_create(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle);
int overlay_link(
	struct vfs *vfs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out);
int overlay_unlink(struct vfs *vfs, uint64_t parent, const char *name);
int overlay_rmdir(struct vfs *vfs, uint64_t parent, const char *name);
int overlay_rename(
	struct vfs *vfs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags);

int overlay_open(struct vfs *vfs, uint64_t ino, unsigned flags, vfs_handle *handle);
int overlay_open_node(struct overlay_node *node, unsigned flags, vfs_handle *handle);
void overlay_release(struct vfs *vfs, uint64_t ino, vfs_handle handle);
int64_t overlay_read(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset);
int64_t overlay_write(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset);
int overlay_fsync(struct vfs *vfs, uint64_t ino, vfs_handle handle, bool data_only);
int overlay_allocate(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length);
int64_t overlay_seek(struct vfs *vfs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence);

int overlay_opendir(struct vfs *vfs, uint64_t ino, vfs_handle *handle);
void overlay_releasedir(struct vfs *vfs, uint64_t ino, vfs_handle handle);
int overlay_readdir(struct vfs *vfs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context);
int overlay_fsyncdir(struct vfs *vfs, uint64_t ino);

int overlay_persist(struct vfs *vfs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size);
int overlay_resolve(struct vfs *vfs, const uint8_t *bytes, size_t size, struct vfs_attributes *out);
