/* SPDX-License-Identifier: Apache-2.0 */
/* Whom objects belong to and what they may: as the client has set it, and as the host is to have it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vfs/native/native_parts.h"

#define OVERRIDE      "user.containers.override_stat"
#define OVERRIDE_MOST 128

/* ---- the xattr ----------------------------------------------------------------------------------------- */

/* A number up to the character `end` or the end of the text. */
static bool read_number(const char **text, const char *stop, unsigned base, char end, uint32_t *out)
{
	const char *p = *text;
	uint64_t value = 0;

	for (; p < stop && *p >= '0' && *p < '0' + (int)base; p++) {
		value = value * base + (unsigned)(*p - '0');
		if (value > UINT32_MAX)
			return false;
	}
	if (p == *text || (p < stop && *p != end))
		return false;
	*text = p < stop ? p + 1 : p;
	*out = (uint32_t)value;
	return true;
}

static bool is_word(const char *p, const char *stop, const char *word)
{
	return (size_t)(stop - p) == strlen(word) && !memcmp(p, word, (size_t)(stop - p));
}

static bool read_device(const char *p, const char *stop, const char *word, struct native_shown *shown)
{
	size_t n = strlen(word);

	if ((size_t)(stop - p) <= n || memcmp(p, word, n) != 0)
		return false;
	p += n;
	return read_number(&p, stop, 10, '-', &shown->major) && p < stop &&
	       read_number(&p, stop, 10, '\0', &shown->minor) && p == stop;
}

/* Only a regular file stands for something else. */
static void read_type(const char *p, const char *stop, struct native_shown *shown)
{
	uint32_t type = S_IFREG;

	if (!S_ISREG(shown->mode))
		return;
	if (is_word(p, stop, "pipe"))
		type = S_IFIFO;
	else if (is_word(p, stop, "socket"))
		type = S_IFSOCK;
	else if (read_device(p, stop, "char-", shown))
		type = S_IFCHR;
	else if (read_device(p, stop, "block-", shown))
		type = S_IFBLK;
	shown->mode = (shown->mode & ~(uint32_t)S_IFMT) | type;
}

bool native_override_parse(const char *text, size_t n, struct native_shown *shown)
{
	const char *p = text, *stop = text + n;
	struct native_shown s = {.mode = shown->mode & S_IFMT};
	uint32_t mode;

	if (!read_number(&p, stop, 10, ':', &s.uid) || !read_number(&p, stop, 10, ':', &s.gid) ||
		!read_number(&p, stop, 8, ':', &mode))
		return false;
	s.mode |= mode & 07777;
	if (p < stop)
		read_type(p, stop, &s);
	*shown = s;
	return true;
}

int native_override_format(const struct native_shown *shown, char *text, size_t size)
{
	char type[40];

	switch (shown->mode & S_IFMT) {
	case S_IFDIR:
		snprintf(type, sizeof type, "dir");
		break;
	case S_IFIFO:
		snprintf(type, sizeof type, "pipe");
		break;
	case S_IFSOCK:
		snprintf(type, sizeof type, "socket");
		break;
	case S_IFCHR:
	case S_IFBLK:
		snprintf(type, sizeof type, "%s-%" PRIu32 "-%" PRIu32,
			S_ISCHR(shown->mode) ? "char" : "block", shown->major, shown->minor);
		break;
	default:
		snprintf(type, sizeof type, "file");
	}
	return snprintf(text, size, "%" PRIu32 ":%" PRIu32 ":%04" PRIo32 ":%s", shown->uid, shown->gid,
		shown->mode & 07777, type);
}

/* ---- what is shown ------------------------------------------------------------------------------------- */

static bool can_keep(uint32_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode);
}

static uint32_t default_id(const struct native *fs, uint32_t on_host, uint32_t serving, uint32_t shown)
{
	if (fs->options.owners == NATIVE_PLAIN ||
		(fs->options.host_ids && fs->options.owners != NATIVE_SQUASH))
		return on_host;
	return on_host == serving || fs->options.owners == NATIVE_SQUASH ? shown : NATIVE_NOBODY;
}

