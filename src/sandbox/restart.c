/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/restart.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ON_FAILURE "on-failure"

static int parse_most(const char *text, const char *whole, uint64_t *most, struct error *err)
{
	if (text_parse_u64(text, UINT32_MAX, "restart", most, NULL) == 0 && *most)
		return 0;
	return error_set(
		err, ERROR_USAGE, "restart '%s': expected a number of times behind '" ON_FAILURE ":'", whole);
}

int restart_parse(const char *text, struct restart *restart, struct error *err)
{
	*restart = (struct restart){.when = RESTARTED_NEVER};
	if (!*text || !strcmp(text, "no"))
		return 0;
	if (!strcmp(text, "always") || !strcmp(text, "unless-stopped")) {
		restart->when = *text == 'a' ? RESTARTED_ALWAYS : RESTARTED_UNLESS_STOPPED;
		return 0;
	}
	if (text_starts(text, ON_FAILURE)) {
		const char *rest = text + strlen(ON_FAILURE);

		restart->when = RESTARTED_ON_FAILURE;
		if (!*rest)
			return 0;
		if (*rest == ':')
			return parse_most(rest + 1, text, &restart->most, err);
	}
	return error_set(err, ERROR_USAGE,
		"restart '%s': there is no, on-failure, on-failure:N, always and unless-stopped", text);
}

static bool is_due(const struct restart *r, int exit_status)
{
	switch (r->when) {
	case RESTARTED_ALWAYS:
	case RESTARTED_UNLESS_STOPPED:
		return true;
	case RESTARTED_ON_FAILURE:
		return exit_status != 0 && (!r->most || r->count < r->most);
	default:
		return false;
	}
}

bool restart_next(struct restart *r, int exit_status, uint64_t lived)
{
	if (!is_due(r, exit_status))
		return false;
	if (lived >= RESTART_LIVED)
		r->pause = r->short_lives = 0;
	else if (r->short_lives < UINT32_MAX)
		r->short_lives++;
	r->pause = !r->pause                            ? RESTART_PAUSE_FIRST
		   : r->pause >= RESTART_PAUSE_MOST / 2 ? RESTART_PAUSE_MOST
							: r->pause * 2;
	r->count++;
	return true;
}

bool restart_recovers(const struct restart *r, bool interrupted)
{
	return r->when == RESTARTED_ALWAYS || (interrupted && r->when != RESTARTED_NEVER);
}

const char *restart_reason(const struct restart *r, const char *before, char out[RESTART_REASON_SIZE])
{
	double seconds = (double)r->pause / 1e9;

	if (r->short_lives >= RESTART_LOOP)
		snprintf(out, RESTART_REASON_SIZE,
			"crash loop: it has ended %u times in a row soon after its start%s%.60s; "
			"it is started again in %.1f s",
			r->short_lives, *before ? ": " : "", before, seconds);
	else
		snprintf(out, RESTART_REASON_SIZE, "%.120s%sit is started again in %.1f s", before,
			*before ? "; " : "", seconds);
	return out;
}
