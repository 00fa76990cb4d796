/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/message.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "base/cleanup.h"

#define MINOR_MIN 23u /* Linux 3.15: before, some structs were shorter */

/* How a request's body begins. */
struct shape {
	bool known;
	uint16_t fixed; /* bytes of a struct */
	uint16_t names; /* strings behind it, each with its NUL */
};

#define SHAPE(type, count) \
	{ \
		.known = true, .fixed = sizeof(struct type), .names = (count) \
	}
#define NAMES(count) \
	{ \
		.known = true, .names = (count) \
	}

static const struct shape shapes[] = {
	[FUSE_LOOKUP] = NAMES(1),
	[FUSE_FORGET] = SHAPE(fuse_forget_in, 0),
	[FUSE_GETATTR] = SHAPE(fuse_getattr_in, 0),
	[FUSE_SETATTR] = SHAPE(fuse_setattr_in, 0),
	[FUSE_READLINK] = NAMES(0),
	[FUSE_SYMLINK] = NAMES(2),
	[FUSE_MKNOD] = SHAPE(fuse_mknod_in, 1),
	[FUSE_MKDIR] = SHAPE(fuse_mkdir_in, 1),
	[FUSE_UNLINK] = NAMES(1),
	[FUSE_RMDIR] = NAMES(1),
	[FUSE_RENAME] = SHAPE(fuse_rename_in, 2),
	[FUSE_LINK] = SHAPE(fuse_link_in, 1),
	[FUSE_OPEN] = SHAPE(fuse_open_in, 0),
	[FUSE_READ] = SHAPE(fuse_read_in, 0),
	[FUSE_WRITE] = SHAPE(fuse_write_in, 0),
	[FUSE_STATFS] = NAMES(0),
	[FUSE_RELEASE] = SHAPE(fuse_release_in, 0),
	[FUSE_FSYNC] = SHAPE(fuse_fsync_in, 0),
	[FUSE_SETXATTR] = {.known = true, .fixed = FUSE_COMPAT_SETXATTR_IN_SIZE, .names = 1},
	[FUSE_GETXATTR] = SHAPE(fuse_getxattr_in, 1),
	[FUSE_LISTXATTR] = SHAPE(fuse_getxattr_in, 0),
	[FUSE_REMOVEXATTR] = NAMES(1),
	[FUSE_FLUSH] = SHAPE(fuse_flush_in, 0),
	[FUSE_INIT] = {.known = true, .fixed = offsetof(struct fuse_init_in, flags2)},
	[FUSE_OPENDIR] = SHAPE(fuse_open_in, 0),
	[FUSE_READDIR] = SHAPE(fuse_read_in, 0),
	[FUSE_RELEASEDIR] = SHAPE(fuse_release_in, 0),
	[FUSE_FSYNCDIR] = SHAPE(fuse_fsync_in, 0),
	[FUSE_GETLK] = SHAPE(fuse_lk_in, 0),
	[FUSE_SETLK] = SHAPE(fuse_lk_in, 0),
	[FUSE_SETLKW] = SHAPE(fuse_lk_in, 0),
	[FUSE_ACCESS] = SHAPE(fuse_access_in, 0),
	[FUSE_CREATE] = SHAPE(fuse_create_in, 1),
	[FUSE_INTERRUPT] = SHAPE(fuse_interrupt_in, 0),
	[FUSE_BMAP] = SHAPE(fuse_bmap_in, 0),
	[FUSE_DESTROY] = NAMES(0),
	[FUSE_IOCTL] = SHAPE(fuse_ioctl_in, 0),
	[FUSE_POLL] = SHAPE(fuse_poll_in, 0),
	[FUSE_BATCH_FORGET] = SHAPE(fuse_batch_forget_in, 0),
	[FUSE_FALLOCATE] = SHAPE(fuse_fallocate_in, 0),
	[FUSE_READDIRPLUS] = SHAPE(fuse_read_in, 0),
	[FUSE_RENAME2] = SHAPE(fuse_rename2_in, 2),
	[FUSE_LSEEK] = SHAPE(fuse_lseek_in, 0),
	[FUSE_COPY_FILE_RANGE] = SHAPE(fuse_copy_file_range_in, 0),
};

/* What follows the names must have the size that the struct says. */
static bool has_data(uint32_t opcode, const void *body, size_t left)
{
	const struct fuse_batch_forget_in *forgets = body;
	const struct fuse_setxattr_in *xattr = body;
	const struct fuse_write_in *data = body;

	switch (opcode) {
	case FUSE_WRITE:
		return data->size <= left;
	case FUSE_SETXATTR:
		return xattr->size <= left;
	case FUSE_BATCH_FORGET:
		return forgets->count <= left / sizeof(struct fuse_forget_one);
	default:
		return true;
	}
}

static int check_init(const struct fuse_init_in *init, size_t size)
{
	if (init->major != FUSE_KERNEL_VERSION || init->minor < MINOR_MIN)
		return -EPROTO;
	return init->flags & FUSE_INIT_EXT && size < sizeof *init ? -EINVAL : 0;
}

int fuse_message_check(const void *bytes, size_t size)
{
	const struct fuse_in_header *h = bytes;
	const char *at = (const char *)(h + 1);
	const struct shape *shape;
	size_t left;

	if (size < sizeof *h || h->len != size || size > FUSE_MESSAGE_MAX)
		return -EINVAL;
	if (h->opcode >= ARRAY_SIZE(shapes) || !shapes[h->opcode].known)
		return -ENOSYS;
	shape = &shapes[h->opcode];
	left = size - sizeof *h;
	if (left < shape->fixed)
		return -EINVAL;
	at += shape->fixed;
	left -= shape->fixed;
	for (unsigned i = 0; i < shape->names; i++) {
		const char *end = memchr(at, 0, left);

		if (!end)
			return -EINVAL;
		left -= (size_t)(end + 1 - at);
		at = end + 1;
	}
	if (h->opcode == FUSE_INIT)
		return check_init((const void *)(h + 1), size - sizeof *h);
	return has_data(h->opcode, h + 1, left) ? 0 : -EINVAL;
}

bool fuse_message_is_answered(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}