static void show_host(const struct native *fs, const struct statx *s, struct native_shown *shown)
{
	*shown = (struct native_shown){.mode = s->stx_mode,
		.uid = default_id(fs, s->stx_uid, fs->uid, fs->options.uid),
		.gid = default_id(fs, s->stx_gid, fs->gid, fs->options.gid),
		.major = s->stx_rdev_major,
		.minor = s->stx_rdev_minor};
}

int native_show(struct native *fs, int fd, const struct statx *s, struct native_shown *shown, bool *kept)
{
	char text[OVERRIDE_MOST];
	int64_t n;
	bool found;

	show_host(fs, s, shown);
	if (kept)
		*kept = false;
	if (fs->options.owners == NATIVE_PLAIN || !can_keep(s->stx_mode))
		return 0;
	n = native_get_xattr(fd, OVERRIDE, text, sizeof text);
	if (n < 0)
		return n == -ENOMEM ? -ENOMEM : 0; /* none, too long for one, or not for us to read */
	found = native_override_parse(text, (size_t)n, shown);
	if (kept)
		*kept = true;
	if (found && fs->options.owners == NATIVE_SQUASH) {
		shown->uid = fs->options.uid;
		shown->gid = fs->options.gid;
	}
	return 0;
}

static struct vfs_time time_of(const struct statx_timestamp *t)
{
	return (struct vfs_time){.seconds = t->tv_sec, .nanoseconds = t->tv_nsec};
}

int native_attributes(struct native *fs, struct native_inode *inode, int fd, const struct statx *given,
	struct vfs_attributes *out)
{
	struct native_shown shown;
	struct statx s;
	int r = given ? 0 : native_statx(fd, &s);

	if (r == 0)
		r = native_show(fs, fd, given ? given : &s, &shown, NULL);
	if (r < 0)
		return r;
	if (given)
		s = *given;
	*out = (struct vfs_attributes){.ino = inode->number,
		.generation = inode->is.born,
		.size = s.stx_size,
		.blocks = s.stx_blocks,
		.mode = shown.mode,
		.links = s.stx_nlink,
		.uid = shown.uid,
		.gid = shown.gid,
		.major = shown.major,
		.minor = shown.minor,
		.block_size = s.stx_blksize,
		.atime = time_of(&s.stx_atime),
		.mtime = time_of(&s.stx_mtime),
		.ctime = time_of(&s.stx_ctime),
		.btime = s.stx_mask & STATX_BTIME ? time_of(&s.stx_btime) : (struct vfs_time){0},
		.change = (uint64_t)s.stx_ctime.tv_sec * 1000000000u + s.stx_ctime.tv_nsec +
			  atomic_load(&inode->changes),
		.told = native_is_told(fs, inode, s.stx_nlink)};
	return 0;
}

/* ---- what is set --------------------------------------------------------------------------------------- */

pthread_mutex_t *native_stripe(struct native *fs, const struct native_inode *inode)
{
	return &fs->stripes[inode->number % NATIVE_STRIPES];
}

