/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: where the registry is, redirects, what is tried again. */
#include "oci/registry.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/http_headers.h"
#include "codec/registry_json.h"
#include "codec/secret.h"
#include "oci/registry_parts.h"

#define TRIES_MOST      6u
#define REDIRECTS_MOST  5u
#define LOGINS_MOST     2u
#define PAUSE_FIRST     MILLISECONDS(250)
#define PAUSE_ASKED_MAX (60 * NANOSECONDS_PER_SECOND)
#define STALL_ENV       "MONOCORE_STALL_TIMEOUT"

/* ---- open ------------------------------------------------------------------------------------------- */

int registry_open(const struct registry_options *o, struct registry **out, struct error *err)
{
	_cleanup_(cleanup_registry) struct registry *r = calloc(1, sizeof *r);
	int result = 0;

	if (!r)
		return error_no_memory(err, "a registry");
	r->o = *o;
	pthread_mutex_init(&r->lock, NULL);
	if (!o->credentials)
		result =
			credentials_get(o->endpoint->registry, o->endpoint->repository, &r->credentials, err);
	if (result < 0)
		return result;
	*out = TAKE_PTR(r);
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	while (r->idle_count)
		http_client_free(r->idle[--r->idle_count]);
	secret_free(r->authorization);
	secret_free(r->identity);
	free(r->scope);
	registry_forget_challenge(r);
	free(r->base);
	free(r->url);
	credentials_free(&r->credentials);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

const char *registry_url(const struct registry *r)
{
	return r->url ? r->url : r->o.endpoint->host;
}

char *registry_path(const struct registry *r, struct error *err, const char *format, ...)
{
	_cleanup_free_ char *rest = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&rest, format, args);
	va_end(args);
	if (n < 0) {
		rest = NULL;
		error_no_memory(err, "a URL");
		return NULL;
	}
	return text_format(err, "%s/v2/%s/%s", r->base, r->o.endpoint->repository, rest);
}

/* ---- exchanges -------------------------------------------------------------------------------------- */

static int take_client(struct registry *r, struct http_client **client, struct error *err)
{
	struct http_options options = {.insecure = r->o.endpoint->insecure,
		.ca_file = *r->o.endpoint->ca_file ? r->o.endpoint->ca_file : NULL,
		.stop = r->o.stop};
	const char *stall = getenv(STALL_ENV);

	*client = NULL;
	pthread_mutex_lock(&r->lock);
	if (r->idle_count)
		*client = r->idle[--r->idle_count];
	pthread_mutex_unlock(&r->lock);
	if (*client)
		return 0;
	if (stall && text_parse_duration(stall, STALL_ENV, &options.stall, err) < 0)
		return -(int)ERROR_INVALID;
	return http_client_new(&options, client, err);
}

static void give_client(struct registry *r, struct http_client *client)
{
	pthread_mutex_lock(&r->lock);
	if (r->idle_count < REGISTRY_IDLE_MAX)
		r->idle[r->idle_count++] = TAKE_PTR(client);
	pthread_mutex_unlock(&r->lock);
	http_client_free(client);
}

int registry_exchange(
	struct registry *r, const struct http_request *q, struct http_response *response, struct error *err)
{
	struct http_client *client = NULL;
	int result = take_client(r, &client, err);

	*response = (struct http_response){0};
	if (result < 0)
		return result;
	result = http_exchange(client, q, response, err);
	give_client(r, client);
	pthread_mutex_lock(&r->lock);
	/* A host that was never there is a wrong name, not a bad moment. */
	if (result < 0 && response->unreached && !r->reached)
		response->transient = false;
	r->reached |= response->status != 0;
	pthread_mutex_unlock(&r->lock);
	return result < 0 ? error_prefix(err, "%.200s", q->url) : 0;
}

/* ---- where it is ------------------------------------------------------------------------------------ */

static bool is_loopback(const char *host)
{
	size_t n = strcspn(host, ":");

	return (n == 9 && !strncmp(host, "localhost", n)) || text_starts(host, "127.") ||
	       text_starts(host, "[::1]");
}

/* A server on this machine speaks TLS, or it does not: docker finds it out, too. A certificate that is not
 * trusted is one. */
