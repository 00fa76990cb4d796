/* SPDX-License-Identifier: Apache-2.0 */
#include "virtiofs_vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "test.h"

#define LISTING_BYTES 4096u

struct client {
	struct vfs vfs; /* the first member */
	struct front front;
	_Atomic uint64_t unique;
	pthread_mutex_t lock;
	struct map generations; /* of what was looked up, as a kernel keeps them: GETATTR does not tell */
};

static struct client *client_of(struct vfs *fs)
{
	return (struct client *)fs;
}

struct front *virtiofs_vfs_front(struct vfs *fs)
{
	return &client_of(fs)->front;
}

/* ---- requests --------------------------------------------------------------------------------------- */

static uint32_t write_request(struct client *c, struct front_slot *s, const struct fuse_ask *a)
{
	struct fuse_in_header h = {.opcode = a->opcode,
		.nodeid = a->node,
		.unique = atomic_fetch_add(&c->unique, 1) + 1,
		.uid = a->who ? a->who->uid : 0,
		.gid = a->who ? a->who->gid : 0};
	uint32_t size = sizeof h;

	for (int i = 0; i < 3; i++) {
		if (!a->in_size[i])
			continue;
		memcpy(s->request + size, a->in[i], a->in_size[i]);
		size += (uint32_t)a->in_size[i];
	}
	h.len = size;
	memcpy(s->request, &h, sizeof h);
	return size;
}

static int read_answer(const struct front_slot *s, const struct fuse_ask *a)
{
	struct fuse_in_header asked;
	struct fuse_out_header h;
	size_t size;

	memcpy(&asked, s->request, sizeof asked);
	memcpy(&h, s->answer, sizeof h);
	CHECK(s->used >= sizeof h);
	CHECK_INT(h.len, s->used);
	CHECK_INT(h.unique, asked.unique);
	size = h.len - sizeof h;
	CHECK(size <= a->room && (!h.error || !size));
	if (size)
		memcpy(a->out, s->answer + sizeof h, size);
	if (a->got)
		*a->got = size;
	return h.error;
}

int virtiofs_ask(struct vfs *fs, const struct fuse_ask *a)
{
	struct client *c = client_of(fs);
	struct front_slot *s = front_take(&c->front);
	bool answered = a->opcode != FUSE_FORGET;
	uint32_t size = write_request(c, s, a);
	int r = 0;

	front_submit(&c->front, answered, s, size,
		answered ? (uint32_t)(sizeof(struct fuse_out_header) + a->room) : 0);
	if (answered)
		r = read_answer(s, a);
	else
		CHECK_INT(s->used, 0);
	front_give(&c->front, s);
	return r;
}

/* A request whose answer has a fixed size. */
static int ask(struct vfs *fs, uint32_t opcode, uint64_t node, const struct vfs_caller *who, const void *in,
	size_t in_size, const char *name, const char *second, void *out, size_t room)
{
	size_t got = 0;
	const struct fuse_ask a = {.opcode = opcode,
		.node = node,
		.who = who,
		.in = {in, name, second},
		.in_size = {in_size, name ? strlen(name) + 1 : 0, second ? strlen(second) + 1 : 0},
		.out = out,
		.room = room,
		.got = &got};
	int r = virtiofs_ask(fs, &a);

	if (r == 0)
		CHECK_INT(got, room);
	return r;
}

/* ---- objects ---------------------------------------------------------------------------------------- */

static struct vfs_attributes attributes_of(const struct fuse_attr *a)
{
	return (struct vfs_attributes){.ino = a->ino,
		.size = a->size,
		.blocks = a->blocks,
		.mode = a->mode,
		.links = a->nlink,
		.uid = a->uid,
		.gid = a->gid,
		.major = major(a->rdev),
		.minor = minor(a->rdev),
		.block_size = a->blksize,
		.atime = {(int64_t)a->atime, a->atimensec},
		.mtime = {(int64_t)a->mtime, a->mtimensec},
		.ctime = {(int64_t)a->ctime, a->ctimensec},
		.change = a->ctime * 1000000000u + a->ctimensec};
}

static struct vfs_attributes entry_of(struct vfs *fs, const struct fuse_entry_out *e)
{
	struct client *c = client_of(fs);
	struct vfs_attributes a = attributes_of(&e->attr);

