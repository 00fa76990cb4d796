/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP, the control protocol of QEMU (docs/interop/qmp-spec.txt there): JSON objects, one a line, over a
 * socket pair. QEMU counts as the guest: lines are bounded, every wait has a deadline, events are skipped.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define QMP_LINE_MAX (1u << 20)

struct qmp {
	int fd;    /* owned */
	bool open; /* the greeting was taken: with the first command, since a clone's start needs none */
	struct buffer in;
};

void qmp_close(struct qmp *q);

/* Executes a command. arguments (may be NULL) is taken over; fd goes along where it is not -1; *result (may
 * be NULL) is the caller's; deadline: of clock_monotonic(). What QEMU refuses is a SYSTEM error with its
 * words. QEMU reads commands a byte at a time, once around its main loop: few of them, none while it starts.
 */
int qmp_execute(struct qmp *q, const char *command, json_t *arguments, int fd, uint64_t deadline,
	json_t **result, struct error *err);

enum qmp_message { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

/* One line of QMP, pure. *value (the caller's): the returned value, the error's text, or the event's name. */
int qmp_parse(const char *line, size_t n, enum qmp_message *what, json_t **value, struct error *err);
