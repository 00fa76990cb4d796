/* SPDX-License-Identifier: Apache-2.0 */
/* A server of HTTP/1.1 on loopback, in a thread of its own, that answers from a table; each connection is for
 * one request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first row that fits and is not used up answers; where none does, it is 404. */
struct http_answer {
	const char *method;  /* NULL: any */
	const char *target;  /* path and query; with '*' at the end: how it begins */
	const char *when;    /* what must stand in the request's head; NULL: anything */
	unsigned times;      /* how often it is given; 0: always */
	int status;          /* 0: none, it hangs up */
	const char *headers; /* lines with their CRLF; {url} is the server's, {other} that of its other one */
	const char *body;
	size_t size; /* of body; 0: it is text */
	size_t cut;  /* bytes of the body that are not sent before it hangs up */
	bool stay;   /* it does not hang up, but waits for the other side to */
};

struct http_server;

/* The table is borrowed. other: a server that {other} stands for, or NULL. Ends the test where it cannot. */
struct http_server *http_server_start(const struct http_answer *table, struct http_server *other);
void http_server_stop(struct http_server *s);

char *http_server_host(const struct http_server *s); /* "127.0.0.1:PORT"; as long as the server */

/* "METHOD TARGET AUTHORIZATION" of each request with a line break ("-": it had none), as long as no further
 * one comes and the server is there. */
const char *http_server_log(struct http_server *s);

/* How many of these lines begin so. */
unsigned http_server_count(struct http_server *s, const char *beginning);

/* The bodies of requests that were answered with 2xx, one behind the other. */
const void *http_server_received(struct http_server *s, size_t *size);
