/* SPDX-License-Identifier: Apache-2.0 */
/* On what a tree goes on that nobody has mounted: main, or a draft over it that journal/base names. */
#include "monofs/live_parts.h"

int live_find_main(struct repository *r, struct object_id *commit, struct error *err)
{
	_cleanup_references_ struct references refs = {0};
	const struct reference *main;
	int error = references_read(repository_directory(r), repository_crypt(r), &refs, err);

	if (error < 0)
		return error;
	main = references_find(&refs, REFERENCE_MAIN);
	if (!main)
		return error_set(err, ERROR_CORRUPT, "%s has no main", repository_path(r));
	*commit = main->commit;
	return 0;
}

/* Whether it has been made the revision that main is, by who died before he could say so. */
static int is_made(struct repository *r, const struct journal_base *base, const struct object_id *main,
	struct error *err)
{
	_cleanup_commit_ struct commit c = {0};
	int error = base->next ? commit_get(repository_store(r), main, &c, err) : 0;

	return error < 0 ? error
			 : base->next && object_id_equal(&c.content, &base->content) &&
				   object_id_equal(&c.identity, &base->identity);
}

int live_find_draft(
	struct repository *r, const struct object_id *main, struct object_id *draft, struct error *err)
{
	_cleanup_commit_ struct commit c = {0};
	struct journal_base base;
	struct error why = {0};
	int error = journal_base(repository_directory(r), &base, err), made;

	if (error <= 0 || object_id_equal(&base.commit, main))
		return error < 0 ? error : 0;
	made = is_made(r, &base, main, err);
	if (made != 0)
		return made < 0 ? made : 0;
	error = commit_get(repository_store(r), &base.commit, &c, &why);
	if (error < 0)
		return error == -ERROR_NOT_FOUND ? 0 : error_set(err, why.code, "%s", why.text);
	if (c.parent_count != 1 || !object_id_equal(&c.parents[0], main))
		return 0;
	*draft = base.commit;
	return 1;
}

int live_pending(struct repository *r, struct error *err)
{
	struct object_id main, draft;
	int error = journal_pending(repository_directory(r), err);

	if (error != 0)
		return error;
	error = live_find_main(r, &main, err);
	return error < 0 ? error : live_find_draft(r, &main, &draft, err);
}
