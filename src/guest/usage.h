/* SPDX-License-Identifier: Apache-2.0 */
/*
 * METRICS: what the guest uses. All files are opened at boot, before the sandbox could put others in their
 * places, and a read of them never waits.
 */
#pragma once

#include "codec/message.h"
#include "guest/boot.h"
#include "guest/usage_text.h"

enum usage_file { USAGE_STAT, USAGE_MEMORY, USAGE_DISKS, USAGE_NET, USAGE_LOAD, USAGE_PIDS, USAGE_FILES };

struct usage {
	int files[USAGE_FILES];
	struct usage_counters
		begun; /* at HELLO: the start of the machine, or of its template, is not counted */
};

/* `scratch` takes the files' text, here and below. */
void usage_open(struct usage *u, const struct boot *b);
void usage_begin(struct usage *u, uint8_t *scratch, size_t size);

/* `upper` is in the file system of the upper. What cannot be read is 0. */
void usage_read(const struct usage *u, int upper, uint8_t *scratch, size_t size, struct message_usage *m);
