/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS: a ClientHello (RFC 8446 §4.1.2) in one or several records (§5.1), and its server name (RFC 6066 §3).
 *
 * A server reads the same bytes by the same rules; where the rules are broken, servers differ, and the hello
 * is refused: lengths that do not add up, an extension given twice, two names, a record that holds more.
 */
#include <string.h>

#include "codec/first_flight_parts.h"

enum {
	RECORD_HEADER = 5,
	RECORD_MOST = 16384,
	HANDSHAKE = 22,
	HANDSHAKE_HEADER = 4,
	CLIENT_HELLO = 1,
	SERVER_NAME = 0,
	HOST_NAME = 0,
	ENCRYPTED_CLIENT_HELLO = 0xfe0d,
	ENCRYPTED_SERVER_NAME = 0xffce /* its forerunner */
};

/* Reads numbers and vectors within a bound; after the first failure all is 0 and empty. */
struct tls {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static struct tls take(struct tls *t, size_t n)
{
	struct tls part = {t->at, n, false};

	if (t->failed || n > t->left) {
		t->failed = true;
		return (struct tls){t->at, 0, true};
	}
	t->at += n;
	t->left -= n;
	return part;
}

static size_t number(struct tls *t, size_t bytes)
{
	struct tls part = take(t, bytes);
	size_t v = 0;

	for (size_t i = 0; i < part.left; i++)
		v = v << 8 | part.at[i];
	return v;
}

/* A vector whose length is given in so many bytes, and is within [least, most]. */
static struct tls vector(struct tls *t, size_t bytes, size_t least, size_t most)
{
	size_t n = number(t, bytes);

	if (n < least || n > most)
		t->failed = true;
	return take(t, n);
}

static enum first_flight read_server_name(struct tls extension, char name[FIRST_FLIGHT_NAME_SIZE])
{
	struct tls list = vector(&extension, 2, 1, 65535);
	size_t type = number(&list, 1);
	struct tls host = vector(&list, 2, 1, 65535);

	if (extension.failed || extension.left || list.failed || list.left || type != HOST_NAME)
		return FIRST_FLIGHT_OTHER;
	return first_flight_host(host.at, host.left, name);
}

static enum first_flight read_extensions(struct tls extensions, char name[FIRST_FLIGHT_NAME_SIZE])
{
	enum first_flight found = FIRST_FLIGHT_NONE;
	bool named = false, encrypted = false;

	while (extensions.left) {
		size_t type = number(&extensions, 2);
		struct tls extension = vector(&extensions, 2, 0, 65535);

		if (extensions.failed)
			return FIRST_FLIGHT_OTHER;
		if (type == ENCRYPTED_CLIENT_HELLO || type == ENCRYPTED_SERVER_NAME)
			encrypted = true;
		if (type != SERVER_NAME)
			continue;
		if (named)
			return FIRST_FLIGHT_OTHER;
		named = true;
		found = read_server_name(extension, name);
		if (found == FIRST_FLIGHT_OTHER)
			return found;
	}
	return encrypted ? FIRST_FLIGHT_ENCRYPTED : found;
}

static enum first_flight read_hello(struct tls hello, char name[FIRST_FLIGHT_NAME_SIZE])
{
	size_t version = number(&hello, 2), ciphers;
	struct tls extensions;

	take(&hello, 32);         /* random */
	vector(&hello, 1, 0, 32); /* session */
	ciphers = vector(&hello, 2, 2, 65534).left;
	vector(&hello, 1, 1, 255); /* compression */
	if (hello.failed || version >> 8 != 3 || ciphers % 2)
		return FIRST_FLIGHT_OTHER;
	if (hello.left == 0)
		return FIRST_FLIGHT_NONE; /* TLS 1.2 and before may come without extensions */
	extensions = vector(&hello, 2, 0, 65535);
	if (hello.failed || hello.left)
		return FIRST_FLIGHT_OTHER;
	return read_extensions(extensions, name);
}

/* The header of a record, as far as it is there. NAME: whole and right, *length is set. */
static enum first_flight read_record_header(struct tls t, size_t *length)
{
	if ((t.left > 0 && t.at[0] != HANDSHAKE) || (t.left > 1 && t.at[1] != 3) ||
		(t.left > 2 && t.at[2] > 4))
		return FIRST_FLIGHT_OTHER;
	if (t.left < RECORD_HEADER)
		return FIRST_FLIGHT_NEED_MORE;
	*length = (size_t)(t.at[3] << 8 | t.at[4]);
	return *length == 0 || *length > RECORD_MOST ? FIRST_FLIGHT_OTHER : FIRST_FLIGHT_NAME;
}

/* How long the handshake message is with its header, or what it is instead. */
static enum first_flight read_handshake_header(const uint8_t *message, size_t n, size_t *size)
{
	if (message[0] != CLIENT_HELLO)
		return FIRST_FLIGHT_OTHER;
	if (n < HANDSHAKE_HEADER)
		return FIRST_FLIGHT_NEED_MORE;
	*size = HANDSHAKE_HEADER + (size_t)(message[1] << 16 | message[2] << 8 | message[3]);
	return *size > FIRST_FLIGHT_MOST ? FIRST_FLIGHT_OTHER : FIRST_FLIGHT_NAME;
}

enum first_flight first_flight_tls(const uint8_t *bytes, size_t n, char name[FIRST_FLIGHT_NAME_SIZE])
{
	uint8_t message[FIRST_FLIGHT_MOST];
	size_t have = 0, size = 0, length;
	struct tls in = {bytes, n, false};

	for (;;) {
		enum first_flight state = read_record_header(in, &length);
		struct tls part;

		if (state != FIRST_FLIGHT_NAME)
			return state;
		take(&in, RECORD_HEADER);
		part = take(&in, length < in.left ? length : in.left);
		if (part.left)
			memcpy(message + have, part.at, part.left);
		have += part.left;
		if (have == 0)
			return FIRST_FLIGHT_NEED_MORE;
		state = read_handshake_header(message, have, &size);
		if (state == FIRST_FLIGHT_OTHER)
			return state;
		/* More than the hello in its last record: no client does that, and servers end the
		 * connection. */
		if (state == FIRST_FLIGHT_NAME && have - part.left + length > size)
			return FIRST_FLIGHT_OTHER;
		if (state == FIRST_FLIGHT_NAME && have == size)
			return read_hello(
				(struct tls){message + HANDSHAKE_HEADER, size - HANDSHAKE_HEADER, false},
				name);
		if (part.left < length)
			return FIRST_FLIGHT_NEED_MORE;
	}
}
