/* SPDX-License-Identifier: Apache-2.0 */
/* What mcnet gives up before it reads a byte of anybody's. */
#pragma once

#include "base/error.h"

/* Descriptors as many as may be, no core, and files (the log) of a bounded size. */
void mcnet_limit(void);

/*
 * In this order, for good: new privileges and capabilities; the file system but for the group's directory
 * (`directory`, and its name in the one above, so that it can be removed), and the directories of
 * /etc/resolv.conf and of what that links to; the system calls that its sockets do not need.
 */
int mcnet_confine(int directory, struct error *err);
