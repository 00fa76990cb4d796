/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "codec/secret.h"
#include "os/terminal.h"

#define SECRET_MAX 65536u

static ssize_t read_some(void *bytes, size_t room)
{
	ssize_t n;

	do
		n = read(STDIN_FILENO, bytes, room);
	while (n < 0 && errno == EINTR);
	return n;
}

/* What a terminal gives at once is at most one line. */
static int read_line(char **answer, struct error *err)
{
	char line[4097];
	ssize_t n = read_some(line, sizeof line - 1);

	if (n < 0)
		return error_errno(err, errno, "read an answer");
	if (n == 0)
		return error_set(err, ERROR_CLOSED, "there was no answer");
	line[n] = 0;
	line[strcspn(line, "\r\n")] = 0;
	*answer = text_copy(line, err);
	explicit_bzero(line, sizeof line);
	return *answer ? 0 : -ERROR_NO_MEMORY;
}

int prompt_line(const char *question, bool hidden, char **answer, struct error *err)
{
	int r = hidden ? terminal_hide(STDIN_FILENO, err) : 0;

	if (r < 0)
		return r;
	/* Once nothing is shown any more: what is typed at once must not be, either. */
	fprintf(stderr, "%s: ", question);
	r = read_line(answer, err);
	if (hidden)
		terminal_restore();
	return r;
}

int prompt_secret_from_stdin(const char *what, char **secret, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer b = {0};
	ssize_t n;

	if (!buffer_reserve(&b, SECRET_MAX + 1))
		return error_no_memory(err, what);
	while ((n = read_some(b.data + b.size, SECRET_MAX + 1 - b.size)) > 0)
		b.size += (size_t)n;
	if (n < 0)
		return error_errno(err, errno, "read %s from standard input", what);
	if (b.size > SECRET_MAX)
		return error_set(err, ERROR_LIMIT, "%s on standard input is over %u bytes", what, SECRET_MAX);
	if (b.size && b.data[b.size - 1] == '\n')
		b.size--;
	if (b.size && b.data[b.size - 1] == '\r')
		b.size--;
	if (b.size == 0 || memchr(b.data, 0, b.size))
		return error_set(err, ERROR_INVALID, "there is no %s on standard input%s", what,
			b.size ? ", but bytes of zero" : "");
	*secret = text_copy_bytes(b.data, b.size, err);
	return *secret ? 0 : -ERROR_NO_MEMORY;
}