static int chown_fd(int fd, uint32_t uid, uint32_t gid)
{
	int r;

	do
		r = fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int make_plain(int fd, const struct statx *s, const struct native_shown *shown)
{
	bool other = s->stx_uid != shown->uid || s->stx_gid != shown->gid;
	int r = other ? chown_fd(fd, shown->uid, shown->gid) : 0;

	if (r < 0 || S_ISLNK(s->stx_mode))
		return r;
	/* A chown takes setuid and setgid away. */
	if ((s->stx_mode & 07777) != (shown->mode & 07777) || (other && shown->mode & (S_ISUID | S_ISGID)))
		r = native_chmod(fd, shown->mode);
	return r;
}

static bool must_keep(const struct native *fs, const struct statx *s, const struct native_shown *shown)
{
	uint32_t needed = S_ISDIR(s->stx_mode) ? 0700 : 0400; /* without which the xattr could not be read */
	struct native_shown host;

	show_host(fs, s, &host);
	return shown->uid != host.uid || shown->gid != host.gid || shown->mode & 07000 ||
	       (shown->mode & needed) != needed || (shown->mode & S_IFMT) != (s->stx_mode & S_IFMT);
}

static uint32_t host_mode(const struct statx *s, const struct native_shown *shown, bool keep)
{
	return (shown->mode & 0777) | (S_ISDIR(s->stx_mode) ? 0700 : keep ? 0600 : 0);
}

/* *mode: of the object now. */
static int keep(int fd, const struct native_shown *shown, uint32_t *mode)
{
	char text[OVERRIDE_MOST];
	int n = native_override_format(shown, text, sizeof text), r = 0;

	if ((*mode & 0600) != 0600) { /* an xattr wants u+rw */
		*mode = (*mode & 0777) | 0600;
		r = native_chmod(fd, *mode);
	}
	return r < 0 ? r : native_set_xattr(fd, OVERRIDE, text, (size_t)n, 0);
}

/* There are no user xattrs: what is shown can only be what the host has. */
static int make_unkept(
	struct native *fs, int fd, const struct statx *s, const struct native_shown *shown, bool made)
{
	struct native_shown host;

	show_host(fs, s, &host);
	if ((shown->mode & S_IFMT) != (s->stx_mode & S_IFMT))
		return -EPERM;
	if (!made && fs->options.owners != NATIVE_SQUASH &&
		(shown->uid != host.uid || shown->gid != host.gid || shown->mode & 07000))
		return -EPERM;
	return native_chmod(fd, host_mode(s, shown, false));
}

int native_make_shown(struct native *fs, int fd, const struct statx *s, const struct native_shown *shown,
	bool kept, bool made)
{
	uint32_t now = s->stx_mode & 07777, mode;
	bool wanted;
	int r = 0;

	if (fs->options.owners == NATIVE_PLAIN)
		return make_plain(fd, s, shown);
	if (S_ISLNK(s->stx_mode))
		return 0;
	wanted = must_keep(fs, s, shown);
	mode = host_mode(s, shown, wanted);
	if (!can_keep(s->stx_mode))
		return make_unkept(fs, fd, s, shown, made);
	if (wanted)
		r = keep(fd, shown, &now);
	else if (kept)
		r = native_remove_xattr(fd, OVERRIDE);
	if (wanted && r == -EOPNOTSUPP)
		return make_unkept(fs, fd, s, shown, made);
	if (r < 0 && r != -ENODATA)
		return r;
	return now != mode ? native_chmod(fd, mode) : 0;
}

int native_widen(struct native *fs, struct native_inode *inode, int fd)
{
	pthread_mutex_t *stripe = native_stripe(fs, inode);
	struct native_shown shown;
	uint32_t mode = 0600;
	struct statx s;
	bool kept;
	int r;

	if (fs->options.owners == NATIVE_PLAIN || fs->options.read_only || !S_ISREG(inode->type))
		return -EACCES;
	pthread_mutex_lock(stripe);
	r = native_statx(fd, &s);
	if (r == 0)
		r = s.stx_uid != fs->uid || (s.stx_mode & 0600) == 0600 ? -EACCES : 0;
	if (r == 0)
		r = native_chmod(fd, (s.stx_mode & 0777) | 0600);
	if (r == 0)
		r = native_show(fs, fd, &s, &shown, &kept);
	if (r == 0 && !kept && keep(fd, &shown, &mode) < 0) {
		native_chmod(fd, s.stx_mode);
		r = -EACCES;
	}
	native_changed(fs, inode);
	pthread_mutex_unlock(stripe);
	return r;
}
