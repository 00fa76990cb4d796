/* SPDX-License-Identifier: Apache-2.0 */
#include "os/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"

/* What exit and signal handlers must find. There is one controlling terminal per process, so there is one
 * of these. */
static struct {
	volatile sig_atomic_t active;
	int fd;
	bool prepared;
	struct termios found, changed;
} state;

bool terminal_is(int fd)
{
	int saved = errno;
	bool is = isatty(fd);

	errno = saved;
	return is;
}

bool terminal_has_colours(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return terminal_is(fd) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

bool terminal_size(int fd, uint16_t *rows, uint16_t *columns)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		return false;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return true;
}

void terminal_restore(void)
{
	int saved = errno;
	sigset_t set, old;

	if (!state.active)
		return;
	/* a background process that sets a terminal is stopped by SIGTTOU unless it is blocked */
	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	sigprocmask(SIG_BLOCK, &set, &old);
	tcsetattr(state.fd, TCSADRAIN, &state.found);
	sigprocmask(SIG_SETMASK, &old, NULL);
	state.active = 0;
	errno = saved;
}

/* SA_RESETHAND has put the default back, so the signal ends the process when it is raised again. */
static void on_fatal(int number)
{
	terminal_restore();
	raise(number);
}

static void on_suspend(int number)
{
	int saved = errno;
	bool was = state.active;

	(void)number;
	terminal_restore();
	raise(SIGSTOP);
	if (was) {
		tcsetattr(state.fd, TCSADRAIN, &state.changed);
		state.active = 1;
		kill(getpid(), SIGWINCH); /* the size may be another one */
	}
	errno = saved;
}

/* Leaves alone what somebody else handles or ignores. */
static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction now, wanted = {.sa_handler = handler, .sa_flags = flags};

	sigemptyset(&wanted.sa_mask);
	if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		sigaction(number, &wanted, NULL);
}

static void prepare(void)
{
	static const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE,
		SIGILL, SIGALRM, SIGXCPU, SIGXFSZ};

	if (state.prepared)
		return;
	state.prepared = true;
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		handle(fatal[i], on_fatal, (int)SA_RESETHAND | SA_NODEFER);
	handle(SIGTSTP, on_suspend, SA_RESTART);
	atexit(terminal_restore);
}

static void hide(struct termios *t)
{
	t->c_lflag = (t->c_lflag & ~(tcflag_t)ECHO) | ECHONL;
}

static int change(int fd, void (*mode)(struct termios *t), const char *name, struct error *err)
{
	if (state.active)
		return error_set(err, ERROR_BUSY, "terminal: it is in another mode already");
	if (tcgetattr(fd, &state.found) < 0)
		return error_errno(err, errno, "terminal: read its settings");
	state.changed = state.found;
	mode(&state.changed);
	state.fd = fd;
	prepare();
	state.active = 1;
	if (tcsetattr(fd, TCSADRAIN, &state.changed) < 0) {
		terminal_restore();
		return error_errno(err, errno, "terminal: set %s mode", name);
	}
	return 0;
}

int terminal_raw(int fd, struct error *err)
{
	return change(fd, cfmakeraw, "raw", err);
}

int terminal_hide(int fd, struct error *err)
{
	return change(fd, hide, "hidden", err);
}
