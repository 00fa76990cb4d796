/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other processes of the host do beneath the directory, told to a watcher (vfs/vfs.h): by fanotify(7),
 * which any user may have for directories that he may read (Linux 5.13), and which says of each event whether
 * it was this process's own doing: those are left out.
 *
 * A directory is watched from the time that it is looked up, for as long as it exists, up to WATCHES_MOST of
 * them; where the kernel or the host's file system cannot, it is not, and neither it nor what is in it is
 * `told`. An event names the directory by what name_to_handle_at(2) gives, and is told PAUSE later: by then
 * whatever an earlier call answered has arrived, and many of them cost one waking.
 *
 * Not seen: what is written to a file with several names by one in another directory (such files are never
 * `told`), that a file has got a further name in a directory that is not watched, and what is written to a
 * mapped file before the last who has it open lets go.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "vfs/native/native_parts.h"

#define WATCHES_MOST 8192u
#define BUCKETS      4096u
#define PAUSE        MILLISECONDS(100)
#define HANDLE_MOST  128u /* bytes: MAX_HANDLE_SZ of Linux */
#define READS_MOST   64   /* one behind the other: more than the kernel keeps */

#define NAMES    (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)
#define CONTENTS (FAN_MODIFY | FAN_CLOSE_WRITE)
#define EVENTS   (NAMES | CONTENTS | FAN_ATTRIB | FAN_DELETE_SELF | FAN_ONDIR | FAN_EVENT_ON_CHILD)

struct native_watch {
	struct native_watch *next;
	struct native_inode *inode; /* NULL: it was forgotten */
	uint64_t number;
	uint32_t device; /* as in struct native_identity */
	struct file_handle handle;
};

struct native_watcher {
	struct vfs_watcher told;
	int events, stop; /* fanotify, and an eventfd */
	pthread_t thread;
	pid_t self;
	uint32_t count;
	struct native_watch *buckets[BUCKETS]; /* by handle; guarded by native.lock */
	_Alignas(struct fanotify_event_metadata) char bytes[65536];
};

/* ---- which directories --------------------------------------------------------------------------------- */

static struct native_watch **bucket_of(struct native_watcher *w, const struct file_handle *h)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (unsigned i = 0; i < h->handle_bytes; i++)
		hash = (hash ^ h->f_handle[i]) * 16777619u;
	return &w->buckets[hash % BUCKETS];
}

static struct native_watch **find(struct native_watcher *w, const struct file_handle *h)
{
	struct native_watch **p = bucket_of(w, h);

	while (*p &&
		((*p)->handle.handle_type != h->handle_type || (*p)->handle.handle_bytes != h->handle_bytes ||
			memcmp((*p)->handle.f_handle, h->f_handle, h->handle_bytes) != 0))
		p = &(*p)->next;
	return p;
}

/* The lock is held. */
static bool enter(struct native_watcher *w, struct native_inode *inode, const struct file_handle *h)
{
	struct native_watch **p = find(w, h), *watch = *p;

	if (!watch) {
		watch = w->count < WATCHES_MOST ? calloc(1, sizeof *watch + h->handle_bytes) : NULL;
		if (!watch)
			return false;
		memcpy(&watch->handle, h, sizeof *h + h->handle_bytes);
		*p = watch;
		w->count++;
	}
	if (watch->inode)
		watch->inode->watch = NULL;
	watch->inode = inode;
	watch->number = inode->number;
	watch->device = inode->is.device;
	inode->watch = watch;
	return true;
}

bool native_watch_directory(struct native *fs, struct native_inode *inode, int fd)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + HANDLE_MOST];
	} h = {.handle.handle_bytes = HANDLE_MOST};
	struct native_watcher *w = fs->watcher;
	bool room, entered;
	int mount;

	if (!w || !S_ISDIR(inode->type))
		return false;
	native_lock(fs);
	room = !inode->watch && w->count < WATCHES_MOST;
	native_unlock(fs);
	if (!room || name_to_handle_at(fd, "", &h.handle, &mount, AT_EMPTY_PATH) < 0 ||
		h.handle.handle_bytes > HANDLE_MOST ||
		fanotify_mark(w->events, FAN_MARK_ADD | FAN_MARK_ONLYDIR, EVENTS, fd, ".") < 0)
		return false;
	native_lock(fs);
	entered = enter(w, inode, &h.handle);
	native_unlock(fs);
	return entered;
}

