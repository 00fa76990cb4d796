/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define FREEZE_TIME (10 * NANOSECONDS_PER_SECOND)

static bool set(const struct agent *a, const char *value)
{
	_cleanup_fd_ int fd = openat(a->boot.cgroup, "cgroup.freeze", O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, value, 1) == 1;
}

int freeze_begin(struct agent *a, struct error *err)
{
	if (!a->freezes && !set(a, "1"))
		return error_errno(err, errno, "hold the sandbox's processes still");
	a->freezes++;
	return 0;
}

void freeze_end(struct agent *a)
{
	if (--a->freezes == 0 && !set(a, "0"))
		log_error("let the sandbox's processes go on: %s", strerror(errno));
}

static int is_frozen(int events)
{
	char text[256];
	ssize_t n = pread(events, text, sizeof text - 1, 0);

	if (n < 0)
		return -1;
	text[n] = '\0';
	return strstr(text, "frozen 1") != NULL;
}

bool freeze_is_complete(int events)
{
	return is_frozen(events) == 1;
}

int freeze_wait(int cgroup, struct error *err)
{
	_cleanup_fd_ int events = openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	uint64_t deadline = clock_monotonic() + FREEZE_TIME;
	struct pollfd p = {.fd = events, .events = POLLPRI};
	int frozen;

	while ((frozen = is_frozen(events)) == 0) {
		int left = clock_poll_timeout(deadline);

		if (!left)
			return error_set(err, ERROR_BUSY,
				"a process of the sandbox does not stand still: it waits for a file system "
				"or a "
				"device");
		poll(&p, 1, left);
	}
	return frozen < 0 ? error_errno(err, errno, "hold the sandbox's processes still") : 0;
}
