/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening unix sockets in a directory, by its descriptor: they are reached through /proc/self/fd, since a
 * socket's path holds no more than 107 bytes (unix(7)).
 */
#pragma once

#include "base/error.h"

/* A listening socket `name` in the directory, non-blocking; one that a killed process left is replaced. */
int unix_socket_listen(int directory, const char *name, int *listener, struct error *err);

/* Connects to it. NOT_FOUND: nobody listens. Whoever does is looked at: unix_socket_check_peer(). */
int unix_socket_connect(int directory, const char *name, int *connection, struct error *err);

/* The same without a look at who listens, for a socket that was given to somebody else; never blocking:
 * SYSTEM where too many wait for it already. */
int unix_socket_connect_any(int directory, const char *name, int *connection, struct error *err);

/* DENIED unless the process at the other end is this user's or root's (SO_PEERCRED). */
int unix_socket_check_peer(int connection, struct error *err);
