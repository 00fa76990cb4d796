/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/author.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

char *author_here(struct error *err)
{
	const char *set = getenv("MONOFS_AUTHOR");
	struct passwd *user;
	char host[256] = "";

	if (set && *set)
		return text_copy(set, err);
	user = getpwuid(geteuid());
	if (gethostname(host, sizeof host - 1) < 0 || !*host)
		snprintf(host, sizeof host, "localhost");
	if (user)
		return text_format(err, "%s@%s", user->pw_name, host);
	return text_format(err, "%u@%s", (unsigned)geteuid(), host);
}
