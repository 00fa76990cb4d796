/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories are read by getdents64(), and a cookie is the d_off that the host's file system gives an entry:
 * it is good for as long as the host says so. What was read and not taken is kept for the next call that goes
 * on there; a call from the beginning, or from elsewhere, reads anew.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "vfs/native/native_parts.h"

#define CONFIRMED_FOR MILLISECONDS(1000)
#define LISTED_BYTES  8192 /* of a directory at once: about as many entries as an answer holds */

struct native_listing {
	pthread_mutex_t lock; /* also over the caller's take() */
	uint64_t next;        /* the cookie of what stands at `at` */
	uint64_t checked;     /* clock_monotonic() when the directory was seen to be beneath */
	size_t at, size;
	_Alignas(struct dirent64) char bytes[LISTED_BYTES];
};

struct native_listing *native_listing_new(void)
{
	struct native_listing *listing = malloc(sizeof *listing);

	if (!listing)
		return NULL;
	pthread_mutex_init(&listing->lock, NULL);
	listing->at = listing->size = 0;
	listing->next = 0;
	listing->checked = clock_monotonic();
	return listing;
}

void native_listing_free(struct native_listing *listing)
{
	if (listing)
		pthread_mutex_destroy(&listing->lock);
	free(listing);
}
CLEANUP_DEFINE(listing, struct native_listing, native_listing_free);

static int open_directory(struct native *fs, const struct native_pin *pin)
{
	if (!S_ISDIR(pin->inode->type))
		return -ENOTDIR;
	return native_reopen(fs, pin->fd, O_RDONLY | O_DIRECTORY);
}

int native_opendir(struct vfs *vfs, uint64_t ino, vfs_handle *handle)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	int r = native_pin(fs, ino, &pin), fd;

	if (r < 0)
		return r;
	fd = open_directory(fs, &pin);
	return fd < 0 ? fd : native_open_new(fs, pin.inode, fd, true, handle);
}

#define COOKIE_DOT    1u /* behind "." */
#define COOKIE_DOTDOT 2u

/* The last ones are what file systems give the last entry: they stay, so that none is negative as an off_t.
 */
static uint64_t cookie_of(const struct dirent64 *d)
{
	return (uint64_t)d->d_off + (d->d_off <= INT64_MAX - (int64_t)COOKIE_DOTDOT ? COOKIE_DOTDOT : 0);
}

static off_t position_of(uint64_t cookie)
{
	return (off_t)(cookie - (cookie <= INT64_MAX - COOKIE_DOTDOT ? COOKIE_DOTDOT : 0));
}

/* ext4 takes no position in one whose names are gone (it has no hash tree any more: seek to a hash is
 * EINVAL).
 */
static bool is_removed(int fd)
{
	struct stat s;

	return fstat(fd, &s) == 0 && s.st_nlink == 0;
}

/* 1: there is something at `at`; 0: the end. */
static int fill(struct native_listing *listing, int fd, uint64_t cookie)
{
	ssize_t n;

	if (cookie != COOKIE_DOTDOT && listing->next == cookie && listing->at < listing->size)
		return 1;
	if (cookie > INT64_MAX || lseek(fd, position_of(cookie), SEEK_SET) < 0)
		return is_removed(fd) ? 0 : -EINVAL;
	do
		n = getdents64(fd, listing->bytes, sizeof listing->bytes);
	while (n < 0 && errno == EINTR);
	listing->at = 0;
	listing->size = n < 0 ? 0 : (size_t)n;
	listing->next = cookie;
	if (n < 0)
		return errno == ENOENT ? 0 : -errno; /* removed: empty */
	return n > 0;
}

static uint32_t type_of(const struct native_pin *pin, const struct dirent64 *d)
{
	struct native *fs = pin->fs;
	struct native_shown shown;
	struct statx s;
	int fd, r;

	if (d->d_type != DT_UNKNOWN && (d->d_type != DT_REG || fs->options.owners == NATIVE_PLAIN))
		return DTTOIF((uint32_t)d->d_type);
	if (native_statx_name(pin->fd, d->d_name, &s) < 0)
		return DTTOIF((uint32_t)d->d_type);
	if (!S_ISREG(s.stx_mode) || s.stx_size || fs->options.owners == NATIVE_PLAIN)
		return s.stx_mode & S_IFMT;
	/* An empty file may stand for something else. */
	fd = native_open_name(fs, pin->fd, d->d_name);
	if (fd < 0)
		return s.stx_mode & S_IFMT;
	r = native_statx(fd, &s);
	if (r == 0)
		r = native_show(fs, fd, &s, &shown, NULL);
	close(fd);
	return r < 0 ? S_IFREG : shown.mode & S_IFMT;
}

