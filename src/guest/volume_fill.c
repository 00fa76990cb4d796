/* SPDX-License-Identifier: Apache-2.0 */
/* One tree is packed, and each piece of the archive unpacked into the other as it comes. */
#include "guest/volume_fill.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "guest/attributes.h"
#include "guest/beneath.h"
#include "guest/tree_pack.h"
#include "guest/tree_unpack.h"

CLEANUP_DEFINE(unpack, struct tree_unpack, tree_unpack_free);

static int unpack_piece(void *unpack, const void *data, size_t n, struct error *err)
{
	return tree_unpack_feed(unpack, data, n, err);
}

static int copy_tree(int from, int to, struct error *err)
{
	_cleanup_(cleanup_unpack) struct tree_unpack *u = NULL;
	int r = tree_unpack_new(to, ".", PUT_KEEP_OWNERS | TREE_UNPACK_ALONE, &u, err);

	if (r == 0)
		r = tree_pack(from, ".", unpack_piece, u, err);
	return r < 0 ? r : tree_unpack_finish(u, err);
}

/* Of the directory itself; its time last. */
static int copy_metadata(int from, int to, struct error *err)
{
	struct tar_entry e = {.path = (char *)"."};
	struct stat s;
	int r;

	if (fstat(from, &s) < 0 || fchown(to, s.st_uid, s.st_gid) < 0 || fchmod(to, s.st_mode & 07777) < 0)
		return error_errno(err, errno, "set the owner and the mode of its root");
	r = attributes_read(from, attributes_of_files, &e, err);
	if (r == 0)
		r = attributes_write(to, &e, err);
	attributes_free(&e);
	if (r == 0 && futimens(to, (const struct timespec[2]){s.st_atim, s.st_mtim}) < 0)
		r = error_errno(err, errno, "set the time of its root");
	return r;
}

int volume_fill(int root, const char *path, int to, struct error *err)
{
	_cleanup_fd_ int from = beneath_open(root, path, O_RDONLY | O_DIRECTORY, 0, BENEATH_ROOT);
	int r;

	if (from < 0 && errno != ENOENT && errno != ENOTDIR)
		return error_errno(err, errno, "open it");
	if (from < 0)
		return fchmod(to, 0755) < 0 ? error_errno(err, errno, "set the mode of its root") : 0;
	r = copy_tree(from, to, err);
	return r < 0 ? r : copy_metadata(from, to, err);
}
