/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large reads of what is in the kernel's cache: sent from the file's mapping they are copied once, not to us
 * and from us. Nothing here looks at mapped bytes; a file that is cut meanwhile is found out by the system
 * call that sends it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "vfs/nfs3/parts.h"

int nfs3_tail_send(struct nfs3_tail *t, int fd)
{
	while (t->size > 0) {
		ssize_t n = send(fd, t->bytes, t->size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		t->bytes += n;
		t->offset += (size_t)n;
		t->size -= (size_t)n;
	}
	return 0;
}

bool nfs3_tail_take(struct nfs3_tail *t, void *bytes)
{
	struct nfs3_open *o = t->open;
	int64_t n = vfs_read(o->object.fs, o->object.a.ino, o->handle, bytes, t->size, t->offset);

	if (n < 0)
		return false;
	memset((uint8_t *)bytes + n, 0, t->size - (size_t)n);
	t->size = 0;
	return true;
}

void nfs3_tail_end(struct nfs3_tail *t)
{
	if (t->open)
		nfs3_open_give(t->server, t->open);
	*t = (struct nfs3_tail){0};
}
