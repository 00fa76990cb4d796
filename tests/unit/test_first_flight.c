/* SPDX-License-Identifier: Apache-2.0 */
/* What clients say first: whom they mean, and what they must not be believed. */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "codec/first_flight.h"

static const char *const outcomes[] = {"need more", "name", "none", "encrypted", "other"};

/* As OpenSSL 3.0 sends it for TLS 1.2 and "Old.Example.COM". */
static const char openssl_hello[] =
	"\x16\x03\x01\x00\xb5\x01\x00\x00\xb1\x03\x03\xd5\x4e\x6e\x0f\xd0\x31\x96\x38\xd3\xe7\xb3\xc7\xcd"
	"\xf1\x33\x18\xe2\x97\x4c\x5b\xc4\x90\xde\x4a\x9d\x47\xff\x15\xe9\xda\x3b\x9d\x00\x00\x1e\xc0\x2c"
	"\xc0\x30\xc0\x2b\xc0\x2f\xcc\xa9\xcc\xa8\xc0\x24\xc0\x28\xc0\x23\xc0\x27\x00\x9f\x00\x9e\x00\x6b"
	"\x00\x67\x00\xff\x01\x00\x00\x6a\x00\x00\x00\x14\x00\x12\x00\x00\x0f\x4f\x6c\x64\x2e\x45\x78\x61"
	"\x6d\x70\x6c\x65\x2e\x43\x4f\x4d\x00\x0b\x00\x04\x03\x00\x01\x02\x00\x0a\x00\x0c\x00\x0a\x00\x1d"
	"\x00\x17\x00\x1e\x00\x19\x00\x18\x00\x23\x00\x00\x00\x16\x00\x00\x00\x17\x00\x00\x00\x0d\x00\x2a"
	"\x00\x28\x04\x03\x05\x03\x06\x03\x08\x07\x08\x08\x08\x09\x08\x0a\x08\x0b\x08\x04\x08\x05\x08\x06"
	"\x04\x01\x05\x01\x06\x01\x03\x03\x03\x01\x03\x02\x04\x02\x05\x02\x06\x02";

/* The outcome for all of the bytes, as "name NAME" or a word; every shorter prefix must say so, too, or ask
 * for more. Each prefix lies in memory of its own size, for the sanitizer to watch over. */
static const char *outcome(const void *bytes, size_t n)
{
	static char text[300], name[FIRST_FLIGHT_NAME_SIZE], first[FIRST_FLIGHT_NAME_SIZE];
	enum first_flight all = first_flight_read(bytes, n, name);

	for (size_t i = 0; i<n; i += n> 2000 ? 500 : 1) {
		uint8_t *prefix = malloc(i + !i);
		enum first_flight part;

		memcpy(prefix, bytes, i);
		part = first_flight_read(prefix, i, first);
		free(prefix);
		CHECK(part == FIRST_FLIGHT_NEED_MORE || (part == all && strcmp(first, name) == 0));
	}
	CHECK((all == FIRST_FLIGHT_NAME) == (name[0] != 0));
	snprintf(text, sizeof text, "%s%s%s", outcomes[all], name[0] ? " " : "", name);
	return text;
}

static const char *http(const char *request)
{
	return outcome(request, strlen(request));
}

static void put16(struct buffer *b, size_t v)
{
	buffer_u8(b, (uint8_t)(v >> 8));
	buffer_u8(b, (uint8_t)v);
}

static void put_extension(struct buffer *b, unsigned type, const void *data, size_t n)
{
	put16(b, type);
	put16(b, n);
	buffer_append(b, data, n);
}

static void put_server_name(struct buffer *b, const void *name, size_t n)
{
	_cleanup_buffer_ struct buffer list = {0};

	put16(&list, n + 3);
	buffer_u8(&list, 0);
	put16(&list, n);
	buffer_append(&list, name, n);
	put_extension(b, 0, list.data, list.size);
}

