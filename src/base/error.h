/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to fail. A function that can fail takes `struct error *err` last and returns 0 or a
 * negative `enum error_code`; the text says what was being done, to what, and what to do next.
 *
 * The object holds its text itself, so failing never allocates. `err` may be NULL everywhere: the code is
 * still returned.
 */
#pragma once

#include <stddef.h>

/* name, exit status of the CLI, HTTP status, what the code means */
#define ERROR_CODES(X) \
	X(SYSTEM, 1, 500, "the system refused") \
	X(NO_MEMORY, 1, 500, "out of memory") \
	X(USAGE, 2, 400, "wrong usage") \
	X(INVALID, 1, 400, "malformed input") \
	X(NOT_FOUND, 1, 404, "no such thing") \
	X(EXISTS, 1, 409, "already there") \
	X(BUSY, 1, 409, "in use, or in the wrong state") \
	X(DENIED, 1, 403, "not allowed") \
	X(LIMIT, 1, 413, "over a limit") \
	X(TIMEOUT, 1, 504, "no answer in time") \
	X(UNAVAILABLE, 1, 501, "not available here") \
	X(CORRUPT, 1, 500, "damaged data") \
	X(NO_SPACE, 1, 507, "disk full") \
	X(CLOSED, 1, 502, "the other side is gone") \
	X(START, 125, 500, "the sandbox could not be started") \
	X(CANNOT_EXECUTE, 126, 400, "the command cannot be executed") \
	X(NO_COMMAND, 127, 400, "the command was not found")

enum error_code {
	ERROR_NONE = 0,
#define X(name, exit_status, http_status, meaning) ERROR_##name,
	ERROR_CODES(X)
#undef X
		ERROR_COUNT
};

#define ERROR_TEXT_MAX 1024

struct error {
	enum error_code code;
	char text[ERROR_TEXT_MAX]; /* one line, no trailing newline; cut with "..." where it is longer */
};

/* Sets *err (when not NULL) and returns -code. Control bytes in the formatted text become '?', so that
 * hostile names cannot drive a terminal. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, for a failed system call: the code is derived from `errnum` (ENOENT: NOT_FOUND, EEXIST:
 * EXISTS, EACCES/EPERM: DENIED, ENOSPC/EDQUOT: NO_SPACE, ENOMEM: NO_MEMORY, otherwise SYSTEM), and
 * ": " with errnum's description is appended. */
int error_errno(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Out of memory while doing `what`. */
int error_no_memory(struct error *err, const char *what);

/* Puts "<formatted>: " before the text already there, and returns -err->code (or -ERROR_SYSTEM when err
 * is NULL). */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lookups by code; the code may be negative. The name is the one in the table ("NOT_FOUND"). */
int error_exit_status(int code);
int error_http_status(int code);
const char *error_name(int code);
