/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

struct supervise_options {
	const char *home; /* absolute */
	const char *id;   /* of the sandbox; its lock is held through the descriptor `lock` */
	int client;       /* the connection that asks for the start (control.h: START comes first) */
	int lock;
};

/* Runs the sandbox to its end. Returns 0 also where the start failed: the client was told. */
int supervise(const struct supervise_options *options, struct error *err);
