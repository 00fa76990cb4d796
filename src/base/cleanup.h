/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by attributes: a variable that owns something says so at its declaration, and what it still
 * owns when it goes out of scope is released. TAKE_PTR and TAKE_FD hand ownership on.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Defines cleanup_NAME for pointers of `type` released by `function`: use as _cleanup_(cleanup_NAME). */
#define CLEANUP_DEFINE(name, type, function) \
	static inline void cleanup_##name(type **p) \
	{ \
		if (*p) \
			function(*p); \
	} \
	struct cleanup_##name##_semicolon

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_fd_   _cleanup_(cleanup_fd)
#define _cleanup_file_ _cleanup_(cleanup_file)

#define TAKE_PTR(p) \
	({ \
		__typeof__(p) taken_ = (p); \
		(p) = NULL; \
		taken_; \
	})

#define TAKE_FD(fd) \
	({ \
		int taken_ = (fd); \
		(fd) = -1; \
		taken_; \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
