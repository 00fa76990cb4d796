/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/labels.h"

#include <stddef.h>
#include <string.h>

static bool fits(const char *label, const char *wanted)
{
	size_t n = strlen(wanted);

	return !strncmp(label, wanted, n) && (!label[n] || (label[n] == '=' && !strchr(wanted, '=')));
}

bool has_labels(const char *const *have, const char *const *wanted)
{
	for (; wanted && *wanted; wanted++) {
		bool found = false;

		for (const char *const *l = have; !found && l && *l; l++)
			found = fits(*l, *wanted);
		if (!found)
			return false;
	}
	return true;
}
