/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_header.h"

#include <stdio.h>
#include <string.h>

#include "base/big_endian.h"

#define MAPPED 12 /* bytes before the IPv4 address in a mapped one */

static uint8_t *put_port(uint8_t *at, uint16_t port)
{
	be16_put(at, port);
	return at + 2;
}

static uint8_t *put_address(uint8_t *at, const struct address *a)
{
	size_t skip = address_is_ipv4(a) ? MAPPED : 0, n = sizeof a->bytes - skip;

	memcpy(at, a->bytes + skip, n);
	return at + n;
}

size_t proxy_header(unsigned version, const struct address *source, uint16_t source_port,
	const struct address *destination, uint16_t destination_port, uint8_t out[PROXY_HEADER_MAX])
{
	static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n"
					   "\x21"; /* version 2, a connection on behalf of another */
	char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
	bool four = address_is_ipv4(source);
	uint8_t *at = out;

	if (version == 1)
		return (size_t)snprintf((char *)out, PROXY_HEADER_MAX, "PROXY %s %s %s %u %u\r\n",
			four ? "TCP4" : "TCP6", address_format(source, from), address_format(destination, to),
			source_port, destination_port);
	memcpy(at, signature, sizeof signature - 1);
	at += sizeof signature - 1;
	*at++ = four ? 0x11 : 0x21; /* its family, and TCP */
	at = put_port(at, four ? 12 : 36);
	at = put_address(at, source);
	at = put_address(at, destination);
	at = put_port(at, source_port);
	at = put_port(at, destination_port);
	return (size_t)(at - out);
}