static int probe(struct registry *r, bool *secure, struct error *err)
{
	_cleanup_free_ char *url = text_format(err, "https://%s/v2/", r->o.endpoint->host);
	struct http_request q = {.method = "GET", .url = url};
	struct http_response response = {0};
	struct error failure;
	int result;

	if (!url)
		return -ERROR_NO_MEMORY;
	result = registry_exchange(r, &q, &response, &failure);
	*secure = result == 0 || result == -ERROR_DENIED;
	http_response_free(&response);
	return 0;
}

int registry_reach(struct registry *r, struct error *err)
{
	const struct endpoint *e = r->o.endpoint;
	bool secure = !e->plain_http, known;
	char *base, *url;
	int result = 0;

	pthread_mutex_lock(&r->lock);
	known = r->base != NULL;
	pthread_mutex_unlock(&r->lock);
	if (known)
		return 0;
	if (secure && is_loopback(e->host))
		result = probe(r, &secure, err);
	if (result < 0)
		return result;
	base = text_format(err, "%s://%s", secure ? "https" : "http", e->host);
	url = base ? text_format(err, "%s%s%s", base, *e->repository ? "/" : "", e->repository) : NULL;
	if (!url) {
		free(base);
		return -ERROR_NO_MEMORY;
	}
	pthread_mutex_lock(&r->lock);
	known = r->base != NULL;
	if (!known) {
		r->url = url;
		r->base = base;
	}
	pthread_mutex_unlock(&r->lock);
	if (known) {
		free(base);
		free(url);
	}
	return 0;
}

/* ---- what is tried again ---------------------------------------------------------------------------- */

bool call_retryable(const struct http_response *response)
{
	switch (response->status) {
	case 0:
		return response->transient;
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return true;
	default:
		return response->transient; /* it broke off */
	}
}

static uint64_t pause_before(unsigned attempt)
{
	uint64_t pause = PAUSE_FIRST << (attempt - 1);
	uint32_t random = 0;

	/* So that many clients do not come back at once. */
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = 0;
	return pause - pause / 4 + random % (pause / 2);
}

