/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define TIME_MAX 48

static enum log_level log_most = LOG_WARNING;
static int log_fd = STDERR_FILENO;
static const char *log_prefix = "monocore";

void log_set(enum log_level most, int fd, const char *prefix)
{
	log_most = most;
	log_fd = fd;
	log_prefix = prefix;
}

enum log_level log_level(void)
{
	return log_most;
}

/* "SECONDS.MICROSECONDS: ", with the NUL at most TIME_MAX bytes. Returns the length. */
static int time_text(char out[TIME_MAX])
{
	uint64_t now = clock_realtime() / 1000;

	return snprintf(out, TIME_MAX, "%" PRIu64 ".%06" PRIu64 ": ", now / 1000000, now % 1000000);
}

void log_write(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
	int saved = errno;
	char line[2048];
	va_list args;
	int n, more;

	if (level > log_most)
		return;
	n = snprintf(line, sizeof line - 2, "%s: %s", log_prefix, names[level]);
	if (level == LOG_DEBUG)
		n += time_text(line + n);
	va_start(args, format);
	more = vsnprintf(line + n, sizeof line - 2 - (size_t)n, format, args);
	va_end(args);
	if (more > 0)
		n = (size_t)(n + more) < sizeof line - 2 ? n + more : (int)sizeof line - 3;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	for (int done = 0; done < n;) {
		ssize_t wrote = write(log_fd, line + done, (size_t)(n - done));

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		done += (int)wrote;
	}
	errno = saved;
}
