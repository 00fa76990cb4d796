/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "guest/freeze.h"
#include "guest/volume_settle.h"

/* Once they all stand still. */
static void look(struct agent *a)
{
	if (a->quiet.reached || !freeze_is_complete(a->quiet.watch.fd))
		return;
	volumes_settle(&a->boot.volumes); /* or the copy would tell the host, too */
	a->quiet.reached = true;
	port_send(&a->port, a->quiet.stream, MESSAGE_DONE, 0, NULL, 0);
	port_hold(&a->port);
}

static void events_ready(struct agent *a, struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	look(a);
}

int quiet_begin(struct agent *a, uint32_t stream, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (a->quiet.stream)
		return error_set(err, ERROR_BUSY, "the machine is being copied already");
	fd = openat(a->boot.cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	a->quiet.watch = (struct watch){fd, events_ready};
	if (fd < 0 || !watch_add(a->epoll, &a->quiet.watch, EPOLLPRI))
		return error_errno(err, errno, "watch the sandbox's processes");
	r = freeze_begin(a, err);
	if (r < 0) {
		watch_remove(a->epoll, &a->quiet.watch);
		return r;
	}
	a->quiet.watch.fd = TAKE_FD(fd);
	a->quiet.stream = stream;
	a->quiet.reached = false;
	look(a);
	return 0;
}

void quiet_end(struct agent *a)
{
	if (!a->quiet.stream)
		return;
	a->quiet.stream = 0;
	watch_remove(a->epoll, &a->quiet.watch);
	close(TAKE_FD(a->quiet.watch.fd));
	port_release(&a->port);
	freeze_end(a);
}
