/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"

#define CONNECT_SECONDS 20L
#define STALL_DEFAULT   (30 * NANOSECONDS_PER_SECOND)
#define BUFFER_BYTES    (256L << 10)
#define URL_MAX         8000u

struct http_client {
	CURL *curl;
	struct http_options options;
	char message[CURL_ERROR_SIZE];
};

struct exchange {
	const struct http_client *client;
	const struct http_request *request;
	struct http_response *response;
	uint64_t sent; /* of request->body */
	uint64_t moved_at;
	curl_off_t moved;
	int result; /* of a callback that failed */
	bool stalled;
	struct error *err;
};

/* ---- the client ------------------------------------------------------------------------------------- */

static void start_library(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_client_new(const struct http_options *options, struct http_client **out, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_client *c = calloc(1, sizeof *c);

	pthread_once(&once, start_library);
	if (!c || !(c->curl = curl_easy_init())) {
		free(c);
		return error_no_memory(err, "HTTP");
	}
	c->options = *options;
	if (!c->options.stall)
		c->options.stall = STALL_DEFAULT;
	*out = c;
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	free(c);
}

void http_response_free(struct http_response *r)
{
	buffer_free(&r->headers);
	buffer_free(&r->text);
	*r = (struct http_response){0};
}

/* ---- what libcurl calls ----------------------------------------------------------------------------- */

static bool is_success(const struct exchange *x)
{
	return x->response->status >= 200 && x->response->status < 300;
}

/* A status line begins anew: those before it were of a proxy, or said 100. */
static int read_status(struct http_response *r, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);

	buffer_clear(&r->headers);
	buffer_clear(&r->text);
	if (!space || line + n - space < 4)
		return -ERROR_INVALID;
	r->status = 0;
	for (int i = 1; i <= 3; i++) {
		if (!isdigit((unsigned char)space[i]))
			return -ERROR_INVALID;
		r->status = r->status * 10 + space[i] - '0';
	}
	return 0;
}

static void add_header(struct buffer *headers, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	const char *value = colon ? colon + 1 : NULL, *end = line + n;

	if (!colon || memchr(line, 0, n))
		return;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	for (const char *p = line; p < colon; p++)
		buffer_u8(headers, (uint8_t)tolower((unsigned char)*p));
	buffer_append(headers, ": ", 2);
	buffer_append(headers, value, (size_t)(end - value));
	buffer_u8(headers, 0);
}

static size_t take_header(char *line, size_t one, size_t n, void *context)
{
	struct exchange *x = context;
	struct http_response *r = x->response;

	(void)one;
	if (n > 5 && !strncmp(line, "HTTP/", 5)) {
		if (read_status(r, line, n) < 0) {
			x->result = error_set(x->err, ERROR_INVALID, "the answer is not HTTP");
			return 0;
		}
		return n;
	}
	if (r->headers.size + n > HTTP_HEADERS_MAX) {
		x->result = error_set(x->err, ERROR_LIMIT, "the headers of the answer have over 64 KiB");
		return 0;
	}
	add_header(&r->headers, line, n);
	if (r->headers.failed)
		x->result = error_no_memory(x->err, "HTTP headers");
	return r->headers.failed ? 0 : n;
}

static size_t take_body(char *bytes, size_t one, size_t n, void *context)
{
	struct exchange *x = context;
	struct buffer *text = &x->response->text;
	size_t room = HTTP_TEXT_MAX - text->size;

	(void)one;
	if (x->request->write && is_success(x)) {
		x->result = x->request->write(x->request->context, (const uint8_t *)bytes, n, x->err);
		return x->result < 0 ? 0 : n;
	}
	if (n > room && is_success(x)) {
		x->result = error_set(x->err, ERROR_LIMIT, "the answer has over 64 KiB");
		return 0;
	}
	if (room == 0)
		return 0; /* nobody reads on to the end of an error */
	if (!buffer_append(text, bytes, n < room ? n : room)) {
		x->result = error_no_memory(x->err, "HTTP");
		return 0;
	}
	return n;
}

