/* SPDX-License-Identifier: Apache-2.0 */
/* Which resolvers this host asks, and how: the text of /etc/resolv.conf (resolv.conf(5)). A core without I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#define RESOLV_CONF_SERVERS_MOST 3u
#define RESOLV_CONF_SIZE_MOST    65536u /* bytes that are looked at */

struct resolv_conf {
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} servers[RESOLV_CONF_SERVERS_MOST];
	size_t count;      /* at least 1: 127.0.0.1 where the text names none */
	unsigned timeout;  /* seconds, 1 to 30 */
	unsigned attempts; /* rounds over all servers, 1 to 5 */
	bool rotate;       /* begin with another server each time */
	bool tcp;          /* "use-vc": by TCP only */
};

/* Lines that it does not know or that are wrong are skipped, as the C library does. port: of the servers. */
void resolv_conf_parse(const char *text, size_t n, uint16_t port, struct resolv_conf *conf);
