/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who starts and finds the processes of groups' networks once the supervisor is confined, and can start
 * nothing any more: a copy of it from before, which knows the names of its groups and does nothing else. It
 * reads nothing of the guest's. It ends with the supervisor.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "net/groups.h"

struct dialer {
	pid_t pid; /* -1: there is none */
	int fd;    /* readable when there is an answer; -1 */
};
#define DIALER_NONE ((struct dialer){-1, -1})

/* Of a process with one thread. What it does may take as long as net_connect(). */
int dialer_start(struct dialer *d, const struct net_place *place, char *const *groups, struct error *err);

/* Asks for a connection to groups[number]. */
int dialer_ask(struct dialer *d, uint32_t number, struct error *err);

/* The next answer: 1, *number says to which question, and either *connection is the caller's, or it is -1 and
 * *err says why; 0: none yet; CLOSED: the dialer is gone. */
int dialer_answer(struct dialer *d, uint32_t *number, int *connection, struct error *err);

void dialer_end(struct dialer *d);
