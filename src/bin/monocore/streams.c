/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/terminal.h"

static bool allows(int fd, int refused_mode)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != refused_mode;
}

struct streams streams_choose(const struct streams_wish *wish)
{
	bool in = terminal_is(STDIN_FILENO), out = terminal_is(STDOUT_FILENO);
	struct streams s = {
		.in = allows(STDIN_FILENO, O_WRONLY) ? STDIN_FILENO : -1,
		.out = allows(STDOUT_FILENO, O_RDONLY) ? STDOUT_FILENO : -1,
		.err = allows(STDERR_FILENO, O_RDONLY) ? STDERR_FILENO : -1,
	};

	if (wish->no_tty)
		s.tty = false;
	else if (wish->tty)
		s.tty = wish->detach || !wish->interactive || in;
	else
		s.tty = !wish->detach && in && out;
	s.raw = s.tty && in && !wish->detach;
	if (s.tty && !in && !wish->interactive)
		s.in = -1; /* its end would be typed into the terminal as the end of the session */
	if (s.tty && !wish->detach && !terminal_size(STDOUT_FILENO, &s.rows, &s.columns))
		terminal_size(STDIN_FILENO, &s.rows, &s.columns);
	return s;
}

static int fail(struct monocore_error *err, const char *what)
{
	*err = (struct monocore_error){.code = MONOCORE_SYSTEM};
	snprintf(err->text, sizeof err->text, "%s: %s", what, strerror(errno));
	return -MONOCORE_SYSTEM;
}

static void forwarded_signals(sigset_t *set)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(set, numbers[i]);
}

/* The window may have changed since its size was asked; nobody would tell. */
static int check_size(const struct streams *s, struct monocore_process *process, struct monocore_error *err)
{
	uint16_t rows, columns;

	if (!s->raw || !terminal_size(s->in, &rows, &columns))
		return 0;
	if (rows == s->rows && columns == s->columns)
		return 0;
	return monocore_process_resize(process, rows, columns, err);
}

static int relay_raw(const struct streams *s, struct monocore_process *process, int signals, int *exit_status,
	struct monocore_error *err)
{
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct error failure;
	int r;

	relay.in = s->in;
	relay.out = s->out;
	relay.err = s->err;
	relay.signals = signals;
	if (s->raw && terminal_raw(s->in, &failure) < 0) {
		*err = (struct monocore_error){.code = (int)failure.code};
		snprintf(err->text, sizeof err->text, "%s", failure.text);
		return -(int)failure.code;
	}
	r = check_size(s, process, err);
	if (r == 0)
		r = monocore_process_relay(process, &relay, exit_status, err);
	terminal_restore();
	return r;
}

int streams_relay(const struct streams *s, struct monocore_process *process, int *exit_status,
	struct monocore_error *err)
{
	_cleanup_fd_ int signals = -1;
	sigset_t set, old;
	int r;

	forwarded_signals(&set);
	if (sigprocmask(SIG_BLOCK, &set, &old) < 0)
		return fail(err, "block signals");
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		r = fail(err, "take signals from a descriptor");
	else
		r = relay_raw(s, process, signals, exit_status, err);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}
