/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/dialer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/descriptors.h"

struct answer {
	uint32_t number, code; /* code 0: a descriptor comes with it */
	char text[256];
};

static void answer(int fd, const struct net_place *place, const char *group, uint32_t number)
{
	struct answer a = {.number = number};
	struct peer peer;
	struct error err;

	/* Who has just been let in has nothing more to read: mcnet speaks when it is asked. */
	if (net_connect(place, group, &peer, &err) < 0) {
		a.code = err.code;
		memcpy(a.text, err.text, sizeof a.text - 1);
	}
	descriptors_send(fd, &a, sizeof a, &peer.fd, a.code ? 0 : 1);
	peer_close(&peer);
}

_Noreturn static void dial(int fd, const struct net_place *place, char *const *groups)
{
	size_t count = text_list_size(groups);
	uint32_t number;

	while (recv(fd, &number, sizeof number, 0) == sizeof number)
		if (number < count)
			answer(fd, place, groups[number], number);
	_exit(0);
}

/* Nothing else of the supervisor's may live longer than it, above all not the sandbox's lock. */
static void keep_only(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

int dialer_start(struct dialer *d, const struct net_place *place, char *const *groups, struct error *err)
{
	pid_t parent = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "make a socket for the networks");
	d->pid = fork();
	if (d->pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		prctl(PR_SET_NAME, "mcrun-dialer");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		keep_only(ends[1], place->home);
		dial(ends[1], place, groups);
	}
	close(ends[1]);
	d->fd = ends[0];
	return d->pid < 0 ? error_errno(err, errno, "start a process for the networks") : 0;
}

int dialer_ask(struct dialer *d, uint32_t number, struct error *err)
{
	if (d->fd < 0 || send(d->fd, &number, sizeof number, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof number)
		return error_set(err, ERROR_CLOSED, "who starts networks is gone");
	return 0;
}

int dialer_answer(struct dialer *d, uint32_t *number, int *connection, struct error *err)
{
	struct answer a;
	int count = 1;
	ssize_t n;

	if (recv(d->fd, &a, sizeof a, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return 0;
	n = descriptors_receive(d->fd, &a, sizeof a, connection, &count);
	if (n != sizeof a || (count == 0) != (a.code != 0)) {
		close(TAKE_FD(d->fd));
		return error_set(err, ERROR_CLOSED, "who starts networks is gone");
	}
	*number = a.number;
	if (a.code) {
		*connection = -1;
		a.text[sizeof a.text - 1] = 0;
		error_set(err, a.code < ERROR_COUNT ? (enum error_code)a.code : ERROR_SYSTEM, "%s", a.text);
	}
	return 1;
}

void dialer_end(struct dialer *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*d = DIALER_NONE;
}
