/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/records.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sandbox/directory.h"

int records_each(const struct home *home, record_call *each, void *context, struct error *err)
{
	_cleanup_text_list_ char **ids = NULL;
	int r = directory_list(home, &ids, err);

	for (char **id = ids; r == 0 && id && *id; id++) {
		_cleanup_record_ struct record record = {0};
		_cleanup_fd_ int fd =
			openat(home->sandboxes, *id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			continue; /* removed meanwhile */
		r = record_read(fd, &record, err);
		if (r == 0)
			r = each(context, &record, err);
		else if (r == -ERROR_NOT_FOUND || r == -ERROR_CORRUPT)
			r = 0; /* removed, or never to be started again */
		else
			error_prefix(err, "sandbox %s", *id);
	}
	return r;
}