bool native_wants_watch(struct native *fs, const struct statx *s)
{
	struct native_watcher *w = fs->watcher;
	struct native_identity is = native_identity_of(fs, s);
	const struct native_inode *inode;
	bool wanted;

	if (!w || !S_ISDIR(s->stx_mode))
		return false;
	native_lock(fs);
	inode = native_find(fs, &is, s->stx_mode & S_IFMT);
	wanted = (!inode || !inode->watch) && w->count < WATCHES_MOST;
	native_unlock(fs);
	return wanted;
}

void native_watch_leave(struct native *fs, struct native_inode *inode)
{
	(void)fs;
	if (inode->watch)
		inode->watch->inode = NULL;
	inode->watch = NULL;
}

static bool is_watched(const struct native_place *place)
{
	return place && place->parent->watch;
}

bool native_is_told(struct native *fs, const struct native_inode *inode, uint32_t links)
{
	bool told;

	if (!fs->watcher)
		return false;
	native_lock(fs);
	if (S_ISDIR(inode->type))
		told = inode->watch && (inode == fs->root || is_watched(inode->place));
	else
		told = links == 1 && is_watched(inode->place);
	native_unlock(fs);
	return told;
}

bool native_watched(struct vfs *vfs, uint64_t ino)
{
	struct native *fs = native_of(vfs);
	struct native_inode *inode;
	bool watched;

	if (!fs->watcher)
		return false;
	native_lock(fs);
	inode = native_find_number(fs, ino);
	watched = inode && inode->watch;
	native_unlock(fs);
	return watched;
}

uint64_t native_version(struct vfs *vfs, uint64_t ino)
{
	struct native *fs = native_of(vfs);
	struct native_inode *inode;
	uint64_t version;

	native_lock(fs);
	inode = native_find_number(fs, ino);
	version = inode && inode->watch ? inode->version : 0;
	native_unlock(fs);
	return version;
}

/* ---- events -------------------------------------------------------------------------------------------- */

struct event {
	uint64_t mask;
	const struct file_handle *directory;
	const char *name; /* "." for the directory itself */
};

/* Linux 5.17, include/uapi/linux/fanotify.h: what follows the event's head, *m, which is `head` in memory
 * that is aligned for 32 bits only. */
static bool parse(const struct fanotify_event_metadata *m, const char *head, struct event *e)
{
	const struct fanotify_event_info_fid *info = (const void *)(head + sizeof *m);
	const char *end = head + m->event_len;

	if (m->event_len < sizeof *m + sizeof *info + sizeof *e->directory ||
		info->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME)
		return false;
	e->mask = m->mask;
	e->directory = (const void *)info->handle;
	if (e->directory->handle_bytes > HANDLE_MOST)
		return false;
	e->name = (const char *)e->directory->f_handle + e->directory->handle_bytes;
	return e->name < end && memchr(e->name, 0, (size_t)(end - e->name));
}

/* Whatever has the name now. */
static void tell_of_child(struct native *fs, const struct native_watch *watch, const struct event *e)
{
	struct native_watcher *w = fs->watcher;
	_cleanup_pin_ struct native_pin directory = {.fd = -1};
	struct native_identity is;
	struct statx s;
	uint64_t number;

	if (native_pin(fs, watch->number, &directory) < 0 ||
		native_statx_name(directory.fd, e->name, &s) < 0) {
		w->told.name(w->told.context, watch->number, e->name);
		return;
	}
	is = native_identity_of(fs, &s);
	native_lock(fs);
	number = native_number(fs, is.device, is.ino);
	native_unlock(fs);
	w->told.object(w->told.context, number, e->mask & CONTENTS);
}

static void tell(struct native *fs, const struct native_watch *watch, const struct event *e)
{
	struct native_watcher *w = fs->watcher;
	bool itself = !strcmp(e->name, ".");

	if (itself)
		w->told.object(w->told.context, watch->number, false);
	else if (e->mask & NAMES)
		w->told.name(w->told.context, watch->number, e->name);
	else if (e->mask & (CONTENTS | FAN_ATTRIB))
		tell_of_child(fs, watch, e);
}

/* It exists no more. The lock is held. */
static void drop(struct native_watcher *w, struct native_watch **p)
{
	struct native_watch *watch = *p;

	*p = watch->next;
	if (watch->inode)
		watch->inode->watch = NULL;
	free(watch);
	w->count--;
}

