/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP, by libcurl: one exchange at a time, the connection is kept for the next. HTTP/1.1 and 2 (RFC 9112,
 * RFC 9113), proxies by http_proxy, https_proxy, all_proxy and no_proxy, the system's certificates or those
 * of SSL_CERT_FILE.
 *
 * It follows no redirect and adds no credentials: who calls decides where a secret goes. Only http and https
 * are spoken. The other side is not trusted: headers are bounded, so is the text kept of an answer that is
 * an error, and a connection on which nothing moves for a while is given up.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

struct http_client;

struct http_options {
	bool insecure;           /* the server's certificate is not looked at */
	const char *ca_file;     /* PEM, trusted beside the system's; NULL: none */
	uint64_t stall;          /* nanoseconds without a byte until TIMEOUT; 0: 30 s */
	const atomic_bool *stop; /* once true, exchanges end soon with CLOSED; may be NULL */
};

/* Strings are borrowed for as long as the client is there. */
int http_client_new(const struct http_options *options, struct http_client **client, struct error *err);
void http_client_free(struct http_client *client);
CLEANUP_DEFINE(http_client, struct http_client, http_client_free);

struct http_request {
	const char *method;         /* "GET" */
	const char *url;            /* absolute */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */

	/* What is sent: `body`, or what `read` gives, which is 0 at the end or negative for an error. */
	const void *body;
	uint64_t body_size;
	int64_t (*read)(void *context, void *bytes, size_t room, struct error *err);

	/* Takes the body of an answer with status 200 to 299 as it comes; an error ends the exchange. NULL:
	 * it goes to response.text as well. */
	int (*write)(void *context, const uint8_t *bytes, size_t n, struct error *err);
	void *context;
};

struct http_response {
	int status;            /* 0: there was no answer */
	struct buffer headers; /* "name: value\0" one behind the other, names in lower case */
	struct buffer text;    /* of the body, HTTP_TEXT_MAX bytes at most, the rest is dropped */
	bool transient;        /* of a failed exchange: another try may succeed */
	bool unreached;        /* of a failed exchange: there was no connection at all */
};
void http_response_free(struct http_response *response);

#define HTTP_TEXT_MAX    65536u
#define HTTP_HEADERS_MAX 65536u

/* 0 once the answer is there, whatever its status. Errors: CLOSED (not reached, broken off), TIMEOUT, DENIED
 * (its certificate is not trusted), LIMIT (headers), INVALID (it is not HTTP), and those of read and write.
 * The response is filled in as far as it came; the caller frees it in any case. */
int http_exchange(struct http_client *client, const struct http_request *request,
	struct http_response *response, struct error *err);

/* The value of the `at`th header of that name (lower case), or NULL; valid as long as the response. */
const char *http_header(const struct http_response *response, const char *name, size_t at);

/* The URL that `reference` (absolute or relative) means, seen from `base` (RFC 3986 section 5). Only http and
 * https, without a user, 8,000 bytes at most: else INVALID. The caller frees it. */
int http_resolve(const char *base, const char *reference, char **url, struct error *err);

/* Scheme, host and port are the same. */
bool http_same_origin(const char *a, const char *b);
bool http_is_secure(const char *url); /* https */

/* `text` percent-encoded for a query; the caller frees it. NULL: out of memory. */
char *http_escape(const char *text, struct error *err);