static uint64_t number_of(const struct native_pin *pin, const struct dirent64 *d)
{
	uint64_t number;

	native_lock(pin->fs);
	number = native_number(pin->fs, pin->inode->is.device, d->d_ino);
	native_unlock(pin->fs);
	return number;
}

/* "." and ".."; the exported directory is its own parent. */
static int give_dots(const struct native_pin *pin, uint64_t cookie, vfs_entry_call *take, void *context)
{
	struct vfs_entry entry = {.name = cookie ? ".." : ".",
		.name_size = cookie ? 2 : 1,
		.type = S_IFDIR,
		.cookie = cookie + 1};
	const struct native_inode *inode = pin->inode;

	native_lock(pin->fs);
	if (cookie == COOKIE_DOT && inode->place)
		inode = inode->place->parent;
	entry.ino = inode->number;
	native_unlock(pin->fs);
	return take(context, &entry);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Also looked up, where that is wanted and succeeds; then true. */
static bool look_entry(const struct native_pin *pin, const char *name, struct vfs_attributes *attributes)
{
	struct native_inode *inode;
	struct statx s;
	int fd;

	if (native_look_closed(pin, name, attributes) == 0)
		return true;
	return native_look(pin, name, &s, &inode, &fd) == 0 &&
	       native_looked_up(pin, inode, fd, &s, attributes) == 0;
}

/* 0: taken. */
static int give_entry(const struct native_pin *pin, const struct dirent64 *d, bool wanted,
	vfs_entry_call *take, void *context)
{
	struct vfs_attributes attributes;
	struct vfs_entry entry = {.name = d->d_name, .name_size = strlen(d->d_name), .cookie = cookie_of(d)};
	int r;

	if (wanted && look_entry(pin, d->d_name, &attributes)) {
		entry.attributes = &attributes;
		entry.ino = attributes.ino;
		entry.type = attributes.mode & S_IFMT;
	} else {
		entry.ino = number_of(pin, d);
		entry.type = type_of(pin, d);
	}
	r = take(context, &entry);
	if (r && entry.attributes)
		native_forget(&pin->fs->vfs, entry.ino, 1);
	return r;
}

static int list(const struct native_pin *pin, struct native_listing *listing, int fd, uint64_t cookie,
	bool attributes, vfs_entry_call *take, void *context)
{
	int r;

	native_watch_directory(pin->fs, pin->inode, pin->fd);
	for (; cookie < COOKIE_DOTDOT; cookie++)
		if (give_dots(pin, cookie, take, context))
			return 0;
	while ((r = fill(listing, fd, cookie)) > 0) {
		const struct dirent64 *d = (const struct dirent64 *)(listing->bytes + listing->at);

		if (!is_dots(d->d_name) && give_entry(pin, d, attributes, take, context))
			return 0;
		cookie = cookie_of(d);
		listing->next = cookie;
		listing->at += d->d_reclen;
	}
	return r;
}

/* An open directory, too, is read only where it is beneath. */
static int confirm(const struct native_pin *pin, struct native_listing *listing)
{
	uint64_t now = clock_monotonic();

	if (now - listing->checked <= CONFIRMED_FOR || pin->inode == pin->fs->root)
		return 0;
	listing->checked = now;
	return native_confirm(pin->fs, pin->inode, pin->fd);
}

static int list_open(
	const struct native_pin *pin, uint64_t cookie, bool attributes, vfs_entry_call *take, void *context)
{
	struct native_listing *listing = pin->open->listing;
	int r;

	pthread_mutex_lock(&listing->lock);
	r = confirm(pin, listing);
	if (r == 0)
		r = list(pin, listing, pin->fd, cookie, attributes, take, context);
	pthread_mutex_unlock(&listing->lock);
	return r;
}

int native_readdir(struct vfs *vfs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	struct native *fs = native_of(vfs);
	_cleanup_(cleanup_listing) struct native_listing *own = NULL;
	_cleanup_pin_ struct native_pin pin;
	_cleanup_fd_ int fd = -1;
	int r = native_pin_handle(fs, ino, handle, true, &pin);

	if (r < 0)
		return r;
	if (handle != VFS_NO_HANDLE)
		return list_open(&pin, cookie, attributes, take, context);
	fd = open_directory(fs, &pin);
	if (fd < 0)
		return fd;
	own = native_listing_new();
	return own ? list(&pin, own, fd, cookie, attributes, take, context) : -ENOMEM;
}

int native_fsyncdir(struct vfs *vfs, uint64_t ino)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	_cleanup_fd_ int fd = -1;
	int r = native_pin(fs, ino, &pin);

	if (r < 0)
		return r;
	fd = open_directory(fs, &pin);
	if (fd < 0)
		return fd;
	do
		r = fsync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}
