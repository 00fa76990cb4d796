/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the small files of a repository are whole. */
#include "monofs/checked.h"
#include "monofs/repository_parts.h"

int repository_check_files(struct repository *r,
	void (*damaged)(void *context, const char *file, const char *what), void *context, struct error *err)
{
	_cleanup_references_ struct references references = {0};
	_cleanup_buffer_ struct buffer lines = {0};
	struct error damage;
	struct format f;
	int code;

	if (format_read(r->directory, &f, &damage) < 0)
		damaged(context, "format", damage.text);
	/* A copy that nobody has written to has none yet. */
	code = checked_read(r->directory, "replica", &lines, &damage);
	if (code < 0 && code != -ERROR_NOT_FOUND)
		damaged(context, "replica", damage.text);
	if (references_read(r->directory, &r->secrets->crypt, &references, &damage) < 0)
		damaged(context, "refs", damage.text);
	return r->format.encrypted
		       ? keys_check(r->directory, r->format.id, &r->secrets->keys, damaged, context, err)
		       : 0;
}