/* A handshake message with these extensions, NULL: without any. */
static void put_hello(struct buffer *b, const struct buffer *extensions)
{
	static const uint8_t random[32] = {7};
	_cleanup_buffer_ struct buffer body = {0};

	put16(&body, 0x0303);
	buffer_append(&body, random, sizeof random);
	buffer_u8(&body, 0);
	put16(&body, 2);
	put16(&body, 0x1301);
	put16(&body, 0x0100); /* one method of compression: none */
	if (extensions) {
		put16(&body, extensions->size);
		buffer_append(&body, extensions->data, extensions->size);
	}
	buffer_u8(b, 1);
	buffer_u8(b, 0);
	put16(b, body.size);
	buffer_append(b, body.data, body.size);
}

/* The outcome of a message that comes in records of `piece` bytes. */
static const char *in_records(const struct buffer *message, size_t piece)
{
	_cleanup_buffer_ struct buffer stream = {0};

	for (size_t at = 0; at < message->size; at += piece) {
		size_t n = piece < message->size - at ? piece : message->size - at;

		buffer_u8(&stream, 22);
		put16(&stream, 0x0301);
		put16(&stream, n);
		buffer_append(&stream, message->data + at, n);
	}
	return outcome(stream.data, stream.size);
}

static const char *with_extensions(const struct buffer *extensions)
{
	_cleanup_buffer_ struct buffer message = {0};

	put_hello(&message, extensions);
	return in_records(&message, 16384);
}

static const char *named(const void *name, size_t n)
{
	_cleanup_buffer_ struct buffer extensions = {0};

	put_server_name(&extensions, name, n);
	return with_extensions(&extensions);
}

TEST(a_real_client_hello_names_its_server)
{
	CHECK_TEXT(outcome(openssl_hello, sizeof openssl_hello - 1), "name old.example.com");
	CHECK_TEXT(outcome(openssl_hello, sizeof openssl_hello - 2), "need more");
	CHECK_TEXT(outcome(openssl_hello, 0), "need more");
}

TEST(a_hello_may_come_in_records_of_any_size)
{
	_cleanup_buffer_ struct buffer extensions = {0}, message = {0};

	put_extension(&extensions, 0x0a0a, "", 0);
	put_server_name(&extensions, "in.pieces.example", 17);
	put_hello(&message, &extensions);
	for (size_t piece = 1; piece <= message.size; piece++)
		CHECK_TEXT(in_records(&message, piece), "name in.pieces.example");
}

TEST(what_follows_a_hello_in_its_record_makes_it_another_matter)
{
	_cleanup_buffer_ struct buffer extensions = {0}, message = {0};

	put_server_name(&extensions, "a.example", 9);
	put_hello(&message, &extensions);
	buffer_u8(&message, 1);
	CHECK_TEXT(in_records(&message, 16384), "other");
}

TEST(what_follows_in_further_records_does_not_matter)
{
	_cleanup_buffer_ struct buffer stream = {0};

	buffer_append(&stream, openssl_hello, sizeof openssl_hello - 1);
	buffer_append(&stream, "\x17\x03\x03\x00\x05hello", 10); /* early data */
	CHECK_TEXT(outcome(stream.data, stream.size), "name old.example.com");
}

TEST(a_hello_without_a_name_names_nobody)
{
	_cleanup_buffer_ struct buffer extensions = {0};

	CHECK_TEXT(with_extensions(NULL), "none");
	CHECK_TEXT(with_extensions(&extensions), "none");
	put_extension(&extensions, 0x2b, "\x02\x03\x04", 3);
	CHECK_TEXT(with_extensions(&extensions), "none");
}

TEST(an_encrypted_hello_is_told_apart)
{
	_cleanup_buffer_ struct buffer extensions = {0};

	put_server_name(&extensions, "cover.example", 13);
	put_extension(&extensions, 0xfe0d, "\0\0\1\0\1", 5);
	CHECK_TEXT(with_extensions(&extensions), "encrypted");
	buffer_clear(&extensions);
	put_extension(&extensions, 0xffce, "", 0);
	CHECK_TEXT(with_extensions(&extensions), "encrypted");
}

