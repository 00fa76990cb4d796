/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the agent may need. */
#include "guest/agent.h"

#include <sys/epoll.h>

bool watch_add(int epoll, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, w->fd, &e) == 0;
}

void watch_remove(int epoll, struct watch *w)
{
	epoll_ctl(epoll, EPOLL_CTL_DEL, w->fd, NULL);
}
