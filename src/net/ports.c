/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

struct range {
	uint16_t first, last;
};

static int wrong(const char *text, struct error *err)
{
	return error_set(err, ERROR_INVALID,
		"publish '%s': expected [ADDRESS:][HOST:]GUEST[/tcp|/udp][,proxy=1|,proxy=2], with ports or "
		"ranges (8000-8009:80-89)",
		text);
}

/* "80" or "80-89". */
static bool parse_range(char *text, bool host, struct range *r)
{
	char *end = strchr(text, '-');
	uint64_t first, last;

	if (end)
		*end++ = 0;
	if (text_parse_u64(text, UINT16_MAX, "port", &first, NULL) < 0 ||
		text_parse_u64(end ? end : text, UINT16_MAX, "port", &last, NULL) < 0)
		return false;
	*r = (struct range){(uint16_t)first, (uint16_t)last};
	if (first == 0)
		return host && last == 0 && !end;
	return last >= first;
}

/* Cuts "/udp" and ",proxy=2" off the end. */
static bool parse_suffixes(char *text, struct port *p)
{
	char *proxy = strchr(text, ','), *protocol;

	if (proxy) {
		*proxy++ = 0;
		if (strcmp(proxy, "proxy=1") != 0 && strcmp(proxy, "proxy=2") != 0)
			return false;
		p->proxy = (uint8_t)(proxy[6] - '0');
	}
	protocol = strchr(text, '/');
	p->protocol = PORT_PROTOCOL_TCP;
	if (protocol) {
		*protocol++ = 0;
		if (!strcmp(protocol, "udp"))
			p->protocol = PORT_PROTOCOL_UDP;
		else if (strcmp(protocol, "tcp") != 0)
			return false;
	}
	return !(p->proxy && p->protocol == PORT_PROTOCOL_UDP);
}

/* "ADDRESS:HOST" or "HOST". */
static bool parse_host(char *text, struct port *p, struct range *host)
{
	char *colon = strrchr(text, ':');
	size_t n;

	if (!colon)
		return parse_range(text, true, host);
	*colon = 0;
	n = strlen(text);
	if (n > 2 && *text == '[' && text[n - 1] == ']') {
		text[n - 1] = 0;
		if (address_parse(text + 1, &p->address, NULL) < 0 || address_is_ipv4(&p->address))
			return false;
	} else if (address_parse(text, &p->address, NULL) < 0 || !address_is_ipv4(&p->address))
		return false;
	return colon[1] ? parse_range(colon + 1, true, host) : true;
}

static bool parse(char *text, struct port *p, struct range *host, struct range *guest)
{
	char *colon;

	*p = (struct port){.address = address_from_ipv4(0x7f000001)};
	*host = (struct range){0};
	if (!parse_suffixes(text, p))
		return false;
	colon = strrchr(text, ':');
	if (!parse_range(colon ? colon + 1 : text, false, guest))
		return false;
	if (colon) {
		*colon = 0;
		if (*text && !parse_host(text, p, host))
			return false;
	}
	return host->first == 0 || host->last - host->first == guest->last - guest->first;
}

int ports_parse(const char *text, struct port **list, size_t *count, struct error *err)
{
	_cleanup_free_ char *copy = text_copy(text, err);
	struct range host, guest;
	struct port p, *grown;
	size_t more;

	if (!copy)
		return -ERROR_NO_MEMORY;
	if (!parse(copy, &p, &host, &guest))
		return wrong(text, err);
	more = (size_t)(guest.last - guest.first) + 1;
	if (*count + more > PORTS_MAX)
		return error_set(
			err, ERROR_LIMIT, "publish '%s': more than %d ports of one sandbox", text, PORTS_MAX);
	grown = realloc(*list, (*count + more) * sizeof *grown);
	if (!grown)
		return error_no_memory(err, "publish ports");
	*list = grown;
	for (size_t i = 0; i < more; i++) {
		p.guest = (uint16_t)(guest.first + i);
		p.host = (uint16_t)(host.first ? host.first + i : 0);
		grown[(*count)++] = p;
	}
	return 0;
}

const char *port_format(const struct port *p, char out[PORT_TEXT_MAX])
{
	char address[ADDRESS_TEXT_MAX], proxy[16] = "";
	bool four = address_is_ipv4(&p->address);

	address_format(&p->address, address);
	if (p->proxy)
		snprintf(proxy, sizeof proxy, ",proxy=%u", p->proxy);
	snprintf(out, PORT_TEXT_MAX, "%s%s%s:%u:%u/%s%s", four ? "" : "[", address, four ? "" : "]", p->host,
		p->guest, p->protocol == PORT_PROTOCOL_UDP ? "udp" : "tcp", proxy);
	return out;
}

static bool is_any(const struct address *a)
{
	static const struct address six;

	return address_equal(a, &six) || (address_is_ipv4(a) && address_ipv4(a) == 0);
}

bool port_conflicts(const struct port *a, const struct port *b)
{
	return a->protocol == b->protocol && a->host && a->host == b->host &&
	       address_is_ipv4(&a->address) == address_is_ipv4(&b->address) &&
	       (address_equal(&a->address, &b->address) || is_any(&a->address) || is_any(&b->address));
}