TEST(two_names_are_none_to_be_believed)
{
	_cleanup_buffer_ struct buffer twice = {0}, list = {0};

	put_server_name(&twice, "good.example", 12);
	put_server_name(&twice, "evil.example", 12);
	CHECK_TEXT(with_extensions(&twice), "other");
	put_extension(&list, 0, "\0\x0c\0\0\3a.b\0\0\3c.d", 14);
	CHECK_TEXT(with_extensions(&list), "other");
	buffer_clear(&list);
	put_extension(&list, 0, "\0\6\1\0\3a.b", 8); /* a name of another kind */
	CHECK_TEXT(with_extensions(&list), "other");
	buffer_clear(&list);
	put_extension(&list, 0, "", 0);
	CHECK_TEXT(with_extensions(&list), "other");
}

TEST(server_names_are_lowered_and_checked)
{
	static char longest[260];

	CHECK_TEXT(named("A.Example.", 10), "name a.example");
	CHECK_TEXT(named("_x-1.example", 12), "name _x-1.example");
	CHECK_TEXT(named("good.example\0.evil.example", 26), "other");
	CHECK_TEXT(named("a..example", 10), "other");
	CHECK_TEXT(named(".example", 8), "other");
	CHECK_TEXT(named("a.example..", 11), "other");
	CHECK_TEXT(named(".", 1), "other");
	CHECK_TEXT(named("a b.example", 11), "other");
	CHECK_TEXT(named("caf\xc3\xa9.example", 13), "other");
	CHECK_TEXT(named("", 0), "other");
	CHECK_TEXT(named("192.0.2.1", 9), "none");
	CHECK_TEXT(named("2130706433", 10), "none");
	CHECK_TEXT(named("127.0x1", 7), "none");
	CHECK_TEXT(named("::1", 3), "other");
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 64 == 63 ? '.' : 'a';
	CHECK(strstr(named(longest, 253), "name aaaa"));
	CHECK_TEXT(named(longest, 254), "other");
	CHECK_TEXT(named(longest + 1, 100),
		"name aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	longest[63] = 'a';
	CHECK_TEXT(named(longest, 100), "other"); /* a label of 64 */
}

TEST(records_and_lengths_that_do_not_add_up_are_no_hello)
{
	char copy[sizeof openssl_hello];
	/* Where, what: record type, version, its length 0, handshake type, its length, session too long, odd
	 * ciphers, extensions longer than the rest, a name longer than its list. */
	static const struct {
		size_t at;
		uint8_t value;
	} faults[] = {{1, 2}, {2, 9}, {3, 0x41}, {5, 2}, {6, 1}, {8, 0xb0}, {9, 2}, {43, 33}, {45, 0x1d},
		{79, 0x6b}, {84, 0x13}, {86, 0x13}, {87, 1}, {89, 0x10}};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		memcpy(copy, openssl_hello, sizeof copy);
		copy[faults[i].at] = (char)faults[i].value;
		CHECK_TEXT(outcome(copy, sizeof copy - 1), "other");
	}
	CHECK_TEXT(outcome("\x16\x03\x01\x00\x00\x16\x03\x01", 8), "other");
	CHECK_TEXT(outcome("\x80\x2e\x01\x03\x01", 5), "other"); /* SSL 2 */
	CHECK_TEXT(outcome("\x15\x03\x01\x00\x02\x02\x28", 7), "other");
}

TEST(a_hello_that_never_ends_is_given_up)
{
	_cleanup_buffer_ struct buffer message = {0}, padding = {0};
	static const uint8_t zeroes[16320];

	put_extension(&padding, 21, zeroes, sizeof zeroes);
	put_server_name(&padding, "a.example", 9);
	put_hello(&message, &padding);
	CHECK_TEXT(in_records(&message, 16384), "other");
	buffer_clear(&message);
	buffer_clear(&padding);
	put_extension(&padding, 21, zeroes, 16200);
	put_server_name(&padding, "a.example", 9);
	put_hello(&message, &padding);
	CHECK_TEXT(in_records(&message, 16384), "name a.example");
	CHECK_TEXT(in_records(&message, 100), "other"); /* headers of records count */
}