	a.ino = e->nodeid;
	a.generation = e->generation;
	pthread_mutex_lock(&c->lock);
	map_set(&c->generations, &a.ino, sizeof a.ino, (void *)(uintptr_t)(a.generation + 1), NULL, NULL);
	pthread_mutex_unlock(&c->lock);
	return a;
}

static struct vfs_attributes known_of(struct vfs *fs, const struct fuse_attr_out *o)
{
	struct client *c = client_of(fs);
	struct vfs_attributes a = attributes_of(&o->attr);
	uintptr_t known;

	pthread_mutex_lock(&c->lock);
	known = (uintptr_t)map_get(&c->generations, &a.ino, sizeof a.ino);
	pthread_mutex_unlock(&c->lock);
	a.generation = known ? known - 1 : 0;
	return a;
}

/* A request that makes or finds an object. */
static int ask_entry(struct vfs *fs, uint32_t opcode, uint64_t node, const struct vfs_caller *who,
	const void *in, size_t in_size, const char *name, const char *second, struct vfs_attributes *out)
{
	struct fuse_entry_out e;
	int r = ask(fs, opcode, node, who, in, in_size, name, second, &e, sizeof e);

	if (r == 0)
		*out = entry_of(fs, &e);
	return r;
}

static int lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	return ask_entry(fs, FUSE_LOOKUP, parent, NULL, NULL, 0, name, NULL, out);
}

static void forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	const struct fuse_forget_in in = {.nlookup = times};

	ask(fs, FUSE_FORGET, ino, NULL, &in, sizeof in, NULL, NULL, NULL, 0);
}

static int getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	const struct fuse_getattr_in in = {
		.getattr_flags = handle == VFS_NO_HANDLE ? 0 : FUSE_GETATTR_FH, .fh = handle};
	struct fuse_attr_out o;
	int r = ask(fs, FUSE_GETATTR, ino, NULL, &in, sizeof in, NULL, NULL, &o, sizeof o);

	if (r == 0)
		*out = known_of(fs, &o);
	return r;
}

static uint32_t valid_of(unsigned what, vfs_handle handle)
{
	static const uint32_t theirs[] = {FATTR_MODE, FATTR_UID, FATTR_GID, FATTR_SIZE, FATTR_ATIME,
		FATTR_MTIME, FATTR_ATIME | FATTR_ATIME_NOW, FATTR_MTIME | FATTR_MTIME_NOW,
		FATTR_KILL_SUIDGID};
	uint32_t valid = handle == VFS_NO_HANDLE ? 0 : FATTR_FH;

	for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
		if (what & 1u << i)
			valid |= theirs[i];
	return valid;
}

static int setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *v, unsigned what, struct vfs_attributes *out)
{
	const struct fuse_setattr_in in = {.valid = valid_of(what, handle),
		.fh = handle,
		.size = v->size,
		.atime = (uint64_t)v->atime.seconds,
		.atimensec = v->atime.nanoseconds,
		.mtime = (uint64_t)v->mtime.seconds,
		.mtimensec = v->mtime.nanoseconds,
		.mode = v->mode,
		.uid = v->uid,
		.gid = v->gid};
	struct fuse_attr_out o;
	int r = ask(fs, FUSE_SETATTR, ino, who, &in, sizeof in, NULL, NULL, &o, sizeof o);

	if (r == 0)
		*out = known_of(fs, &o);
	return r;
}

static int readlink_of(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	size_t got;
	const struct fuse_ask a = {
		.opcode = FUSE_READLINK, .node = ino, .out = target, .room = VFS_PATH_MAX, .got = &got};
	int r = virtiofs_ask(fs, &a);

	if (r == 0)
		target[got] = 0;
	return r;
}

/* ---- names ------------------------------------------------------------------------------------------ */

static int make_node(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	const struct fuse_mknod_in in = {
		.mode = mode & ~who->umask, .rdev = (uint32_t)makedev(major, minor), .umask = who->umask};

	return ask_entry(fs, FUSE_MKNOD, parent, who, &in, sizeof in, name, NULL, out);
}

