/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int exit_status;
	int http_status;
} codes[] = {[ERROR_NONE] = {"none", 0, 200},
#define X(name, exit_status, http_status, meaning) [ERROR_##name] = {#name, exit_status, http_status},
	ERROR_CODES(X)
#undef X
};

static void make_printable(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static void format_text(struct error *err, const char *format, va_list args)
{
	int n = vsnprintf(err->text, sizeof err->text, format, args);

	if (n < 0)
		err->text[0] = 0;
	else if ((size_t)n >= sizeof err->text)
		memcpy(err->text + sizeof err->text - 4, "...", 4);
	make_printable(err->text);
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
	va_list args;

	if (err) {
		err->code = code;
		va_start(args, format);
		format_text(err, format, args);
		va_end(args);
	}
	return -(int)code;
}

static enum error_code code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ESRCH:
		return ERROR_NOT_FOUND;
	case EEXIST:
		return ERROR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERROR_DENIED;
	case ENOSPC:
	case EDQUOT:
		return ERROR_NO_SPACE;
	case ENOMEM:
		return ERROR_NO_MEMORY;
	case ETIMEDOUT:
		return ERROR_TIMEOUT;
	case EPIPE:
	case ECONNRESET:
		return ERROR_CLOSED;
	default:
		return ERROR_SYSTEM;
	}
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
	enum error_code code = code_of_errno(errnum);
	va_list args;
	size_t n;

	if (err) {
		err->code = code;
		va_start(args, format);
		format_text(err, format, args);
		va_end(args);
		n = strlen(err->text);
		snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(errnum));
	}
	return -(int)code;
}

int error_no_memory(struct error *err, const char *what)
{
	return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", what);
}

int error_prefix(struct error *err, const char *format, ...)
{
	struct error whole;
	va_list args;
	size_t n;

	if (!err)
		return -ERROR_SYSTEM;
	va_start(args, format);
	format_text(&whole, format, args);
	va_end(args);
	n = strlen(whole.text);
	if ((size_t)snprintf(whole.text + n, sizeof whole.text - n, ": %s", err->text) >=
		sizeof whole.text - n)
		memcpy(whole.text + sizeof whole.text - 4, "...", 4);
	memcpy(err->text, whole.text, sizeof err->text);
	return -(int)err->code;
}

static size_t index_of(int code)
{
	size_t i = (size_t)(code < 0 ? -code : code);

	return i < ERROR_COUNT ? i : ERROR_SYSTEM;
}

int error_exit_status(int code)
{
	return codes[index_of(code)].exit_status;
}

int error_http_status(int code)
{
	return codes[index_of(code)].http_status;
}

const char *error_name(int code)
{
	return codes[index_of(code)].name;
}
