/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a client means, from the first bytes that it sends on a TCP connection: the server name of a TLS
 * ClientHello (RFC 8446, RFC 6066 §3) or the Host of an HTTP/1.x request (RFC 9110 §7.2, RFC 9112 §3.2).
 *
 * A pure core over a growing prefix of the stream. The client is hostile: it would like a name to be read
 * here that the server does not read. So what is not exactly by the grammar is OTHER, even where many servers
 * are lenient: folded or bare-CR lines, a second Host, control bytes, names that differ, HTTP/2 without TLS.
 * What is read is what a receiver gets only if the bytes are: segments with wrong checksums, overlapping ones
 * that differ, and urgent data (which leaves the stream) are for the caller to refuse.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FIRST_FLIGHT_MOST      16384u /* bytes that are looked at */
#define FIRST_FLIGHT_NAME_SIZE 254u   /* with the NUL */

enum first_flight {
	FIRST_FLIGHT_NEED_MORE, /* not before FIRST_FLIGHT_MOST bytes are there: then it is OTHER */
	FIRST_FLIGHT_NAME,      /* a name: lower-case, no trailing dot, no port */
	FIRST_FLIGHT_NONE,      /* TLS or HTTP that names nobody, or an IP address */
	FIRST_FLIGHT_ENCRYPTED, /* TLS whose ClientHello is encrypted (extension 0xfe0d or 0xffce), or looks
				   so */
	FIRST_FLIGHT_OTHER      /* neither protocol, or against its grammar */
};

/*
 * bytes: the stream from its beginning; n: how much of it is there. Anything but NEED_MORE is final: more
 * bytes do not change it. name is set with FIRST_FLIGHT_NAME, "" else.
 */
enum first_flight first_flight_read(const uint8_t *bytes, size_t n, char name[FIRST_FLIGHT_NAME_SIZE]);
