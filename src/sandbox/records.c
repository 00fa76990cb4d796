/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/records.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sandbox/directory.h"
#include "sandbox/image_snapshot.h"
#include "sandbox/snapshot.h"

static int read_one(
	int parent, const char *name, record_call *each, void *context, const char *what, struct error *err)
{
	_cleanup_record_ struct record record = {0};
	_cleanup_fd_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return 0; /* removed meanwhile */
	r = record_read(fd, &record, err);
	if (r == 0)
		return each(context, &record, err);
	if (r == -ERROR_NOT_FOUND || r == -ERROR_CORRUPT)
		return 0; /* removed, or never to be started again */
	return error_prefix(err, "%s %s", what, name);
}

int records_each(const struct home *home, record_call *each, void *context, struct error *err)
{
	_cleanup_text_list_ char **ids = NULL;
	int r = directory_list(home, &ids, err);

	for (char **id = ids; r == 0 && id && *id; id++)
		r = read_one(home->sandboxes, *id, each, context, "sandbox", err);
	return r;
}

int records_each_saved(const struct home *home, record_call *each, void *context, struct error *err)
{
	_cleanup_text_list_ char **tags = NULL;
	int r = snapshot_list(home, &tags, err);

	for (char **tag = tags; r == 0 && tag && *tag; tag++)
		if (!image_snapshot_is(*tag))
			r = read_one(home->snapshots, *tag, each, context, "snapshot", err);
	return r;
}
