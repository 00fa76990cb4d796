/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors over a unix socket (SCM_RIGHTS, unix(7)). */
#pragma once

#include <sys/types.h>

#define DESCRIPTORS_MAX 8

/* Sends bytes and descriptors as one message. 0, or -1 with errno. */
int descriptors_send(int socket, const void *bytes, size_t n, const int *fds, int count);

/* Receives a message. *count: how many descriptors there is room for in fds, then how many came, which are
 * the caller's, close-on-exec; others are closed. Bytes received, 0 at the end, or -1 with errno. */
ssize_t descriptors_receive(int socket, void *bytes, size_t n, int *fds, int *count);
