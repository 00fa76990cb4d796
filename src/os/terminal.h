/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of the user: is there one, how large is it, may it be coloured, raw mode, in which every key
 * goes to the program in the sandbox, and hidden mode, in which a password is typed.
 *
 * Either mode is undone on every way out: by terminal_restore(), at exit(3), when a signal ends or suspends
 * the process (after a suspension it comes back). Only SIGKILL leaves it behind.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

bool terminal_is(int fd);

/* True where fd is a terminal that can show colours and NO_COLOR (https://no-color.org) is not set. */
bool terminal_has_colours(int fd);

/* Rows and columns; false (and nothing stored) where fd is no terminal or does not know. */
bool terminal_size(int fd, uint16_t *rows, uint16_t *columns);

/* Puts the terminal behind fd into raw mode. One terminal at a time. fd must stay open until
 * terminal_restore(). */
int terminal_raw(int fd, struct error *err);

/* As terminal_raw(), for a line that is typed and not shown. */
int terminal_hide(int fd, struct error *err);

/* Back to what terminal_raw() or terminal_hide() found; no effect where nothing is to be undone. Safe in a
 * signal handler. */
void terminal_restore(void);