static int make_directory(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	const struct fuse_mkdir_in in = {.mode = mode & ~who->umask, .umask = who->umask};

	return ask_entry(fs, FUSE_MKDIR, parent, who, &in, sizeof in, name, NULL, out);
}

static int make_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	return ask_entry(fs, FUSE_SYMLINK, parent, who, NULL, 0, name, target, out);
}

static int make_link(
	struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	const struct fuse_link_in in = {.oldnodeid = ino};

	return ask_entry(fs, FUSE_LINK, parent, NULL, &in, sizeof in, name, NULL, out);
}

static int unlink_name(struct vfs *fs, uint64_t parent, const char *name)
{
	return ask(fs, FUSE_UNLINK, parent, NULL, NULL, 0, name, NULL, NULL, 0);
}

static int rmdir_name(struct vfs *fs, uint64_t parent, const char *name)
{
	return ask(fs, FUSE_RMDIR, parent, NULL, NULL, 0, name, NULL, NULL, 0);
}

static int rename_name(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	const struct fuse_rename_in plain = {.newdir = to};
	const struct fuse_rename2_in in = {.newdir = to,
		.flags = (flags & VFS_NO_REPLACE ? RENAME_NOREPLACE : 0u) |
			 (flags & VFS_EXCHANGE ? RENAME_EXCHANGE : 0u)};

	if (!flags)
		return ask(fs, FUSE_RENAME, from, NULL, &plain, sizeof plain, name, new_name, NULL, 0);
	return ask(fs, FUSE_RENAME2, from, NULL, &in, sizeof in, name, new_name, NULL, 0);
}

/* ---- files ------------------------------------------------------------------------------------------ */

static uint32_t flags_of(unsigned flags)
{
	uint32_t o = flags & VFS_WRITE ? flags & VFS_READ ? O_RDWR : O_WRONLY : O_RDONLY;

	return o | (flags & VFS_APPEND ? O_APPEND : 0u) | (flags & VFS_TRUNCATE ? O_TRUNC : 0u) |
	       (flags & VFS_EXCLUSIVE ? O_EXCL : 0u);
}

static int create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	const struct fuse_create_in in = {.flags = flags_of(flags) | O_CREAT,
		.mode = S_IFREG | (mode & ~who->umask),
		.umask = who->umask};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} o;
	int r = ask(fs, FUSE_CREATE, parent, who, &in, sizeof in, name, NULL, &o, sizeof o);

	if (r < 0)
		return r;
	*out = entry_of(fs, &o.entry);
	*handle = o.open.fh;
	return 0;
}

static int open_by(struct vfs *fs, uint32_t opcode, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	const struct fuse_open_in in = {.flags = flags_of(flags)};
	struct fuse_open_out o;
	int r = ask(fs, opcode, ino, NULL, &in, sizeof in, NULL, NULL, &o, sizeof o);

	if (r == 0)
		*handle = o.fh;
	return r;
}

static int open_file(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	return open_by(fs, FUSE_OPEN, ino, flags, handle);
}

static void release_by(struct vfs *fs, uint32_t opcode, uint64_t ino, vfs_handle handle)
{
	const struct fuse_release_in in = {.fh = handle};

	ask(fs, opcode, ino, NULL, &in, sizeof in, NULL, NULL, NULL, 0);
}

static void release_file(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	release_by(fs, FUSE_RELEASE, ino, handle);
}

static int64_t read_by(struct vfs *fs, uint32_t opcode, uint64_t ino, vfs_handle handle, void *bytes,
	size_t size, uint64_t offset)
{
	const struct fuse_read_in in = {.fh = handle, .offset = offset, .size = (uint32_t)size};
	size_t got;
	const struct fuse_ask a = {.opcode = opcode,
		.node = ino,
		.in = {&in},
		.in_size = {sizeof in},
		.out = bytes,
		.room = size,
		.got = &got};
	int r = virtiofs_ask(fs, &a);

	return r < 0 ? r : (int64_t)got;
}

static int64_t read_file(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	return read_by(fs, FUSE_READ, ino, handle, bytes, size, offset);
}