int registry_pause(
	const struct registry *r, const struct http_response *response, unsigned attempt, struct error *err)
{
	const char *asked = http_header(response, "retry-after", 0);
	uint64_t seconds, pause = pause_before(attempt), until;

	if (asked &&
		http_retry_after(asked, strlen(asked), clock_realtime() / NANOSECONDS_PER_SECOND, &seconds)) {
		if (seconds > PAUSE_ASKED_MAX / NANOSECONDS_PER_SECOND)
			return error_set(err, ERROR_LIMIT, "%s asks to come back in %llu seconds (status %d)",
				registry_url(r), (unsigned long long)seconds, response->status);
		pause = seconds * NANOSECONDS_PER_SECOND;
	}
	until = clock_monotonic() + pause;
	while (clock_monotonic() < until) {
		if (r->o.stop && atomic_load(r->o.stop))
			return error_set(err, ERROR_CLOSED, "stopped");
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------ */

void call_free(struct call *c)
{
	http_response_free(&c->response);
	free(c->place);
	c->place = NULL;
}

static int take_bytes(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	struct call *c = context;

	c->began = true;
	return c->write(c->context, bytes, n, err);
}

static int64_t give_bytes(void *context, void *bytes, size_t room, struct error *err)
{
	struct call *c = context;

	return c->read(c->context, bytes, room, err);
}

/* Sends it once to c->place. *generation: of the credentials that went with it. */
static int send_once(struct registry *r, struct call *c, unsigned *generation, struct error *err)
{
	_cleanup_secret_ char *authorization = NULL;
	const char *headers[16] = {"User-Agent: monocore"};
	struct http_request q = {.method = c->method,
		.url = c->place,
		.headers = headers,
		.body = c->body,
		.body_size = c->body_size,
		.read = c->read ? give_bytes : NULL,
		.write = c->write ? take_bytes : NULL,
		.context = c};
	size_t n = 1;
	int result = 0;

	http_response_free(&c->response);
	*generation = 0;
	if (!c->unauthorized && http_same_origin(c->place, r->base))
		result = registry_authorization(r, &authorization, generation, err);
	if (result < 0)
		return result;
	for (const char *const *h = c->headers; h && *h && n < ARRAY_SIZE(headers) - 2; h++)
		headers[n++] = *h;
	headers[n++] = authorization;
	if (c->rewind)
		c->rewind(c->context);
	return registry_exchange(r, &q, &c->response, err);
}

/* What is sent goes along only where the method stays (RFC 9110 section 15.4). */
static bool is_redirect(const struct call *c)
{
	int s = c->response.status;
	bool reads = !strcmp(c->method, "GET") || !strcmp(c->method, "HEAD");

	return (s == 307 || s == 308 || (reads && (s == 301 || s == 302 || s == 303))) &&
	       http_header(&c->response, "location", 0);
}

static int follow(const struct registry *r, struct call *c, struct error *err)
{
	char *next = NULL;
	int result = http_resolve(c->place, http_header(&c->response, "location", 0), &next, err);

	if (result == 0 && http_is_secure(c->place) && !http_is_secure(next))
		result = error_set(err, ERROR_DENIED, "it leads from https to '%.200s'", next);
	if (result < 0) {
		free(next);
		return error_prefix(err, "%s: a redirect", registry_url(r));
	}
	free(c->place);
	c->place = next;
	return 0;
}

/* One try: with its redirects, and with credentials where they are asked for. */
static int try_once(struct registry *r, struct call *c, struct error *err)
{
	unsigned redirects = 0, logins = 0, generation = 0;

	for (;;) {
		int result = send_once(r, c, &generation, err);

		if (result < 0)
			return result;
		if (is_redirect(c)) {
			if (redirects++ == REDIRECTS_MOST)
				return error_set(
					err, ERROR_INVALID, "%s: it redirects in circles", registry_url(r));
			result = follow(r, c, err);
		} else if (c->response.status == 401 && !c->unauthorized && logins++ < LOGINS_MOST &&
			   http_same_origin(c->place, r->base)) {
			result = registry_authenticate(r, &c->response, generation, err);
		} else {
			return 0;
		}
		if (result < 0)
			return result;
	}
}

int call_run(struct registry *r, struct call *c, struct error *err)
{
	int result = registry_reach(r, err);

	for (unsigned attempt = 1; result == 0; attempt++) {
		free(c->place);
		c->place = text_copy(c->url, err);
		if (!c->place)
			return -ERROR_NO_MEMORY;
		result = try_once(r, c, err);
		if (c->once || c->began || attempt == TRIES_MOST || !call_retryable(&c->response) ||
			(result < 0 && !c->response.transient))
			return result;
		result = registry_pause(r, &c->response, attempt, err);
	}
	return result;
}

static enum error_code code_of_status(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERROR_DENIED;
	case 404:
		return ERROR_NOT_FOUND;
	case 413:
	case 429:
		return ERROR_LIMIT;
	default:
		return status >= 500 ? ERROR_CLOSED : ERROR_INVALID;
	}
}

int call_refused(const struct registry *r, const struct call *c, const char *what, struct error *err)
{
	const struct http_response *p = &c->response;
	struct registry_failure failure;
	char advice[256] = "";

	registry_failure_parse(p->text.data, p->text.size, &failure);
	if (p->status == 401 || p->status == 403)
		snprintf(advice, sizeof advice, ": it is not there, or not for you: run 'monocore login %s'",
			r->o.endpoint->registry);
	else if (p->status == 429)
		snprintf(advice, sizeof advice,
			": too many requests for now: wait, or run 'monocore login %s'",
			r->o.endpoint->registry);
	return error_set(err, code_of_status(p->status), "%s: %s: the registry answered %d%s%s%s",
		registry_url(r), what, p->status, *failure.text ? " " : "", failure.text, advice);
}

int call_succeed(struct registry *r, struct call *c, const char *what, struct error *err)
{
	int result = call_run(r, c, err);

	if (result == 0 && (c->response.status < 200 || c->response.status > 299))
		return call_refused(r, c, what, err);
	return result;
}
