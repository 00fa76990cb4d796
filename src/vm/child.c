/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

#define UID_BASE     0x70000000u
#define UID_BASE_ENV "MONOCORE_UID_BASE"
#define UID_MAX      0x7ffff000u
#define WORDS_MAX    4096

int child_uid(unsigned id, uid_t *uid, struct error *err)
{
	const char *text = getenv(UID_BASE_ENV);
	uint64_t base = UID_BASE;
	int r;

	*uid = 0;
	if (geteuid() != 0)
		return 0;
	if (text && (r = text_parse_u64(text, UID_MAX, UID_BASE_ENV, &base, err)) < 0)
		return r;
	if (base + id > UID_MAX || base + id == 0)
		return error_set(err, ERROR_LIMIT,
			"start a VM: its user would be %llu (see " UID_BASE_ENV ")",
			(unsigned long long)(base + id));
	*uid = (uid_t)(base + id);
	return 0;
}

/* The end of what comes: older bytes make room for newer ones. */
static size_t read_end(int fd, char text[WORDS_MAX])
{
	size_t size = 0;
	ssize_t n;

	while ((n = read(fd, text + size, WORDS_MAX - size)) > 0) {
		size += (size_t)n;
		if (size > WORDS_MAX / 2) {
			size_t old = size - WORDS_MAX / 2;

			memmove(text, text + old, size - old);
			size -= old;
		}
	}
	return size;
}

void child_last_words(int words_fd, struct error *err)
{
	char text[WORDS_MAX], before[ERROR_TEXT_MAX], *rest = text, *line, *last = NULL, *second = NULL;

	if (words_fd < 0 || !err)
		return;
	text[read_end(words_fd, text)] = 0; /* there is room: at most the half is left */
	while ((line = strsep(&rest, "\n")))
		if (*line && !strstr(line, ": warning: ")) {
			second = last;
			last = line;
		}
	if (!last)
		return;
	memcpy(before, err->text, sizeof before); /* error_set() writes where it would read */
	error_set(err, err->code, "%s: %s%s%s", before, second ? second : "", second ? "; " : "", last);
}

int child_wait(struct vm *vm, int *status, struct error *err)
{
	if (vm->pid <= 0)
		return error_set(err, ERROR_BUSY, "the VM's end was seen already");
	while (waitpid(vm->pid, status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "wait for the VM's process");
	vm->pid = -1;
	return 0;
}

int child_explain(const struct vm *vm, const char *name, int status, struct error *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		error_set(err, ERROR_CLOSED, "%s was ended by signal %d", name, WTERMSIG(status));
	else
		error_set(err, ERROR_CLOSED, "%s ended with status %d", name, WEXITSTATUS(status));
	child_last_words(vm->console_fd, err);
	return -ERROR_CLOSED;
}
