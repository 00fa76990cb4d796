/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/signal_name.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* Of the kernel; the C library keeps the first two for itself, but a guest counts as Linux does. */
#define REAL_TIME_FIRST 34
#define SIGNAL_LAST     64

static int by_name(const char *name)
{
	uint64_t n;

	for (int i = 1; i < 32; i++) {
		const char *known = sigabbrev_np(i);

		if (known && !strcasecmp(known, name))
			return i;
	}
	if (!strcasecmp(name, "IOT"))
		return SIGABRT;
	if (!strcasecmp(name, "CLD"))
		return SIGCHLD;
	if (!strncasecmp(name, "RTMIN", 5)) {
		if (!name[5])
			return REAL_TIME_FIRST;
		if (name[5] == '+' &&
			text_parse_u64(name + 6, SIGNAL_LAST - REAL_TIME_FIRST, "signal", &n, NULL) == 0)
			return REAL_TIME_FIRST + (int)n;
	}
	return 0;
}

int signal_parse(const char *text, const char *what, int *number, struct error *err)
{
	uint64_t n = 0;

	if (text_parse_u64(text, SIGNAL_LAST, what, &n, NULL) < 0)
		n = (uint64_t)by_name(strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text);
	if (!n)
		return error_set(
			err, ERROR_USAGE, "%s: '%s' is no signal; write TERM, SIGTERM or 15", what, text);
	*number = (int)n;
	return 0;
}
