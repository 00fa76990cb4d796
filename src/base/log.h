/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics of a process: one line each, to standard error (or a descriptor), never to standard output. */
#pragma once

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void log_set(enum log_level most, int fd, const char *prefix); /* prefix: borrowed, put before each line */
enum log_level log_level(void);

/* "PREFIX: LEVEL: text\n", in one write. Control bytes in the text become '?'. errno is kept. Debugging
 * lines begin with the seconds since 1970, so that those of several processes can be put in order. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
