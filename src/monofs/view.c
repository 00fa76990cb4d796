/* SPDX-License-Identifier: Apache-2.0 */
/* A revision as a file system is the live tree without a journal, in which nothing changes. */
#include "monofs/view.h"

#include "monofs/live_parts.h"

int view_new(struct repository *r, const struct object_id *commit, struct vfs **fs, struct error *err)
{
	struct live *l = NULL;
	int error = live_make(r, commit, false, &l, err);

	if (error == 0)
		*fs = &l->fs;
	return error;
}
