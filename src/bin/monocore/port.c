/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bin/monocore/nets.h"
#include "bin/monocore/verbs.h"

static const struct command *const children[] = {
	&port_ls_command,
	&port_add_command,
	&port_remove_command,
	NULL,
};

const struct command port_command = {
	.name = "port",
	.summary = "list, add and remove ports of this host that lead to a sandbox",
	.children = children,
};

const char *port_brief(const char *port, char *out, size_t size)
{
	static const char usual[] = "127.0.0.1:";
	const char *from = strncmp(port, usual, sizeof usual - 1) ? port : port + sizeof usual - 1;
	const char *tcp = strstr(from, "/tcp");

	snprintf(out, size, "%.*s%s", tcp ? (int)(tcp - from) : (int)strlen(from), from,
		tcp ? tcp + strlen("/tcp") : "");
	return out;
}