static size_t give_body(char *bytes, size_t one, size_t room, void *context)
{
	struct exchange *x = context;
	const struct http_request *q = x->request;
	uint64_t left = q->body_size - x->sent;
	int64_t n;

	room *= one;
	if (!q->read) {
		n = (int64_t)(left < room ? left : room);
		memcpy(bytes, (const char *)q->body + x->sent, (size_t)n);
	} else {
		n = q->read(q->context, bytes, left < room ? (size_t)left : room, x->err);
	}
	if (n < 0) {
		x->result = (int)n;
		return CURL_READFUNC_ABORT;
	}
	x->sent += (uint64_t)n;
	return (size_t)n;
}

/* When a connection that was kept turns out to be closed, it is sent again over another. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
	struct exchange *x = context;

	if (x->request->read || origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->request->body_size)
		return CURL_SEEKFUNC_CANTSEEK;
	x->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Called at least once a second. */
static int watch(void *context, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	struct exchange *x = context;
	uint64_t now = clock_monotonic();
	const atomic_bool *stop = x->client->options.stop;

	(void)dltotal;
	(void)ultotal;
	if (stop && atomic_load(stop))
		return 1;
	if (dlnow + ulnow != x->moved) {
		x->moved = dlnow + ulnow;
		x->moved_at = now;
	}
	x->stalled = now - x->moved_at > x->client->options.stall;
	return x->stalled;
}

/* ---- an exchange ------------------------------------------------------------------------------------ */

static int set_up(CURL *curl, const struct http_client *c, struct exchange *x, struct curl_slist *headers)
{
	const struct http_request *q = x->request;
	bool has_body = q->body || q->read;
	CURLcode e = CURLE_OK;

	curl_easy_reset(curl); /* keeps connections */
#define SET(option, value) (e = e == CURLE_OK ? curl_easy_setopt(curl, option, value) : e)
	SET(CURLOPT_URL, q->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_CUSTOMREQUEST, q->method);
	SET(CURLOPT_NOBODY, !strcmp(q->method, "HEAD") ? 1L : 0L);
	if (has_body) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_READFUNCTION, give_body);
		SET(CURLOPT_READDATA, x);
		SET(CURLOPT_SEEKFUNCTION, seek_body);
		SET(CURLOPT_SEEKDATA, x);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_size);
		SET(CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	}
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, watch);
	SET(CURLOPT_XFERINFODATA, x);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_ERRORBUFFER, c->message);
	SET(CURLOPT_SSL_VERIFYPEER, c->options.insecure ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, c->options.insecure ? 0L : 2L);
	if (c->options.ca_file)
		SET(CURLOPT_CAINFO, c->options.ca_file); /* beside the folder of the system's */
	else if (getenv("SSL_CERT_FILE"))
		SET(CURLOPT_CAINFO, getenv("SSL_CERT_FILE"));
#undef SET
	return e == CURLE_OK ? 0 : -ERROR_NO_MEMORY;
}

static int explain(const struct http_client *c, const struct exchange *x, CURLcode e)
{
	const char *what = *c->message ? c->message : curl_easy_strerror(e);
	long proxy = 0; /* what a proxy answered to CONNECT */

	x->response->transient = true;
	x->response->unreached = e == CURLE_COULDNT_RESOLVE_HOST || e == CURLE_COULDNT_CONNECT ||
				 e == CURLE_COULDNT_RESOLVE_PROXY;
	curl_easy_getinfo(c->curl, CURLINFO_HTTP_CONNECTCODE, &proxy);
	if (proxy >= 400) {
		x->response->transient = false;
		return error_set(x->err, proxy == 407 ? ERROR_DENIED : ERROR_CLOSED,
			"the proxy answered %ld%s", proxy,
			proxy == 407 ? ": it wants a user, as in https_proxy=http://USER:PASSWORD@HOST:PORT"
				     : "");
	}
	switch (e) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		x->response->transient = false;
		return error_set(x->err, ERROR_DENIED, "its certificate is not trusted: %s", what);
	case CURLE_OPERATION_TIMEDOUT:
		return error_set(x->err, ERROR_TIMEOUT, "%s", what);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		x->response->transient = false;
		return error_set(x->err, ERROR_INVALID, "%s", what);
	case CURLE_OUT_OF_MEMORY:
		return error_no_memory(x->err, "HTTP");
	default:
		return error_set(x->err, ERROR_CLOSED, "%s", what);
	}
}

