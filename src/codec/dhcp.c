/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/dhcp.h"

#include <string.h>

#include "base/big_endian.h"

enum {
	BOOT_REQUEST = 1,
	BOOT_REPLY = 2,
	ETHERNET = 1,
	MAC_SIZE = 6,
	/* Offsets of RFC 2131 §2. */
	AT_TYPE = 0,
	AT_XID = 4,
	AT_FLAGS = 10,
	AT_CLIENT = 12,
	AT_YOURS = 16,
	AT_RELAY = 24,
	AT_HARDWARE = 28,
	AT_COOKIE = 236,
	AT_OPTIONS = 240,
	BROADCAST_FLAG = 0x80 /* of the first byte of flags */
};

static const uint8_t cookie[] = {99, 130, 83, 99};

enum option {
	OPTION_PAD = 0,
	OPTION_MASK = 1,
	OPTION_ROUTER = 3,
	OPTION_DNS = 6,
	OPTION_DOMAIN = 15,
	OPTION_MTU = 26,
	OPTION_BROADCAST = 28,
	OPTION_REQUESTED = 50,
	OPTION_LEASE = 51,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_CLIENT = 61,
	OPTION_END = 255
};

/* False: an option whose length cannot be. Those that a client may send and we do not need are skipped. */
static bool take_option(struct dhcp_request *r, uint8_t option, const uint8_t *value, uint8_t n)
{
	switch (option) {
	case OPTION_TYPE:
		if (n != 1)
			return false;
		r->type = value[0];
		break;
	case OPTION_REQUESTED:
	case OPTION_SERVER:
		if (n != 4)
			return false;
		*(option == OPTION_SERVER ? &r->server : &r->requested) = be32_get(value);
		break;
	case OPTION_CLIENT:
		if (n < 2 || n > DHCP_CLIENT_MOST)
			return false;
		memcpy(r->client, value, n);
		r->client_size = n;
		break;
	default:
		break;
	}
	return true;
}

static bool parse_options(const uint8_t *at, const uint8_t *end, struct dhcp_request *r)
{
	while (at < end && *at != OPTION_END) {
		uint8_t n;

		if (*at == OPTION_PAD) {
			at++;
			continue;
		}
		if (end - at < 2)
			return false;
		n = at[1];
		if (end - at - 2 < n || !take_option(r, at[0], at + 2, n))
			return false;
		at += 2 + n;
	}
	return true;
}

bool dhcp_parse(const uint8_t *data, size_t n, struct dhcp_request *r)
{
	*r = (struct dhcp_request){0};
	if (n < AT_OPTIONS || data[AT_TYPE] != BOOT_REQUEST || data[1] != ETHERNET || data[2] != MAC_SIZE ||
		be32_get(data + AT_RELAY) != 0 || memcmp(data + AT_COOKIE, cookie, sizeof cookie))
		return false;
	r->xid = be32_get(data + AT_XID);
	r->broadcast = data[AT_FLAGS] & BROADCAST_FLAG;
	r->address = be32_get(data + AT_CLIENT);
	memcpy(r->mac, data + AT_HARDWARE, MAC_SIZE);
	return parse_options(data + AT_OPTIONS, data + n, r) &&
	       (r->type == DHCP_DISCOVER || r->type == DHCP_REQUEST || r->type == DHCP_DECLINE ||
		       r->type == DHCP_RELEASE || r->type == DHCP_INFORM);
}

/* ---- answers ----------------------------------------------------------------------------------------- */

struct options {
	uint8_t *at;
};

/* All options together, each as long as it may get. */
_Static_assert(
	AT_OPTIONS + 3 + 6 + 2 + DHCP_CLIENT_MOST + 5 * 6 + 2 + DHCP_DOMAIN_MOST + 4 + 1 <= DHCP_REPLY_MOST,
	"every reply fits");

static void put_option(struct options *o, enum option option, const void *value, size_t n)
{
	*o->at++ = (uint8_t)option;
	*o->at++ = (uint8_t)n;
	memcpy(o->at, value, n);
	o->at += n;
}

