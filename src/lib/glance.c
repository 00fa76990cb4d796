/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/glance.h"

#include <signal.h>
#include <string.h>

#include "base/cleanup.h"

#define RESTARTS_MOST 3u /* of what others wait for: then it is given up */

void glance_free(struct glance *g)
{
	status_free(&g->status);
}

int glance(struct monocore *mc, const char *name, struct glance *g, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	int r = directory_find(&mc->home, name, &d, err);

	if (r == 0)
		r = record_read(d.fd, &record, err);
	if (r == 0)
		r = status_read(d.fd, &g->status, err);
	if (r == 0)
		g->state = sandbox_state(&d, &g->status, &g->interrupted);
	g->checked = record.health_command != NULL;
	return r;
}

int glance_judge(const struct glance *g, struct error *err)
{
	const char *health = g->status.health ? g->status.health : "";
	unsigned status = g->interrupted ? 128 + SIGKILL : (unsigned)g->status.exit_status;

	switch (g->state) {
	case MONOCORE_RUNNING:
		if (!strcmp(health, "unhealthy"))
			return error_set(err, ERROR_START, "it is unhealthy");
		return !strcmp(health, "healthy") || !g->checked;
	case MONOCORE_STOPPED:
		if (!g->checked && !status)
			return 1;
		return error_set(err, ERROR_START, "it has ended, with status %u%s%s", status,
			g->status.reason && *g->status.reason ? ": " : "",
			g->status.reason ? g->status.reason : "");
	case MONOCORE_RESTARTING:
		if (g->status.restarts < RESTARTS_MOST)
			return 0;
		return error_set(err, ERROR_START, "it ends again and again, with status %u", status);
	case MONOCORE_CREATED:
		return error_set(err, ERROR_START, "it was not started");
	case MONOCORE_PAUSED:
		return error_set(err, ERROR_START, "it is paused");
	default:
		return 0;
	}
}
