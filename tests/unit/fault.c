/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

static atomic_uint left;     /* calls until the one that fails; 0: none will */
static atomic_int armed;     /* kind + 1; 0: nothing fails */
static atomic_bool happened; /* the armed one has failed */
static atomic_long blocks;
static bool ever; /* something is armed since the last fault_disarm() */

bool fault_arm(enum fault_kind kind, unsigned n)
{
	bool more = !ever || happened;

	ever = more;
	happened = false;
	left = more ? n : 0;
	armed = more ? (int)kind + 1 : 0;
	return more;
}

void fault_disarm(void)
{
	armed = 0;
	ever = false;
}

bool fault_happened(void)
{
	return happened;
}

long fault_blocks(void)
{
	return blocks;
}

static bool fails(enum fault_kind kind)
{
	if (armed != (int)kind + 1 || atomic_load(&left) == 0 || atomic_fetch_sub(&left, 1) != 1)
		return false;
	happened = true;
	errno = kind == FAULT_MEMORY ? ENOMEM : ENOSPC;
	return true;
}

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add(&blocks, 1);
	return p;
}

/* ---- memory ----------------------------------------------------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t each);
void __real_free(void *p);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
int __real_vasprintf(char **out, const char *format, va_list args);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t each);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t each);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_vasprintf(char **out, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
int __wrap___vasprintf_chk(char **out, int flag, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

void *__wrap_malloc(size_t n)
{
	return fails(FAULT_MEMORY) ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t each)
{
	return fails(FAULT_MEMORY) ? NULL : counted(__real_calloc(n, each));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (fails(FAULT_MEMORY))
		return NULL;
	return p ? __real_realloc(p, n) : counted(__real_realloc(p, n));
}

void *__wrap_reallocarray(void *p, size_t n, size_t each)
{
	if (fails(FAULT_MEMORY))
		return NULL;
	return p ? __real_reallocarray(p, n, each) : counted(__real_reallocarray(p, n, each));
}

void __wrap_free(void *p)
{
	if (p)
		atomic_fetch_sub(&blocks, 1);
	__real_free(p);
}

char *__wrap_strdup(const char *text)
{
	return fails(FAULT_MEMORY) ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails(FAULT_MEMORY) ? NULL : counted(__real_strndup(text, n));
}

int __wrap_vasprintf(char **out, const char *format, va_list args)
{
	int n = fails(FAULT_MEMORY) ? -1 : __real_vasprintf(out, format, args);

	if (n >= 0)
		counted(*out);
	return n;
}

int __wrap___vasprintf_chk(char **out, int flag, const char *format, va_list args)
{
	(void)flag;
	return __wrap_vasprintf(out, format, args);
}

/* ---- the disk --------------------------------------------------------------------------------------- */

#define DISK(type, name, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return fails(FAULT_DISK) ? -1 : __real_##name arguments; \
	}

/* What a write is to take of n bytes. */
static size_t part_of(size_t n)
{
	return n > 1 && fails(FAULT_SHORT) ? n / 2 : n;
}

DISK(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, part_of(n)))
DISK(ssize_t, pwrite64, (int fd, const void *data, size_t n, off_t at), (fd, data, part_of(n), at))
DISK(ssize_t, pwritev64, (int fd, const struct iovec *v, int count, off_t at), (fd, v, count, at))
DISK(int, fsync, (int fd), (fd))
DISK(int, fdatasync, (int fd), (fd))
DISK(int, ftruncate64, (int fd, off_t size), (fd, size))
DISK(int, renameat, (int from, const char *name, int to, const char *other), (from, name, to, other))
DISK(int, renameat2, (int from, const char *name, int to, const char *other, unsigned flags),
	(from, name, to, other, flags))
DISK(int, fchmod, (int fd, mode_t mode), (fd, mode))