static void put_address(struct options *o, enum option option, uint32_t address)
{
	uint8_t bytes[4];

	be32_put(bytes, address);
	put_option(o, option, bytes, sizeof bytes);
}

static void put_network(struct options *o, const struct dhcp_lease *lease)
{
	uint32_t mask = lease->bits ? ~0u << (32 - lease->bits) : 0;
	uint8_t mtu[2] = {(uint8_t)(lease->mtu >> 8), (uint8_t)lease->mtu};
	size_t domain = lease->domain ? strlen(lease->domain) : 0;

	put_address(o, OPTION_MASK, mask); /* before the router (RFC 2132 §3.3) */
	put_address(o, OPTION_BROADCAST, lease->address | ~mask);
	if (lease->gateway)
		put_address(o, OPTION_ROUTER, lease->gateway);
	if (lease->dns)
		put_address(o, OPTION_DNS, lease->dns);
	if (domain && domain <= DHCP_DOMAIN_MOST)
		put_option(o, OPTION_DOMAIN, lease->domain, domain);
	if (lease->mtu)
		put_option(o, OPTION_MTU, mtu, sizeof mtu);
}

/* What a message is answered with; 0: nothing. */
static enum dhcp_type judge(const struct dhcp_request *r, const struct dhcp_lease *lease)
{
	uint32_t wanted = r->requested ? r->requested : r->address;

	switch (r->type) {
	case DHCP_DISCOVER:
		return DHCP_OFFER;
	case DHCP_REQUEST:
		if (r->server && r->server != lease->server)
			return 0;
		/* NAK: also who has another address already and renews it. */
		return wanted == lease->address && (!r->address || r->address == lease->address) ? DHCP_ACK
												 : DHCP_NAK;
	case DHCP_INFORM:
		return r->address == lease->address ? DHCP_ACK : 0;
	default:
		return 0;
	}
}

/* RFC 2131 §4.1, without relays. */
static uint32_t destination(const struct dhcp_request *r, enum dhcp_type type, const struct dhcp_lease *lease)
{
	if (type == DHCP_NAK || (r->broadcast && !r->address))
		return 0xffffffff;
	return lease->address;
}

size_t dhcp_answer(
	const struct dhcp_request *r, const struct dhcp_lease *lease, uint32_t *to, uint8_t *out, size_t room)
{
	enum dhcp_type type = judge(r, lease);
	uint8_t type_byte = (uint8_t)type;
	struct options o = {out + AT_OPTIONS};
	size_t n;

	if (!type || room < DHCP_REPLY_MOST)
		return 0;
	memset(out, 0, DHCP_REPLY_MOST);
	out[AT_TYPE] = BOOT_REPLY;
	out[1] = ETHERNET;
	out[2] = MAC_SIZE;
	be32_put(out + AT_XID, r->xid);
	out[AT_FLAGS] = r->broadcast ? BROADCAST_FLAG : 0;
	if (type == DHCP_ACK)
		be32_put(out + AT_CLIENT, r->address);
	if (type != DHCP_NAK && r->type != DHCP_INFORM)
		be32_put(out + AT_YOURS, lease->address);
	memcpy(out + AT_HARDWARE, r->mac, MAC_SIZE);
	memcpy(out + AT_COOKIE, cookie, sizeof cookie);
	put_option(&o, OPTION_TYPE, &type_byte, 1);
	put_address(&o, OPTION_SERVER, lease->server);
	if (r->client_size)
		put_option(&o, OPTION_CLIENT, r->client, r->client_size);
	if (type != DHCP_NAK) {
		if (r->type != DHCP_INFORM)
			put_address(&o, OPTION_LEASE, lease->seconds);
		put_network(&o, lease);
	}
	*o.at++ = OPTION_END;
	*to = destination(r, type, lease);
	n = (size_t)(o.at - out);
	return n < 300 ? 300 : n; /* the least that BOOTP has (RFC 1542 §2.1) */
}