static void take_event(struct native *fs, const struct fanotify_event_metadata *m, const char *head)
{
	bool ours = m->pid == fs->watcher->self;
	struct native_watch **p, watch;
	struct event e;

	if (!parse(m, head, &e) || (ours && !(e.mask & FAN_DELETE_SELF)))
		return;
	native_lock(fs);
	p = find(fs->watcher, e.directory);
	if (*p)
		watch = **p;
	else
		ours = true;
	if (!ours && watch.inode)
		native_touch(fs, watch.inode);
	if (*p && e.mask & FAN_DELETE_SELF)
		drop(fs->watcher, p);
	native_unlock(fs);
	if (!ours && fs->watcher->told.name)
		tell(fs, &watch, &e);
}

/* More has happened than the kernel kept: everything that is known may be otherwise. */
static void tell_all(struct native *fs)
{
	struct native_watcher *w = fs->watcher;
	uint64_t *numbers;
	size_t count = 0;

	native_lock(fs);
	numbers = w->told.object ? calloc(fs->count + 1, sizeof *numbers) : NULL;
	for (size_t b = 0; b < fs->buckets; b++)
		for (struct native_inode *i = fs->by_number[b]; i; i = i->next_by_number) {
			i->version = ++fs->versions;
			if (numbers)
				numbers[count++] = i->number;
		}
	native_unlock(fs);
	for (size_t i = 0; i < count; i++)
		w->told.object(w->told.context, numbers[i], true);
	free(numbers);
}

/* False: there are none. */
static bool take_events(struct native *fs)
{
	struct native_watcher *w = fs->watcher;
	ssize_t n = read(w->events, w->bytes, sizeof w->bytes);
	size_t left = n > 0 ? (size_t)n : 0;
	const char *at = w->bytes;
	struct fanotify_event_metadata m;

	for (; left >= sizeof m; at += m.event_len, left -= m.event_len) {
		memcpy(&m, at, sizeof m);
		if (m.event_len < sizeof m || m.event_len > left || m.vers != FANOTIFY_METADATA_VERSION)
			return false;
		if (m.mask & FAN_Q_OVERFLOW)
			tell_all(fs);
		else
			take_event(fs, &m, at);
	}
	return n > 0;
}

static void *run(void *context)
{
	struct native *fs = context;
	struct pollfd p[] = {
		{.fd = fs->watcher->events, .events = POLLIN}, {.fd = fs->watcher->stop, .events = POLLIN}};

	for (;;) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents || poll(&p[1], 1, (int)(PAUSE / MILLISECONDS(1))) > 0)
			break;
		for (int reads = 0; reads < READS_MOST && take_events(fs); reads++)
			;
	}
	return NULL;
}

/* ---- beginning and end --------------------------------------------------------------------------------- */

/* The lock is held. */
static void forget_all(struct native_watcher *w)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (w->buckets[i])
			drop(w, &w->buckets[i]);
}

static void watcher_close(struct native_watcher *w)
{
	if (w->events >= 0)
		close(w->events);
	if (w->stop >= 0)
		close(w->stop);
	free(w);
}

int native_watch(struct vfs *vfs, const struct vfs_watcher *watcher)
{
	struct native *fs = native_of(vfs);
	struct native_watcher *w = calloc(1, sizeof *w);
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->told = *watcher;
	w->self = getpid();
	w->stop = eventfd(0, EFD_CLOEXEC);
	w->events = fanotify_init(
		FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);
	if (w->events < 0 || w->stop < 0)
		r = -errno;
	fs->watcher = w;
	if (r == 0)
		r = native_watch_directory(fs, fs->root, fs->root_fd) ? 0 : -EOPNOTSUPP;
	if (r == 0)
		r = -pthread_create(&w->thread, NULL, run, fs);
	if (r < 0) {
		native_lock(fs);
		forget_all(w);
		fs->watcher = NULL;
		native_unlock(fs);
		watcher_close(w);
	}
	return r;
}

void native_unwatch(struct vfs *vfs)
{
	struct native *fs = native_of(vfs);
	struct native_watcher *w = fs->watcher;

	if (!w)
		return;
	eventfd_write(w->stop, 1);
	pthread_join(w->thread, NULL);
	native_lock(fs);
	forget_all(w);
	fs->watcher = NULL;
	native_unlock(fs);
	watcher_close(w);
}
