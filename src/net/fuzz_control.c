/* SPDX-License-Identifier: Apache-2.0 */
/* What the payload of a message to mcnet says: whatever is accepted is written again as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/control.h"

static void expect(const struct buffer *written, const uint8_t *bytes, size_t n)
{
	if (written->failed || written->size != n || (n && memcmp(written->data, bytes, n) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct net_attach attach;
	struct net_neighbour neighbour;
	struct net_policy policy;
	struct port *ports;
	size_t count;
	char *name;

	if (n < 1)
		return 0;
	switch (*bytes++) {
	case 0:
		if (net_attach_decode(cursor_of(bytes, --n), &attach, NULL) == 0) {
			net_attach_encode(&attach, &out);
			expect(&out, bytes, n);
			net_attach_free(&attach);
		}
		break;
	case 1:
		if (net_policy_decode(cursor_of(bytes, --n), &policy, NULL) == 0) {
			net_policy_encode(&policy, &out);
			expect(&out, bytes, n);
			net_policy_free(&policy);
		}
		break;
	case 2:
		if (net_ports_decode(cursor_of(bytes, --n), &ports, &count, NULL) == 0) {
			net_ports_encode(ports, count, &out);
			expect(&out, bytes, n);
			free(ports);
		}
		break;
	case 3:
		if (net_name_decode(cursor_of(bytes, --n), &name, NULL) == 0) {
			net_name_encode(name, &out);
			expect(&out, bytes, n);
			free(name);
		}
		break;
	case 5:
		if (net_neighbour_decode(cursor_of(bytes, --n), &neighbour, NULL) == 0) {
			net_neighbour_encode(&neighbour, &out);
			expect(&out, bytes, n);
			net_neighbour_free(&neighbour);
		}
		break;
	default: {
		/* A published port's text: what is understood is understood again as it is shown. */
		char text[256], shown[PORT_TEXT_MAX], again[PORT_TEXT_MAX];
		struct port *list = NULL, *second = NULL;

		count = 0;
		if (n > sizeof text)
			n = sizeof text;
		memcpy(text, bytes, n - 1);
		text[n - 1] = 0;
		if (ports_parse(text, &list, &count, NULL) == 0) {
			size_t more = 0;

			port_format(&list[count - 1], shown);
			if (ports_parse(shown, &second, &more, NULL) < 0 || more != 1 ||
				strcmp(port_format(second, again), shown) != 0)
				abort();
		}
		free(list);
		free(second);
	}
	}
	return 0;
}
