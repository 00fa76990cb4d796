/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bin/monocore/command.h"

/* X(identifier, "name", "summary") of every verb that this version knows and does not have. */
#define LATER_COMMANDS(X) \
	X(serve, "serve", "serve the REST API and the dashboard") \
	X(server, "server", "start, stop and ask the server; make keys") \
	X(deploy, "deploy", "ship the project to a server or to Kubernetes")

#define X(identifier, verb, text) extern const struct command later_##identifier;
LATER_COMMANDS(X)
#undef X
