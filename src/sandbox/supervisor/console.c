/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's kernel writes on the serial console: normally nothing. The last of it is kept, so that a
 * guest that dies can be asked why.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/supervisor/supervisor.h"

#define PANIC "Kernel panic - not syncing: "

int console_open(struct console *c, int *write_end, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "make a pipe for the console");
	c->fd = ends[0];
	*write_end = ends[1];
	return 0;
}

bool console_read(struct console *c)
{
	char bytes[4096];
	ssize_t n = sizeof bytes;

	/* Up to a moment in which it was empty: a guest that writes on and on is no reason to stay. */
	while (c->fd >= 0 && n == sizeof bytes && (n = read(c->fd, bytes, sizeof bytes)) > 0) {
		size_t more = (size_t)n, keep = sizeof c->last - more;

		if (c->size > keep) {
			memmove(c->last, c->last + c->size - keep, keep);
			c->size = keep;
		}
		memcpy(c->last + c->size, bytes, more);
		c->size += more;
	}
	return n != 0;
}

/* The line behind the last place that `mark` stands at, or NULL. */
static const char *find_last(const struct console *c, const char *mark, size_t *n)
{
	const char *found = NULL, *at = c->last, *end = c->last + c->size, *next;

	while ((next = memmem(at, (size_t)(end - at), mark, strlen(mark)))) {
		found = next + strlen(mark);
		at = found;
	}
	for (*n = 0; found && found + *n < end && found[*n] != '\n' && found[*n] != '\r';)
		++*n;
	return found;
}

const char *console_panic(struct console *c, size_t *n)
{
	console_read(c);
	return find_last(c, PANIC, n);
}

void console_close(struct console *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}