static int64_t write_file(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	const struct fuse_write_in in = {.fh = handle, .offset = offset, .size = (uint32_t)size};
	struct fuse_write_out o;
	const struct fuse_ask a = {.opcode = FUSE_WRITE,
		.node = ino,
		.in = {&in, bytes},
		.in_size = {sizeof in, size},
		.out = &o,
		.room = sizeof o};
	int r = virtiofs_ask(fs, &a);

	return r < 0 ? r : (int64_t)o.size;
}

static int sync_file(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	const struct fuse_fsync_in in = {.fh = handle, .fsync_flags = data_only ? FUSE_FSYNC_FDATASYNC : 0};

	return ask(fs, FUSE_FSYNC, ino, NULL, &in, sizeof in, NULL, NULL, NULL, 0);
}

static int allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	const struct fuse_fallocate_in in = {.fh = handle,
		.offset = offset,
		.length = length,
		.mode = (mode & VFS_KEEP_SIZE ? FALLOC_FL_KEEP_SIZE : 0u) |
			(mode & VFS_PUNCH_HOLE ? FALLOC_FL_PUNCH_HOLE : 0u) |
			(mode & VFS_ZERO_RANGE ? FALLOC_FL_ZERO_RANGE : 0u)};

	return ask(fs, FUSE_FALLOCATE, ino, NULL, &in, sizeof in, NULL, NULL, NULL, 0);
}

static int64_t seek(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	const struct fuse_lseek_in in = {
		.fh = handle, .offset = offset, .whence = whence == VFS_SEEK_DATA ? SEEK_DATA : SEEK_HOLE};
	struct fuse_lseek_out o;
	int r = ask(fs, FUSE_LSEEK, ino, NULL, &in, sizeof in, NULL, NULL, &o, sizeof o);

	return r < 0 ? r : (int64_t)o.offset;
}

/* ---- directories ------------------------------------------------------------------------------------ */

static int open_directory(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	return open_by(fs, FUSE_OPENDIR, ino, VFS_READ, handle);
}

static void release_directory(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	release_by(fs, FUSE_RELEASEDIR, ino, handle);
}

/* The next entry of a listing; NULL at its end. */
static const struct fuse_dirent *next_entry(
	const char **at, const char *end, bool plus, const struct fuse_entry_out **entry)
{
	size_t before = plus ? sizeof **entry : 0;
	const struct fuse_dirent *d = (const void *)(*at + before);

	if (*at == end)
		return NULL;
	CHECK(*at + before + FUSE_NAME_OFFSET <= end);
	*entry = plus ? (const void *)*at : NULL;
	*at += before + FUSE_DIRENT_SIZE(d);
	CHECK(*at <= end);
	return d;
}

/* Hands on what came; what is not taken any more is forgotten. */
static int hand_on(struct vfs *fs, const char *at, const char *end, bool plus, vfs_entry_call *take,
	void *context, uint64_t *cookie)
{
	const struct fuse_entry_out *e = NULL;
	const struct fuse_dirent *d;
	int enough = 0;

	while ((d = next_entry(&at, end, plus, &e))) {
		bool looked_up = e && e->nodeid;
		struct vfs_attributes a = looked_up ? entry_of(fs, e) : (struct vfs_attributes){0};
		const struct vfs_entry entry = {.name = d->name,
			.name_size = d->namelen,
			.ino = looked_up ? a.ino : d->ino,
			.type = DTTOIF(d->type),
			.cookie = d->off,
			.attributes = looked_up ? &a : NULL};

		enough = enough || take(context, &entry);
		if (enough && looked_up)
			forget(fs, e->nodeid, 1);
		if (!enough)
			*cookie = d->off;
	}
	return enough;
}

static int list(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	uint64_t bytes[LISTING_BYTES / sizeof(uint64_t)];
	int64_t n;

	do {
		n = read_by(fs, attributes ? FUSE_READDIRPLUS : FUSE_READDIR, ino, handle, bytes,
			sizeof bytes, cookie);
		if (n > 0 &&
			hand_on(fs, (char *)bytes, (char *)bytes + n, attributes, take, context, &cookie))
			return 0;
	} while (n > 0);
	return (int)n;
}

