/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "sandbox/output_format.h"
#include "sandbox/output_pack.h"

#define BEHIND_MOST 8 /* segments that wait to be packed */

/* Packs what is not the newest, then removes what is too much: a thread, one at a time. */
struct tending {
	pthread_t thread;
	bool started;
	atomic_bool done;
	int directory;
	uint32_t newest;
};

struct output_writer {
	int directory;    /* log/ */
	int file;         /* the newest segment, or -1 */
	uint32_t newest;  /* its number; 0: none yet */
	uint64_t written; /* bytes in it */
	uint64_t begun;   /* when, since 1970 */
	struct output_open open;
	struct tending tending;
};

/* ---- what is old ------------------------------------------------------------------------------------ */

static uint64_t size_of(int directory, uint32_t number)
{
	char name[OUTPUT_NAME_SIZE];
	uint64_t size = 0;
	struct stat st;

	for (int packed = 0; packed < 2; packed++)
		if (fstatat(directory, output_segment_name(number, packed, name), &st, AT_SYMLINK_NOFOLLOW) ==
			0)
			size += (uint64_t)st.st_size;
	return size;
}

/* From the newest backwards: what is behind the bound goes. */
static void remove_old(int directory, uint32_t oldest, uint32_t newest)
{
	char name[OUTPUT_NAME_SIZE];
	uint64_t total = OUTPUT_SEGMENT; /* that the newest may grow to */
	uint32_t n = newest;

	while (--n >= oldest && n && newest - n < OUTPUT_MOST) {
		total += size_of(directory, n);
		if (total > OUTPUT_TOTAL)
			break;
	}
	for (; n >= oldest && n; n--)
		for (int packed = 0; packed < 2; packed++)
			unlinkat(directory, output_segment_name(n, packed, name), 0);
}

static void tend(int directory, uint32_t newest)
{
	char name[OUTPUT_NAME_SIZE];
	uint32_t oldest, last;

	if (output_segments(directory, &oldest, &last, NULL) < 0 || !oldest)
		return;
	for (uint32_t n = newest; --n >= oldest && n;)
		if (faccessat(directory, output_segment_name(n, false, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			output_pack(directory, n, &(struct error){0});
	remove_old(directory, oldest, newest);
}

static void *tend_thread(void *context)
{
	struct tending *t = context;

	tend(t->directory, t->newest);
	atomic_store(&t->done, true);
	return NULL;
}

static void tend_join(struct tending *t)
{
	if (t->started)
		pthread_join(t->thread, NULL);
	t->started = false;
}

/* Signals are the loop's. */
static void tend_start(struct output_writer *w)
{
	struct tending *t = &w->tending;
	sigset_t all, before;

	if (t->started && !atomic_load(&t->done) && w->newest - t->newest < BEHIND_MOST)
		return;
	tend_join(t);
	t->directory = w->directory;
	t->newest = w->newest;
	atomic_store(&t->done, false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	t->started = pthread_create(&t->thread, NULL, tend_thread, t) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!t->started)
		tend(w->directory, w->newest);
}

/* ---- write ------------------------------------------------------------------------------------------ */

int output_open(int directory, struct output_writer **out, struct error *err)
{
	struct output_writer *w;
	uint32_t oldest;
	int r;

	if (mkdirat(directory, "log", 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make the log's directory");
	w = calloc(1, sizeof *w);
	if (!w)
		return error_no_memory(err, "open the log");
	w->file = -1;
	w->directory = fs_open(directory, "log", O_RDONLY | O_DIRECTORY, 0, err);
	r = w->directory < 0 ? w->directory : output_segments(w->directory, &oldest, &w->newest, err);
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
	tend_join(&w->tending);
	if (w->tending.newest && w->tending.newest < w->newest) /* it was busy when the last one was begun */
		tend(w->directory, w->newest);
	if (w->file >= 0)
		close(w->file);
	if (w->directory >= 0)
		close(w->directory);
	free(w);
}

/* All of a record or nothing. Negative: the file may end with a part of it. */
static int write_record(struct output_writer *w, uint64_t time, uint32_t stream, const void *data, size_t n,
	struct error *err)
{
	uint8_t header[OUTPUT_HEADER_SIZE];
	struct iovec parts[] = {{header, sizeof header}, {(void *)(uintptr_t)data, n}};
	ssize_t wrote;
	int r;

	output_header_write(header, time, stream, (uint32_t)n);
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

static int next_segment(struct output_writer *w, uint64_t now, struct error *err)
{
	uint8_t state[OUTPUT_STATE_SIZE];
	char name[OUTPUT_NAME_SIZE];
	int fd = fs_open(w->directory, output_segment_name(w->newest + 1, false, name),
		O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600, err);

	if (fd < 0)
		return fd;
	if (w->file >= 0)
		close(w->file);
	w->file = fd;
	w->written = 0;
	w->begun = now;
	if (w->newest++)
		tend_start(w);
	output_state_write(state, &w->open);
	return write_record(w, now, OUTPUT_STATE, state, sizeof state, err);
}

/* A segment that was begun far in the future, by a clock that was wrong, would not become old. */
static bool is_full(const struct output_writer *w, uint64_t now, size_t more)
{
	uint64_t age = now > w->begun ? now - w->begun : w->begun - now;

	return w->file < 0 || w->written + OUTPUT_HEADER_SIZE + more > OUTPUT_SEGMENT || age > OUTPUT_AGE;
}

int output_append(
	struct output_writer *w, enum output_stream stream, const void *data, size_t n, struct error *err)
{
	const struct output_record record = {.stream = stream, .data = data, .size = (uint32_t)n};
	uint64_t now = clock_realtime();
	int r = 0;

	if (n > OUTPUT_RECORD_MAX)
		return error_set(err, ERROR_LIMIT, "a log record of %zu bytes", n);
	if (is_full(w, now, n))
		r = next_segment(w, now, err);
	if (r == 0)
		r = write_record(w, now, stream, data, n, err);
	if (r == 0)
		output_open_after(&w->open, &record);
	return r;
}
