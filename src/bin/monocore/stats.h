/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of `stats` that are no table of now. Both return the exit status. */
#pragma once

#include "bin/monocore/command.h"

/* `stats --history NAME` */
int stats_history(struct cli *cli, const char *name, const char *since, const char *until, bool json);

/* `stats --prometheus WHERE`: once to standard output ("-") or a file; else the file again and again, or to
 * whoever asks at a socket ("unix:PATH"). */
int stats_prometheus(struct cli *cli, const char *where, bool once);
