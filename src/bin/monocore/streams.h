/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our standard streams, terminal and signals as those of a process in a sandbox.
 *
 * Until the process runs, a signal ends us as it would any program (and the sandbox, which we own, with us).
 * From then on signals are the process's: they are blocked here and read from a descriptor by the relay.
 */
#pragma once

#include "bin/monocore/command.h"

struct streams {
	bool tty;               /* the process has a terminal */
	bool raw;               /* ours is one too, to be put into raw mode */
	int in;                 /* -1: not connected */
	int out, err;           /* -1: closed */
	uint16_t rows, columns; /* of our terminal; 0: not known */
};

/* What the options say about terminals. */
struct streams_wish {
	bool detach, interactive, tty, no_tty;
};

/* A terminal is found by itself: where standard input and output are terminals the process gets one. --tty
 * gives it one in any case, except that `-i -t` without a terminal on standard input, which docker refuses,
 * goes on without. */
struct streams streams_choose(const struct streams_wish *wish);

/* Relays until the process has ended. */
int streams_relay(const struct streams *s, struct monocore_process *process, int *exit_status,
	struct monocore_error *err);
