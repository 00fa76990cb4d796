/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/first_flight.h"

#include <string.h>

#include "codec/first_flight_parts.h"

enum { TLS_HANDSHAKE = 22, LABEL_MOST = 63 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The last label is a number: no top-level domain is, but "127.1", "2130706433" and "0x7f.1" are addresses to
 * many a client. */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
	bool hex = last[0] == '0' && last[1] == 'x';

	for (last += hex ? 2 : 0; *last; last++)
		if (!is_digit(*last) && !(hex && *last >= 'a' && *last <= 'f'))
			return false;
	return true;
}

enum first_flight first_flight_host(const uint8_t *text, size_t n, char name[FIRST_FLIGHT_NAME_SIZE])
{
	size_t label = 0;

	name[0] = 0;
	if (n == 0)
		return FIRST_FLIGHT_NONE;
	if (n > 1 && text[n - 1] == '.')
		n--;
	if (n >= FIRST_FLIGHT_NAME_SIZE)
		return FIRST_FLIGHT_OTHER;
	for (size_t i = 0; i < n; i++) {
		char c = (char)text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		label = c == '.' ? 0 : label + 1;
		if ((c == '.' && (i == 0 || text[i - 1] == '.')) || label > LABEL_MOST ||
			!((c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' || c == '.'))
			return FIRST_FLIGHT_OTHER;
		name[i] = c;
	}
	name[n] = 0;
	if (label == 0)
		return FIRST_FLIGHT_OTHER;
	return ends_in_number(name) ? FIRST_FLIGHT_NONE : FIRST_FLIGHT_NAME;
}

enum first_flight first_flight_read(const uint8_t *bytes, size_t n, char name[FIRST_FLIGHT_NAME_SIZE])
{
	enum first_flight found = FIRST_FLIGHT_NEED_MORE;
	size_t looked_at = n < FIRST_FLIGHT_MOST ? n : FIRST_FLIGHT_MOST;

	name[0] = 0;
	if (n > 0 && bytes[0] == TLS_HANDSHAKE)
		found = first_flight_tls(bytes, looked_at, name);
	else if (n > 0)
		found = first_flight_http(bytes, looked_at, name);
	if (found == FIRST_FLIGHT_NEED_MORE && n >= FIRST_FLIGHT_MOST)
		found = FIRST_FLIGHT_OTHER;
	if (found != FIRST_FLIGHT_NAME)
		name[0] = 0;
	return found;
}
