/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/volumes.h"

/* A sandbox's name begins with a letter or a digit, and a path of these verbs with neither where no sandbox
 * is named. */
void volume_words(char **words, const char **sandbox, const char *const **paths)
{
	bool named = words[0] && words[0][0] != '/' && words[0][0] != '.';

	*sandbox = named ? words[0] : NULL;
	*paths = (const char *const *)(words + named);
	if (!**paths)
		*paths = NULL;
}
