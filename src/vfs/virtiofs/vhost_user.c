/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/virtiofs/vhost_user.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/descriptors.h"

#define VERSION      1u
#define VERSION_MASK 3u
#define IS_REPLY     4u
#define WANTS_REPLY  8u

#define PAYLOAD_MAX      sizeof(struct vhost_table)
#define VHOST_TABLE_SIZE offsetof(struct vhost_table, regions) /* at least */

_Static_assert(DESCRIPTORS_MAX >= VHOST_FDS_MAX, "descriptors_receive() takes them all");

struct header {
	uint32_t request, flags, size;
};

enum fds { NO_FDS, AT_MOST_ONE, ONE_PER_REGION };

static const struct kind {
	const char *name;
	size_t size;
	enum fds fds;
} kinds[] = {
#define X(text, number, bytes, descriptors) [number] = {.name = #text, .size = (bytes), .fds = (descriptors)},
	VHOST_REQUESTS(X)
#undef X
};

void vhost_message_close(struct vhost_message *m)
{
	for (int i = 0; i < m->fd_count; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->fd_count = 0;
}

/* 1, or 0 at the end. */
static int read_fully(int socket, void *bytes, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = recv(socket, (char *)bytes + have, size - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		have += (size_t)n;
	}
	return 1;
}

static int receive_header(int socket, struct header *h, struct vhost_message *m)
{
	ssize_t n;

	m->fd_count = VHOST_FDS_MAX;
	n = descriptors_receive(socket, h, sizeof *h, m->fds, &m->fd_count);
	if (n <= 0)
		return 0;
	return read_fully(socket, (char *)h + n, sizeof *h - (size_t)n);
}

static bool size_is_right(const struct kind *kind, const struct header *h)
{
	if (kind->fds != ONE_PER_REGION)
		return h->size == kind->size;
	/* QEMU sends no more than there are, others the whole struct. */
	return h->size >= kind->size && h->size <= PAYLOAD_MAX;
}

static bool fds_are_right(const struct kind *kind, const struct header *h, const struct vhost_message *m)
{
	switch (kind->fds) {
	case AT_MOST_ONE:
		return m->fd_count == (m->number & VHOST_NO_FD ? 0 : 1);
	case ONE_PER_REGION:
		return m->table.count && m->table.count <= VHOST_REGIONS_MAX &&
		       m->fd_count == (int)m->table.count &&
		       h->size >= VHOST_TABLE_SIZE + m->table.count * sizeof(struct vhost_region);
	case NO_FDS:
	default:
		return m->fd_count == 0;
	}
}

int vhost_receive(int socket, struct vhost_message *m, struct error *err)
{
	const struct kind *kind;
	struct header h;

	*m = (struct vhost_message){0};
	if (!receive_header(socket, &h, m))
		return 0;
	if ((h.flags & VERSION_MASK) != VERSION || h.flags & IS_REPLY)
		return error_set(err, ERROR_INVALID, "vhost-user: a message with flags %#x", h.flags);
	if (h.request >= ARRAY_SIZE(kinds) || !kinds[h.request].name)
		return error_set(err, ERROR_INVALID, "vhost-user: request %u was not offered", h.request);
	kind = &kinds[h.request];
	if (!size_is_right(kind, &h))
		return error_set(err, ERROR_INVALID, "vhost-user: %s of %u bytes", kind->name, h.size);
	if (!read_fully(socket, &m->number, h.size))
		return 0;
	m->request = h.request;
	m->wants_reply = h.flags & WANTS_REPLY;
	if (!fds_are_right(kind, &h, m))
		return error_set(
			err, ERROR_INVALID, "vhost-user: %s with %d descriptors", kind->name, m->fd_count);
	return 1;
}

static int reply(int socket, uint32_t request, const void *bytes, uint32_t size, struct error *err)
{
	struct header h = {.request = request, .flags = VERSION | IS_REPLY, .size = size};
	char out[sizeof h + sizeof(uint64_t)];
	ssize_t n;

	memcpy(out, &h, sizeof h);
	memcpy(out + sizeof h, bytes, size);
	do
		n = send(socket, out, sizeof h + size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)(sizeof h + size) ? 0 : error_errno(err, errno, "vhost-user: answer");
}

int vhost_reply_number(int socket, enum vhost_request request, uint64_t number, struct error *err)
{
	return reply(socket, request, &number, sizeof number, err);
}

int vhost_reply_state(int socket, enum vhost_request request, struct vhost_state state, struct error *err)
{
	return reply(socket, request, &state, sizeof state, err);
}
