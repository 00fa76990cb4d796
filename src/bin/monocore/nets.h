/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `net` and `port` share. */
#pragma once

#include "bin/monocore/command.h"
#include "monocore_network.h"

extern const struct command net_ls_command, net_inspect_command, net_trace_command, net_why_command,
	net_policy_command, port_ls_command, port_add_command, port_remove_command;

/* Says on standard error what the author of a sandbox's rules may not know about them. */
void net_remark(struct cli *cli, const char *name);

/* "127.0.0.1:8080:80/tcp" without what is usual: "8080:80". Returns out. */
const char *port_brief(const char *port, char *out, size_t size);
