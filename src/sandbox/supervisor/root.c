/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/root.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "oci/image.h"

CLEANUP_DEFINE(store, struct store, store_free);

void root_close(struct root *root)
{
	if (root->fd >= 0)
		close(root->fd);
	*root = ROOT_NONE;
}

static int open_form(struct root *root, const char *home, const char *id, const char *form, struct error *err)
{
	_cleanup_(cleanup_store) struct store *store = NULL;
	struct image image = {0};
	int r = store_open(home, &store, err);

	if (r < 0)
		return r;
	if (strlen(id) != sizeof image.root_id - 1)
		return error_set(err, ERROR_CORRUPT, "config.json: a malformed root_id");
	memcpy(image.root_id, id, sizeof image.root_id);
	root_close(root);
	r = image_open_root(store, &image, form, &root->fd, err);
	if (r < 0)
		return error_prefix(err, "the root file system as %s", form);
	root->form = form;
	return 0;
}

int root_start(const struct vm_engine *e, const char *home, const char *id, root_start_call start,
	void *context, struct root *root, struct error *err)
{
	const char *form = vm_root_type(e, home);
	int r = root->fd >= 0 && !strcmp(root->form, form) ? 0 : open_form(root, home, id, form, err);

	if (r == 0)
		r = start(context, root, err);
	if (r != -ERROR_UNAVAILABLE || !strcmp(vm_root_type(e, home), form))
		return r;
	r = open_form(root, home, id, vm_root_type(e, home), err);
	return r < 0 ? r : start(context, root, err);
}
