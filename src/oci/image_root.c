/* SPDX-License-Identifier: Apache-2.0 */
/* The root file systems that were made of images: apart from all that reads images, which whoever only starts
 * a sandbox need not load. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/ext4.h"
#include "oci/image.h"
#include "oci/store.h"

static int make_ext4(void *context, int fd, int directory, struct error *err)
{
	(void)directory;
	return ext4_from_erofs(*(const int *)context, fd, err);
}

int image_open_root(struct store *s, const struct image *image, const char *form, int *fd, struct error *err)
{
	_cleanup_fd_ int erofs = -1;
	uint64_t size;
	int r;

	if (!strcmp(form, "erofs"))
		return store_find(s, image->root_id, form, fd, &size, err);
	if (store_find(s, image->root_id, form, fd, &size, NULL) == 0)
		return 0;
	r = store_find(s, image->root_id, "erofs", &erofs, &size, err);
	return r < 0 ? r : store_make(s, image->root_id, form, make_ext4, &erofs, NULL, fd, &size, err);
}