static int conclude(const struct http_client *c, const struct exchange *x, CURLcode e)
{
	const atomic_bool *stop = c->options.stop;

	if (x->result < 0)
		return x->result;
	if (e == CURLE_OK)
		return 0;
	/* An error's text need not come to its end. */
	if (e == CURLE_WRITE_ERROR && x->response->text.size == HTTP_TEXT_MAX)
		return 0;
	if (stop && atomic_load(stop))
		return error_set(x->err, ERROR_CLOSED, "stopped");
	if (x->stalled) {
		x->response->transient = true;
		return error_set(x->err, ERROR_TIMEOUT, "nothing came for %llu seconds",
			(unsigned long long)(c->options.stall / NANOSECONDS_PER_SECOND));
	}
	return explain(c, x, e);
}

int http_exchange(struct http_client *c, const struct http_request *request, struct http_response *response,
	struct error *err)
{
	struct exchange x = {.client = c,
		.request = request,
		.response = response,
		.moved_at = clock_monotonic(),
		.err = err};
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	bool complete = headers != NULL;
	int r;

	*response = (struct http_response){0};
	for (const char *const *h = request->headers; complete && h && *h; h++) {
		struct curl_slist *more = curl_slist_append(headers, *h);

		complete = more != NULL;
		headers = more ? more : headers;
	}
	c->message[0] = 0;
	if (!complete || set_up(c->curl, c, &x, headers) < 0)
		r = error_no_memory(err, "HTTP");
	else
		r = conclude(c, &x, curl_easy_perform(c->curl));
	curl_slist_free_all(headers);
	if (r == 0 && response->status == 0)
		r = error_set(err, ERROR_INVALID, "the answer is not HTTP");
	return r;
}

const char *http_header(const struct http_response *r, const char *name, size_t at)
{
	const char *line = (const char *)r->headers.data, *end = line + r->headers.size;
	size_t n = strlen(name);

	for (; line < end; line += strlen(line) + 1)
		if (!strncmp(line, name, n) && line[n] == ':' && at-- == 0)
			return line + n + 2;
	return NULL;
}

/* ---- URLs ------------------------------------------------------------------------------------------- */

static void free_url(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void free_part(char **part)
{
	curl_free(*part);
}
#define _cleanup_part_ _cleanup_(free_part)

int http_resolve(const char *base, const char *reference, char **out, struct error *err)
{
	_cleanup_(free_url) CURLU *u = curl_url();
	_cleanup_part_ char *scheme = NULL, *user = NULL, *whole = NULL;
	CURLUcode e = u ? curl_url_set(u, CURLUPART_URL, base, 0) : CURLUE_OUT_OF_MEMORY;

	if (e == CURLUE_OK)
		e = curl_url_set(u, CURLUPART_URL, reference, 0);
	if (e == CURLUE_OK)
		e = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (e == CURLUE_OUT_OF_MEMORY)
		return error_no_memory(err, "a URL");
	if (e != CURLUE_OK || strlen(reference) > URL_MAX)
		return error_set(err, ERROR_INVALID, "'%.200s' is not a URL", reference);
	if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		return error_set(err, ERROR_DENIED, "'%.200s' leads out of http and https", reference);
	if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		return error_set(err, ERROR_INVALID, "'%.200s' holds a user's name", reference);
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK)
		return error_no_memory(err, "a URL");
	*out = text_copy(whole, err);
	return *out ? 0 : -ERROR_NO_MEMORY;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	_cleanup_part_ char *x = NULL, *y = NULL;

	return curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	       curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && !strcasecmp(x, y);
}

bool http_same_origin(const char *a, const char *b)
{
	_cleanup_(free_url) CURLU *x = curl_url();
	_cleanup_(free_url) CURLU *y = curl_url();

	return x && y && curl_url_set(x, CURLUPART_URL, a, 0) == CURLUE_OK &&
	       curl_url_set(y, CURLUPART_URL, b, 0) == CURLUE_OK && same_part(x, y, CURLUPART_SCHEME) &&
	       same_part(x, y, CURLUPART_HOST) && same_part(x, y, CURLUPART_PORT);
}

bool http_is_secure(const char *url)
{
	return !strncasecmp(url, "https:", 6);
}

char *http_escape(const char *text, struct error *err)
{
	_cleanup_part_ char *escaped = curl_easy_escape(NULL, text, 0);

	if (!escaped) {
		error_no_memory(err, "a URL");
		return NULL;
	}
	return text_copy(escaped, err);
}
