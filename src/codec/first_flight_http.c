/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.x: whom a request's target (RFC 9112 §3.2) and Host (RFC 9110 §7.2) name. The whole header is read
 * before anything is said, since a second Host may be its last line.
 */
#include <string.h>

#include "codec/first_flight_parts.h"

enum { METHOD_MOST = 32 };

struct text {
	const uint8_t *at;
	size_t size;
};

static bool is_token(uint8_t c)
{
	return c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool starts_with(struct text t, const char *lower_case)
{
	size_t n = strlen(lower_case);

	if (t.size < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(t.at[i]) != (uint8_t)lower_case[i])
			return false;
	return true;
}

static struct text skip(struct text t, size_t n)
{
	return (struct text){t.at + n, t.size - n};
}

/* Up to the first of `ends`, or all. */
static size_t span_until(struct text t, const char *ends)
{
	size_t n = 0;

	while (n < t.size && !strchr(ends, t.at[n]))
		n++;
	return n;
}

/* Takes a line without its CRLF. NAME: it is there. A bare CR or LF, and every control byte but a tab, is
 * OTHER as soon as it is seen. */
static enum first_flight next_line(struct text *in, struct text *line)
{
	for (size_t i = 0; i < in->size; i++) {
		uint8_t c = in->at[i];

		if (c == '\r') {
			if (i + 1 == in->size)
				break;
			if (in->at[i + 1] != '\n')
				return FIRST_FLIGHT_OTHER;
			*line = (struct text){in->at, i};
			*in = skip(*in, i + 2);
			return FIRST_FLIGHT_NAME;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return FIRST_FLIGHT_OTHER;
	}
	return FIRST_FLIGHT_NEED_MORE;
}

/* "host", "host:port" or "[IPv6]:port". */
static enum first_flight read_authority(struct text t, char name[FIRST_FLIGHT_NAME_SIZE])
{
	bool literal = t.size && t.at[0] == '[';
	size_t host = span_until(t, literal ? "]" : ":") + literal;
	struct text port;

	name[0] = 0;
	if (host > t.size)
		return FIRST_FLIGHT_OTHER;
	port = skip(t, host);
	if (port.size && port.at[0] != ':')
		return FIRST_FLIGHT_OTHER;
	for (size_t i = 1; i < port.size; i++)
		if (port.at[i] < '0' || port.at[i] > '9' || i > 5)
			return FIRST_FLIGHT_OTHER;
	for (size_t i = 1; literal && i + 1 < host; i++)
		if (!strchr("0123456789abcdef:.", lower(t.at[i])))
			return FIRST_FLIGHT_OTHER;
	return literal ? FIRST_FLIGHT_NONE : first_flight_host(t.at, host, name);
}

/* Method, target and version: *target, or OTHER. Proxies' requests (CONNECT) are no server's. */
static enum first_flight read_request_line(struct text line, struct text *target)
{
	size_t method = span_until(line, " ");

	if (method == 0 || method == line.size || method > METHOD_MOST)
		return FIRST_FLIGHT_OTHER;
	for (size_t i = 0; i < method; i++)
		if (!is_token(line.at[i]))
			return FIRST_FLIGHT_OTHER;
	if (method == 7 && memcmp(line.at, "CONNECT", 7) == 0)
		return FIRST_FLIGHT_OTHER;
	line = skip(line, method + 1);
	*target = (struct text){line.at, span_until(line, " ")};
	for (size_t i = 0; i < target->size; i++)
		if (target->at[i] <= 0x20 || target->at[i] >= 0x7f)
			return FIRST_FLIGHT_OTHER;
	line = skip(line, target->size);
	if (target->size == 0 || line.size != 9 || memcmp(line.at, " HTTP/1.", 8) ||
		(line.at[8] != '0' && line.at[8] != '1'))
		return FIRST_FLIGHT_OTHER;
	return FIRST_FLIGHT_NAME;
}

/* The authority of a target in absolute form. NONE: it has another form. */
static enum first_flight read_target(struct text target, struct text *authority)
{
	size_t scheme = starts_with(target, "http://") ? 7 : starts_with(target, "https://") ? 8 : 0;

	if (memchr(target.at, '#', target.size))
		return FIRST_FLIGHT_OTHER;
	if (!scheme)
		return target.at[0] == '/' || (target.size == 1 && target.at[0] == '*') ? FIRST_FLIGHT_NONE
											: FIRST_FLIGHT_OTHER;
	target = skip(target, scheme);
	*authority = (struct text){target.at, span_until(target, "/?")};
	/* Also user@host. */
	return authority->size == 0 || memchr(authority->at, '@', authority->size) ? FIRST_FLIGHT_OTHER
										   : FIRST_FLIGHT_NAME;
}

/* A field's line. NAME: it is Host, with *value. NONE: another. A line that begins with white space would be
 * folded by some servers (obs-fold), and a space before the colon is taken off by some. */
static enum first_flight read_field(struct text line, struct text *value)
{
	size_t name = 0;
	bool host = starts_with(line, "host:");

	while (name < line.size && is_token(line.at[name]))
		name++;
	if (name == 0 || name == line.size || line.at[name] != ':')
		return FIRST_FLIGHT_OTHER;
	*value = skip(line, name + 1);
	while (value->size && (value->at[0] == ' ' || value->at[0] == '\t'))
		*value = skip(*value, 1);
	while (value->size && (value->at[value->size - 1] == ' ' || value->at[value->size - 1] == '\t'))
		value->size--;
	return host ? FIRST_FLIGHT_NAME : FIRST_FLIGHT_NONE;
}

/* All fields up to the empty line. NAME: with *host, where *has_host. */
static enum first_flight read_fields(struct text in, struct text *host, bool *has_host)
{
	struct text line, value;
	enum first_flight state;

	for (;;) {
		state = next_line(&in, &line);
		if (state != FIRST_FLIGHT_NAME || line.size == 0)
			return state;
		state = read_field(line, &value);
		if (state == FIRST_FLIGHT_NONE)
			continue;
		if (state == FIRST_FLIGHT_OTHER || *has_host)
			return FIRST_FLIGHT_OTHER;
		*has_host = true;
		*host = value;
	}
}

enum first_flight first_flight_http(const uint8_t *bytes, size_t n, char name[FIRST_FLIGHT_NAME_SIZE])
{
	char host_name[FIRST_FLIGHT_NAME_SIZE];
	struct text in = {bytes, n}, line, target, authority, host = {0};
	bool has_host = false;
	enum first_flight state, absolute, named = FIRST_FLIGHT_NONE;

	if (!is_token(bytes[0]))
		return FIRST_FLIGHT_OTHER;
	state = next_line(&in, &line);
	if (state == FIRST_FLIGHT_NAME)
		state = read_request_line(line, &target);
	if (state != FIRST_FLIGHT_NAME)
		return state;
	absolute = read_target(target, &authority);
	if (absolute == FIRST_FLIGHT_OTHER)
		return absolute;
	state = read_fields(in, &host, &has_host);
	if (state != FIRST_FLIGHT_NAME)
		return state;
	if (has_host)
		named = read_authority(host, host_name);
	if (named == FIRST_FLIGHT_NAME)
		memcpy(name, host_name, strlen(host_name) + 1);
	if (absolute == FIRST_FLIGHT_NONE || named == FIRST_FLIGHT_OTHER)
		return named;
	/* Servers take the target's (RFC 9112 §3.2.2), or Host: both must say the same. */
	absolute = read_authority(authority, name);
	if (has_host && (absolute != named || strcmp(name, host_name) != 0))
		return FIRST_FLIGHT_OTHER;
	return absolute;
}
