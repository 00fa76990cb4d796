/* SPDX-License-Identifier: Apache-2.0 */
/* The header by which a connection tells from where it comes: haproxy's proxy-protocol.txt, versions 1 and 2.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

#define PROXY_HEADER_MAX 108 /* version 1: 107 and a NUL */

/* source, destination: of the connection, both of one family. version: 1 or 2. Returns the bytes written. */
size_t proxy_header(unsigned version, const struct address *source, uint16_t source_port,
	const struct address *destination, uint16_t destination_port, uint8_t out[PROXY_HEADER_MAX]);