static int sync_directory(struct vfs *fs, uint64_t ino)
{
	const struct fuse_fsync_in in = {.fh = VFS_NO_HANDLE};

	return ask(fs, FUSE_FSYNCDIR, ino, NULL, &in, sizeof in, NULL, NULL, NULL, 0);
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static int64_t get_text(
	struct vfs *fs, uint32_t opcode, uint64_t ino, const char *name, void *value, size_t size)
{
	const struct fuse_getxattr_in in = {.size = (uint32_t)size};
	struct fuse_getxattr_out o;
	size_t got;
	const struct fuse_ask a = {.opcode = opcode,
		.node = ino,
		.in = {&in, name},
		.in_size = {sizeof in, name ? strlen(name) + 1 : 0},
		.out = size ? value : &o,
		.room = size ? size : sizeof o,
		.got = &got};
	int r = virtiofs_ask(fs, &a);

	return r < 0 ? r : size ? (int64_t)got : (int64_t)o.size;
}

static int64_t getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	return get_text(fs, FUSE_GETXATTR, ino, name, value, size);
}

static int64_t listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	return get_text(fs, FUSE_LISTXATTR, ino, NULL, names, size);
}

static int setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	const struct fuse_setxattr_in in = {.size = (uint32_t)size, .flags = flags};
	const struct fuse_ask a = {.opcode = FUSE_SETXATTR,
		.node = ino,
		.in = {&in, name, value},
		.in_size = {FUSE_COMPAT_SETXATTR_IN_SIZE, strlen(name) + 1, size}};

	return virtiofs_ask(fs, &a);
}

static int removexattr(struct vfs *fs, uint64_t ino, const char *name)
{
	return ask(fs, FUSE_REMOVEXATTR, ino, NULL, NULL, 0, name, NULL, NULL, 0);
}

static int statfs_of(struct vfs *fs, struct vfs_statistics *out)
{
	struct fuse_statfs_out o;
	int r = ask(fs, FUSE_STATFS, FUSE_ROOT_ID, NULL, NULL, 0, NULL, NULL, &o, sizeof o);

	if (r == 0)
		*out = (struct vfs_statistics){.blocks = o.st.blocks,
			.free = o.st.bfree,
			.available = o.st.bavail,
			.files = o.st.files,
			.files_free = o.st.ffree,
			.block_size = o.st.bsize,
			.name_max = o.st.namelen};
	return r;
}

static void destroy(struct vfs *fs)
{
	struct client *c = client_of(fs);

	front_free(&c->front);
	map_free(&c->generations);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static const struct vfs_operations operations = {
	.name = "virtiofs",
	.destroy = destroy,
	.lookup = lookup,
	.forget = forget,
	.getattr = getattr,
	.setattr = setattr,
	.readlink = readlink_of,
	.mknod = make_node,
	.mkdir = make_directory,
	.symlink = make_symlink,
	.link = make_link,
	.unlink = unlink_name,
	.rmdir = rmdir_name,
	.rename = rename_name,
	.create = create,
	.open = open_file,
	.release = release_file,
	.read = read_file,
	.write = write_file,
	.fsync = sync_file,
	.allocate = allocate,
	.seek = seek,
	.opendir = open_directory,
	.releasedir = release_directory,
	.readdir = list,
	.fsyncdir = sync_directory,
	.getxattr = getxattr,
	.setxattr = setxattr,
	.listxattr = listxattr,
	.removexattr = removexattr,
	.statfs = statfs_of,
};

int virtiofs_greet(struct vfs *fs)
{
	const struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 1 << 20,
		.flags = FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS | FUSE_ATOMIC_O_TRUNC |
			 FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT};
	struct fuse_init_out o;
	int r = ask(fs, FUSE_INIT, FUSE_ROOT_ID, NULL, &in, sizeof in, NULL, NULL, &o, sizeof o);

	if (r == 0) {
		CHECK_INT(o.max_write, VFS_IO_MAX);
		CHECK(o.flags & FUSE_HANDLE_KILLPRIV_V2);
	}
	return r;
}

struct vfs *virtiofs_vfs_new(int fd)
{
	struct client *c = calloc(1, sizeof *c);

	CHECK(c != NULL);
	c->vfs.operations = &operations;
	pthread_mutex_init(&c->lock, NULL);
	front_start(&c->front, fd);
	CHECK_INT(virtiofs_greet(&c->vfs), 0);
	return &c->vfs;
}
