/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP of hostile guests: an answer goes to the lease's address or to all, offers no other, and ends within
 * its bound. */
#include <assert.h>
#include <string.h>

#include "codec/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dhcp_lease lease = {.address = 0x0a000003,
		.gateway = 0x0a000001,
		.dns = 0x0a000001,
		.server = 0x0a000001,
		.bits = 24,
		.mtu = 65520,
		.seconds = 3600,
		.domain = "default.internal"};
	static const uint8_t none[4], mine[4] = {10, 0, 0, 3};
	uint8_t out[DHCP_REPLY_MOST];
	struct dhcp_request r;
	uint32_t to = 0;
	size_t n, at = 240;

	if (!dhcp_parse(data, size, &r))
		return 0;
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	if (n == 0)
		return 0;
	assert(n <= sizeof out && (to == lease.address || to == 0xffffffff));
	assert(memcmp(out + 16, none, 4) == 0 || memcmp(out + 16, mine, 4) == 0);
	while (out[at] != 255) {
		at += 2u + out[at + 1];
		assert(at < n);
	}
	return 0;
}
