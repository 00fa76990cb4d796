/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "sandbox/output_format.h"

struct output_writer {
	int directory;   /* log/ */
	int file;        /* the newest segment, or -1 */
	uint32_t newest; /* its number; 0: none yet */
	uint32_t oldest;
	uint64_t written; /* bytes in it */
};

int output_open(int directory, struct output_writer **out, struct error *err)
{
	struct output_writer *w;
	int r;

	if (mkdirat(directory, "log", 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make the log's directory");
	w = calloc(1, sizeof *w);
	if (!w)
		return error_no_memory(err, "open the log");
	w->file = -1;
	w->directory = fs_open(directory, "log", O_RDONLY | O_DIRECTORY, 0, err);
	r = w->directory < 0 ? w->directory : output_segments(w->directory, &w->oldest, &w->newest, err);
	if (r < 0) {
		output_close(w);
		return r;
	}
	*out = w;
	return 0;
}

void output_close(struct output_writer *w)
{
	if (!w)
		return;
	if (w->file >= 0)
		close(w->file);
	if (w->directory >= 0)
		close(w->directory);
	free(w);
}

static int next_segment(struct output_writer *w, struct error *err)
{
	char name[OUTPUT_NAME_SIZE];
	int fd;

	fd = fs_open(w->directory, output_segment_name(w->newest + 1, name),
		O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600, err);
	if (fd < 0)
		return fd;
	if (w->file >= 0)
		close(w->file);
	w->file = fd;
	w->written = 0;
	if (w->newest++ == 0)
		w->oldest = 1;
	for (; w->newest - w->oldest >= OUTPUT_TOTAL / OUTPUT_SEGMENT; w->oldest++)
		unlinkat(w->directory, output_segment_name(w->oldest, name), 0);
	return 0;
}

int output_append(
	struct output_writer *w, enum output_stream stream, const void *data, size_t n, struct error *err)
{
	uint8_t header[OUTPUT_HEADER_SIZE];
	struct iovec parts[] = {{header, sizeof header}, {(void *)data, n}};
	ssize_t wrote;
	int r;

	if (n > OUTPUT_RECORD_MAX)
		return error_set(err, ERROR_LIMIT, "a log record of %zu bytes", n);
	if ((w->file < 0 || w->written + sizeof header + n > OUTPUT_SEGMENT) &&
		(r = next_segment(w, err)) < 0)
		return r;
	output_header_write(header, clock_realtime(), stream, (uint32_t)n);
	do
		wrote = writev(w->file, parts, 2);
	while (wrote < 0 && errno == EINTR);
	if (wrote == (ssize_t)(sizeof header + n)) {
		w->written += (size_t)wrote;
		return 0;
	}
	r = error_errno(err, wrote < 0 ? errno : ENOSPC, "write the log");
	if (wrote > 0 && ftruncate(w->file, (off_t)w->written) < 0) {
		close(TAKE_FD(w->file)); /* a cut record ends its segment; go on in a new one */
		w->file = -1;
	}
	return r;
}
