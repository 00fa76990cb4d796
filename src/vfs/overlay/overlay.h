/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The union of directories of other file systems: any number of lower ones, which are never changed, and one
 * upper one, which takes every change. As Linux's overlayfs does it
 * (Documentation/filesystems/overlayfs.rst), with the marks of OCI layers as well (image-spec, layer.md,
 * "Whiteouts").
 *
 * Marks. Read in every layer: a character device 0:0 or a file ".wh.NAME" hides NAME below; a directory with
 * the xattr trusted.overlay.opaque or user.overlay.opaque of "y", with a file ".wh..wh..opq" in it, or with a
 * ".wh.NAME" beside it hides what is below it. A name that has both an entry and a ".wh." file in one layer
 * is that entry. Names that begin with ".wh." are never shown, and -EINVAL to make; no device 0:0 is made
 * (-EPERM); xattrs trusted.overlay.* and user.overlay.* are not shown, and a client's own of these names are
 * kept as trusted.overlay.overlay.* and user.overlay.overlay.*, as overlayfs does since Linux 6.7.
 *
 * Copy-up. What is to be changed is first copied into the work directory, synced, and renamed into place: a
 * crash at any instant leaves the old or the new file, and overlay_new() sweeps the work directory. Copied
 * are data with their holes, owner, mode, atime, mtime and xattrs (those that the upper does not have at all
 * are left out, but for security.* and ACLs); directories above first, whose times stay what they were. A
 * file that is opened with VFS_TRUNCATE, or cut, is copied only as far as it is kept. Open files that were
 * opened before the copy read the copy from then on.
 *
 * Hard links. A lower file with several names is copied once: the copy has a link in the index ("index" in
 * the work directory, named after the layer and the lower file's persistent handle), by which all its names
 * lead to it, in later processes too, as long as the lowers stay the same and have persistent handles that
 * tell of nothing but the object (a native one: without kernel_handles). A name by which a copy is changed
 * gets a link in the upper. The index also counts how many of a file's names the union hides, and says
 * whether anything was ever copied: files of an upper without copies are not asked where they come from.
 *
 * Directories that exist in a lower are not renamed (-EXDEV), nor exchanged. Files that are renamed are
 * copied. Two steps are not atomic for a crash, where the form is the kernel's: a rename over something from
 * a name that a lower has, too, may leave the lower's object at the old name.
 *
 * Inode numbers are those of the topmost lower object, or, where there is none, of the upper's, with the
 * layer in the highest bits: they outlive copy-up, forgetting, and, where the upper has xattrs, the process.
 * A number of a layer that is too large for that is hashed, and may be another after it was forgotten if two
 * hashes are the same. With `generation` (the layer's) a number is unique as long as the layers' are.
 * Directories of several layers have 1 link.
 *
 * Listings are in the order of a hash of the names, which is the cookie: so it does not matter which layer
 * holds an entry, and cookies outlive handles and processes. All layers are read for the next entries in that
 * order, up to 32,768 at once for an open directory (some 2 MiB) and 2,048 where there is no handle: memory
 * is bounded by that, and a directory of n entries is read n / 32,768 times. Two names of a directory whose
 * 64-bit hashes are the same may come twice when a listing is interrupted between them.
 *
 * Persistent handles hold those of the layers, of the lower object where there is one. Objects that exist in
 * a lower are found by them while they are known, and `remembered` of them stay known after they were
 * forgotten; others are -ESTALE, but files that were copied and have several names, and all that a union has
 * of which one layer is all. Handles are not to be taken from strangers without a MAC: they lead to all of
 * the upper file system.
 *
 * Locks. `tree` is held for reading while names are looked up in several layers, for writing while names
 * change. A file is copied without it, under one of 64 mutexes chosen by its number, and put in place with it
 * held for writing. Reads and writes of data hold neither. `lock` guards the tables; no layer is called with
 * it held. Order: copying, tree, lock.
 */
#pragma once

#include "base/error.h"
#include "vfs/vfs.h"

struct overlay_layer {
	struct vfs *fs; /* borrowed; it may be the same for several layers, if their trees do not overlap */
	uint64_t directory; /* looked up, and it stays so until the overlay is destroyed */
};

enum overlay_form {
	OVERLAY_OCI,        /* .wh. files; a name over 251 bytes is hidden by a device 0:0 */
	OVERLAY_KERNEL,     /* devices 0:0 and trusted.overlay.opaque */
	OVERLAY_KERNEL_USER /* devices 0:0 and user.overlay.opaque, as overlayfs mounted with userxattr has it
			     */
};

#define OVERLAY_LOWERS_MAX 500u

struct overlay_options {
	const struct overlay_layer *lowers; /* the topmost first; copied */
	size_t lower_count;                 /* 1 to OVERLAY_LOWERS_MAX; 0 with an upper is fine */
	struct overlay_layer upper;         /* fs NULL: none, and the union is read-only */
	uint64_t work; /* of upper.fs: an empty directory, or one that an overlay of this upper had */
	enum overlay_form form; /* that marks are written in */
	uint32_t uid, gid;      /* to whom marks and what is in the work directory belong */
	bool unsynced;          /* copies are not synced: a power cut may leave them empty */
	size_t nodes;           /* objects known at most, -ENFILE beyond; 0: 2,000,000 of about 300 bytes */
	size_t remembered;      /* objects that vfs_persist() was asked for; 0: 65,536 */
};

/* Errors: INVALID (the options, a layer that is no directory), SYSTEM and others of the upper, NO_MEMORY. */
int overlay_new(const struct overlay_options *options, struct vfs **fs, struct error *err);

enum overlay_kind {
	OVERLAY_ADDED,
	OVERLAY_CHANGED, /* its attributes or data may be others; of a directory: its mode, owner or xattrs
			    are */
	OVERLAY_DELETED,
	OVERLAY_OPAQUE /* a directory that was made anew over one of the lowers */
};

struct overlay_change {
	const char *path; /* from the root, without a '/' at its beginning; "" is the root; valid during the
			     call */
	enum overlay_kind kind;
	const struct vfs_attributes *before,
		*now; /* NULL where it is not there; numbers are the layers' own */
};
typedef int overlay_change_call(void *context, const struct overlay_change *change);

/* What is in the union that is not in the lowers alone, and the other way round: every object, also those in
 * directories that were added or deleted, parents first, each directory's names sorted by bytes. Something
 * that has become of another type is deleted, then added. A call that returns other than 0 ends it, with that
 * result. What is changed meanwhile may be told or not. -ENAMETOOLONG: a path of over 1 MiB. */
int overlay_changes(struct vfs *fs, overlay_change_call *call, void *context);
