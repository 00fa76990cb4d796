/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the registry client share: calls with their redirects, retries and authentication. */
#pragma once

#include <pthread.h>

#include "codec/challenge.h"
#include "http/client.h"
#include "oci/registry.h"

#define REGISTRY_IDLE_MAX 8u

struct registry {
	struct registry_options o;
	struct credentials credentials;
	char *base; /* "https://ghcr.io" */
	char *url;  /* "https://ghcr.io/acme/x" */

	pthread_mutex_t lock;    /* over all that follows, and `base` until it is known */
	bool reached;            /* it has answered once */
	char *authorization;     /* "Authorization: …", or NULL */
	uint64_t expires;        /* of that, by clock_monotonic(); 0: never */
	unsigned generation;     /* how often it was set */
	char *identity;          /* a refresh token that came with it, or NULL */
	char *scope;             /* what tokens are for, parted by spaces; NULL before the first */
	struct challenge bearer; /* what the token was asked for; no realm: it is not known */
	struct http_client *idle[REGISTRY_IDLE_MAX];
	size_t idle_count;
};

struct call {
	const char *method, *url;   /* absolute */
	const char *const *headers; /* NULL-terminated; may be NULL */
	const void *body;
	uint64_t body_size;
	int64_t (*read)(void *context, void *bytes, size_t room, struct error *err);
	void (*rewind)(void *context); /* before each sending of what read gives */
	int (*write)(void *context, const uint8_t *bytes, size_t n, struct error *err);
	void *context;
	bool once;         /* not tried again where it failed in passing */
	bool unauthorized; /* without credentials, and 401 is an answer like others */

	/* what came */
	struct http_response response;
	char *place; /* the URL that answered, after redirects */
	bool began;  /* write was called */
};
void call_free(struct call *c);
#define _cleanup_call_ __attribute__((cleanup(call_free)))

/* Finds out how the registry is spoken to. */
int registry_reach(struct registry *r, struct error *err);

/* 0 once there is an answer, whatever its status; those that only mean "later" were tried again. */
int call_run(struct registry *r, struct call *c, struct error *err);

/* As call_run(), and a status other than 200 to 299 is an error: NOT_FOUND, DENIED, LIMIT (429), CLOSED
 * (5xx), INVALID. `what` is what was asked for, "manifest 3". */
int call_succeed(struct registry *r, struct call *c, const char *what, struct error *err);

/* An answer with another status than was hoped for, as an error. */
int call_refused(const struct registry *r, const struct call *c, const char *what, struct error *err);

bool call_retryable(const struct http_response *response);

/* An exchange by itself: no redirect, no credentials but those in the headers. */
int registry_exchange(
	struct registry *r, const struct http_request *q, struct http_response *response, struct error *err);

/* After an answer 401: gets what it asks for. `generation`: of the authorization that it was sent. */
int registry_authenticate(
	struct registry *r, const struct http_response *response, unsigned generation, struct error *err);

/* The header to send now, or NULL; the caller frees it. A token that has ended is renewed first: else what is
 * sent would be sent in vain. */
int registry_authorization(struct registry *r, char **header, unsigned *generation, struct error *err);

void registry_forget_challenge(struct registry *r);

/* The credentials, and what to add to a refusal: ": run 'monocore login …'", or nothing to one of a login. */
const struct credentials *registry_who(const struct registry *r);
const char *registry_advice(const struct registry *r, char out[300]);

int registry_basic_header(const char *user, const char *password, char **header, struct error *err);

/* The time of the authorization is over. With the lock held. */
bool registry_expired(const struct registry *r);

/* What a server of tokens is asked. */
struct registry_question {
	const char *realm, *service;
	char *scope; /* parted by spaces */
	bool added;  /* what the registry names stands in it beside ours */
};

/* Fills in x->scope (the caller's), with the lock held. */
int registry_choose_scope(
	struct registry *r, const struct challenge *c, struct registry_question *x, struct error *err);

/* Asks the server that a challenge names, without the lock; x->scope is then what the token is for. DENIED:
 * it gives none. */
struct registry_token;
int registry_get_token(struct registry *r, const struct challenge *c, struct registry_question *x,
	struct registry_token *t, struct error *err);

/* Whether scopes ("repository:a/b:pull,push", parted by spaces) grant all that is wanted. */
bool registry_scope_covers(const char *scopes, const char *wanted);

/* Sleeps before try number `attempt` (1, 2, …), as long as the server asked, or growing. LIMIT where that is
 * longer than anybody waits. */
int registry_pause(
	const struct registry *r, const struct http_response *response, unsigned attempt, struct error *err);

/* "BASE/v2/REPOSITORY/<rest>"; the caller frees it. */
char *registry_path(const struct registry *r, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
