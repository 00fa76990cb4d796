/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct cli;

/* A release's archive, from a file or by HTTP, as a descriptor at its start; what comes by HTTP goes into a
 * nameless file in `directory`. Redirects are followed, five at most, and never from https to http. Plain
 * HTTP is for loopback, unless it is allowed. The caller closes *fd. */
int release_fetch(struct cli *cli, const char *from, bool plain_http, const char *directory, int *fd,
	struct error *err);