TEST(requests_name_their_host)
{
	CHECK_TEXT(http("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), "name a.example");
	CHECK_TEXT(http("POST /x?y HTTP/1.1\r\nA: b\r\nhOST:A.Example.:8080 \t\r\nC: d\r\n\r\nbody"),
		"name a.example");
	CHECK_TEXT(http("OPTIONS * HTTP/1.0\r\nHost: a.example:\r\n\r\n"), "name a.example");
	CHECK_TEXT(http("GET / HTTP/1.1\r\nHost: a.example\r\n"), "need more");
	CHECK_TEXT(http("GET / HTTP/1.1\r\nX: caf\xc3\xa9\tx\r\nHost: a.example\r\n\r\n"), "name a.example");
	CHECK_TEXT(http("BREW / HTTP/1.1\r\nHost: a.example\r\nHostile: b\r\nX-Host: b\r\n\r\n"),
		"name a.example");
}

TEST(requests_to_addresses_or_nobody_name_nobody)
{
	CHECK_TEXT(http("GET / HTTP/1.0\r\n\r\n"), "none");
	CHECK_TEXT(http("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "none");
	CHECK_TEXT(http("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n"), "none");
	CHECK_TEXT(http("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"), "none");
	CHECK_TEXT(http("GET / HTTP/1.1\r\nHost: 0x7f.1\r\n\r\n"), "none");
}

TEST(absolute_targets_and_host_must_agree)
{
	CHECK_TEXT(http("GET http://a.example/ HTTP/1.1\r\nHost: A.example:80\r\n\r\n"), "name a.example");
	CHECK_TEXT(http("GET HTTP://A.example?q HTTP/1.0\r\n\r\n"), "name a.example");
	CHECK_TEXT(http("GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "other");
	CHECK_TEXT(http("GET http://a.example/ HTTP/1.1\r\nHost:\r\n\r\n"), "other");
	CHECK_TEXT(http("GET http://192.0.2.1/ HTTP/1.1\r\nHost: 192.0.2.2\r\n\r\n"), "other");
	CHECK_TEXT(http("GET http://a.example@b.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "other");
	CHECK_TEXT(http("GET http://a.example#b HTTP/1.1\r\nHost: a.example\r\n\r\n"), "other");
	CHECK_TEXT(http("GET http:/// HTTP/1.1\r\nHost: a.example\r\n\r\n"), "other");
	CHECK_TEXT(http("GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), "other");
}

TEST(what_servers_read_differently_is_not_believed)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example\r\nhost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example,b.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example b.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a.example\r\n\r\n",
		"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nX: y\r\n\tHost: b.example\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example\r\n .evil.example\r\n\r\n",
		"GET / HTTP/1.1\nHost: a.example\n\n",
		"GET / HTTP/1.1\r\nX: y\nHost: b.example\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nX: y\rHost: b.example\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: user@a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example:80:90\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example:http\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example/\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a%2eexample\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [a.example]\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1]a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\n: empty\r\nHost: a.example\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET / x HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET /\t HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a.example\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.9\r\nHost: a.example\r\n\r\n",
		"GET / http/1.1\r\nHost: a.example\r\n\r\n",
		"GET /\r\n\r\n",
		"GET\r\n\r\n",
		"GET x HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"{\"not\":\"http\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		const char *is = http(requests[i]);

		if (strcmp(is, "other"))
			test_fail(__FILE__, __LINE__, "request %zu is %s", i, is);
	}
	CHECK_TEXT(outcome("GET / HTTP/1.1\r\nHost: a.example\0.evil.example\r\n\r\n", 49), "other");
	CHECK_TEXT(outcome("GET / HTTP/1.1\r\n\0Host: a.example\r\n\r\n", 36), "other");
}

TEST(a_request_that_never_ends_is_given_up)
{
	_cleanup_buffer_ struct buffer b = {0};

	buffer_append_text(&b, "GET / HTTP/1.1\r\nHost: a.example\r\n");
	while (b.size < FIRST_FLIGHT_MOST)
		buffer_append_text(&b, "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
	CHECK_TEXT(outcome(b.data, FIRST_FLIGHT_MOST - 1), "need more");
	CHECK_TEXT(outcome(b.data, b.size), "other");
	buffer_append_text(&b, "\r\n");
	CHECK_TEXT(outcome(b.data, b.size), "other");
}
