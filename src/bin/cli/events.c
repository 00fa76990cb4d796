/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/events.h"

#include <stdio.h>

#include "bin/cli/json.h"

void events_to_stdout(struct cli *cli)
{
	cli->events = true;
}

void events_print(const char *task, const char *unit, uint64_t done, uint64_t total, bool finished)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "event");
	json_put_string(&b, "progress");
	json_put_key(&b, "task");
	json_put_string(&b, task);
	json_put_key(&b, "unit");
	json_put_string(&b, unit);
	json_put_key(&b, "done");
	json_put_number(&b, (int64_t)done);
	json_put_key(&b, "total");
	if (total)
		json_put_number(&b, (int64_t)total);
	else
		json_put_raw(&b, "null");
	json_put_key(&b, "finished");
	json_put_bool(&b, finished);
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	if (b.failed)
		return;
	fwrite(b.data, 1, b.size, stdout);
	fflush(stdout);
}
