/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: fetched by ranges, mounted, uploaded in pieces. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/http_headers.h"
#include "oci/registry_parts.h"

#define UPLOAD_PIECE (16u << 20)
#define UPLOADS_MOST 8u /* tries in a row without a byte more */

static int failed_code(const struct error *err)
{
	return err ? -(int)err->code : -ERROR_SYSTEM;
}

static char *blob_url(struct registry *r, const char *digest, struct error *err)
{
	return registry_reach(r, err) < 0 ? NULL : registry_path(r, err, "blobs/%s", digest);
}

/* ---- fetch ------------------------------------------------------------------------------------------ */

void registry_place_free(struct registry_place *place)
{
	free(place->url);
	*place = (struct registry_place){0};
}

struct range {
	struct call *call;
	uint64_t offset, left, size; /* left: bytes still to come */
	bool ranged, checked;
	bool whole; /* the server gave all of it, from the start */
	int (*write)(void *context, const uint8_t *bytes, size_t n, struct error *err);
	void *context;
};

/* Judges the headers when the first bytes come. */
static int check_range(struct range *x, struct error *err)
{
	const struct http_response *p = &x->call->response;
	const char *value = http_header(p, "content-range", 0);
	struct http_range range;

	x->checked = true;
	if (p->status == 206 && value && http_content_range(value, strlen(value), &range)) {
		if (range.total_known && range.total != x->size)
			return error_set(err, ERROR_INVALID,
				"the blob has %llu bytes, the manifest says %llu",
				(unsigned long long)range.total, (unsigned long long)x->size);
		if (range.first == x->offset)
			return 0;
		return error_set(err, ERROR_INVALID, "the server sent another range than it was asked for");
	}
	x->whole = x->ranged;
	if (x->whole)
		return error_set(err, ERROR_UNAVAILABLE, "the server gives no ranges");
	return 0;
}

static int take(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	struct range *x = context;
	int result = x->checked ? 0 : check_range(x, err);

	if (result < 0)
		return result;
	if (n > x->left)
		return error_set(err, ERROR_INVALID, "the blob has more bytes than the manifest says");
	result = x->write(x->context, bytes, n, err);
	x->left -= result == 0 ? n : 0;
	return result;
}

/* One answer: 0 when all bytes came. */
static int fetch_range(struct registry *r, struct registry_place *place, const char *url, struct range *x,
	bool *again, struct error *err)
{
	char header[64];
	const char *headers[] = {header, NULL};
	_cleanup_call_ struct call c = {.method = "GET",
		.url = place->url ? place->url : url,
		.headers = x->ranged ? headers : NULL,
		.write = take,
		.context = x};
	int result;

	snprintf(header, sizeof header, "Range: bytes=%llu-%llu", (unsigned long long)x->offset,
		(unsigned long long)(x->offset + x->left - 1));
	x->call = &c;
	result = call_run(r, &c, err);
	/* What never began was tried a few times already. */
	*again = c.response.transient && c.began;
	if (result < 0) {
		place->whole |= x->whole;
		return result;
	}
	if (c.response.status < 200 || c.response.status > 299) {
		/* A signed place that was kept goes stale: the registry names a new one. */
		*again = place->url != NULL;
		registry_place_free(place);
		return call_refused(r, &c, "blob", err);
	}
	if (x->left > 0) {
		*again = true;
		return error_set(err, ERROR_CLOSED, "%s: the answer is %llu bytes short", registry_url(r),
			(unsigned long long)x->left);
	}
	if (!place->url && strcmp(c.place, url) != 0)
		place->url = TAKE_PTR(c.place);
	return 0;
}

int registry_blob_get(struct registry *r, struct registry_place *place, const char *digest, uint64_t offset,
	uint64_t length, uint64_t size,
	int (*write)(void *context, const uint8_t *bytes, size_t n, struct error *err), void *context,
	bool *again, struct error *err)
{
	_cleanup_free_ char *url = blob_url(r, digest, err);
	struct range x = {.offset = offset,
		.left = length,
		.size = size,
		.ranged = !place->whole && (offset > 0 || length < size),
		.write = write,
		.context = context};

	*again = false;
	if (!url)
		return failed_code(err);
	if (place->whole && offset > 0) {
		return error_set(err, ERROR_UNAVAILABLE, "the server gives no ranges");
	}
	if (length == 0)
		return 0;
	return fetch_range(r, place, url, &x, again, err);
}

int registry_blob_has(struct registry *r, const char *digest, bool *has, struct error *err)
{
	_cleanup_free_ char *url = blob_url(r, digest, err);
	_cleanup_call_ struct call c = {.method = "HEAD", .url = url};
	int result = url ? call_run(r, &c, err) : failed_code(err);

	*has = result == 0 && c.response.status == 200;
	if (result < 0 || *has || c.response.status == 404)
		return result;
	return call_refused(r, &c, "look for a blob", err);
}

/* ---- push ------------------------------------------------------------------------------------------- */

/* Where an upload goes on: the Location of the last answer, on the registry itself. */
static int take_location(const struct registry *r, const struct call *c, char **location, struct error *err)
{
	const char *value = http_header(&c->response, "location", 0);
	char *next = NULL;
	int result;

	if (!value)
		return error_set(err, ERROR_INVALID, "%s: the registry names no place for the upload",
			registry_url(r));
	result = http_resolve(c->place, value, &next, err);
	if (result < 0)
		return result;
	if (http_is_secure(r->base) && !http_is_secure(next)) {
		result = error_set(err, ERROR_DENIED, "%s: it would have the upload over plain HTTP, at %s",
			registry_url(r), next);
		free(next);
		return result;
	}
	free(*location);
	*location = next;
	return 0;
}

static int start_upload(
	struct registry *r, const char *query, bool *mounted, char **location, struct error *err)
{
	_cleanup_free_ char *url =
		registry_reach(r, err) < 0 ? NULL : registry_path(r, err, "blobs/uploads/%s", query);
	_cleanup_call_ struct call c = {.method = "POST", .url = url, .body = "", .body_size = 0};
	int result = url ? call_succeed(r, &c, "start an upload", err) : failed_code(err);

	if (result < 0)
		return result;
	*mounted = c.response.status == 201;
	return *mounted || !location ? 0 : take_location(r, &c, location, err);
}

int registry_blob_mount(
	struct registry *r, const char *digest, const char *from, bool *done, struct error *err)
{
	_cleanup_free_ char *escaped = http_escape(from, err);
	_cleanup_free_ char *query = escaped ? text_format(err, "?mount=%s&from=%s", digest, escaped) : NULL;
	_cleanup_free_ char *location = NULL;

	if (!query)
		return -ERROR_NO_MEMORY;
	/* An upload that the registry opens instead expires by itself. */
	return start_upload(r, query, done, &location, err);
}

struct upload {
	struct registry *r;
	const char *digest;
	int fd;
	uint64_t size, offset; /* bytes that the registry has */
	uint64_t read;         /* of the piece under way */
	char *location;
	bool gone; /* the registry no longer knows the upload */
	void (*sent)(void *context, uint64_t bytes);
	void *context;
};

static int64_t give(void *context, void *bytes, size_t room, struct error *err)
{
	struct upload *u = context;
	ssize_t n;

	do
		n = pread(u->fd, bytes, room, (off_t)(u->offset + u->read));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return error_errno(err, n ? errno : EIO, "read the blob %s", u->digest);
	u->read += (uint64_t)n;
	if (u->sent)
		u->sent(u->context, u->offset + u->read);
	return n;
}

/* Before each sending: a piece goes out again once the registry has asked who we are. */
static void from_start(void *context)
{
	((struct upload *)context)->read = 0;
}

static int send_piece(struct upload *u, bool *again, struct error *err)
{
	uint64_t length = u->size - u->offset < UPLOAD_PIECE ? u->size - u->offset : UPLOAD_PIECE;
	char range[64];
	const char *headers[] = {"Content-Type: application/octet-stream", range, NULL};
	_cleanup_call_ struct call c = {.method = "PATCH",
		.url = u->location,
		.headers = headers,
		.body_size = length,
		.read = give,
		.rewind = from_start,
		.context = u,
		.once = true};
	int result;

	snprintf(range, sizeof range, "Content-Range: %llu-%llu", (unsigned long long)u->offset,
		(unsigned long long)(u->offset + length - 1));
	result = call_run(u->r, &c, err);
	*again = c.response.transient || call_retryable(&c.response) || c.response.status == 416;
	u->gone = c.response.status == 404;
	if (result == 0 && (c.response.status < 200 || c.response.status > 299))
		result = call_refused(u->r, &c, "upload a blob", err);
	if (result == 0)
		result = take_location(u->r, &c, &u->location, err);
	if (result == 0)
		u->offset += length;
	return result;
}

/* Asks how far the registry is (distribution-spec v1.1, "Pushing a blob in chunks"). One that does not tell
 * has the upload begun anew. */
static int ask_offset(struct upload *u, struct error *err)
{
	_cleanup_call_ struct call c = {.method = "GET", .url = u->location};
	const char *value;
	uint64_t received;
	int result = call_run(u->r, &c, err);

	if (result < 0)
		return result;
	value = http_header(&c.response, "range", 0);
	u->gone = c.response.status < 200 || c.response.status > 299 || !value ||
		  !http_upload_range(value, strlen(value), &received) || received > u->size;
	if (u->gone)
		return 0;
	/* "0-0" is what registries say of none as well: one byte more or less is found out by the next piece.
	 */
	u->offset = received == 1 ? 0 : received;
	return http_header(&c.response, "location", 0) ? take_location(u->r, &c, &u->location, err) : 0;
}

/* The answer may have been lost, and the upload is no longer known when it is asked for again: what counts
 * is whether the blob is there. */
static int finish_upload(struct upload *u, struct error *err)
{
	_cleanup_free_ char *url = text_format(
		err, "%s%cdigest=%s", u->location, strchr(u->location, '?') ? '&' : '?', u->digest);
	_cleanup_call_ struct call c = {.method = "PUT", .url = url, .body = "", .body_size = 0};
	int result = url ? call_succeed(u->r, &c, "finish an upload", err) : -ERROR_NO_MEMORY;
	bool there = false;

	if (result < 0 && (c.response.status == 404 || call_retryable(&c.response)) &&
		registry_blob_has(u->r, u->digest, &there, NULL) == 0 && there)
		return 0;
	u->gone = result < 0 && c.response.status == 404;
	return result;
}

static int start_anew(struct upload *u, struct error *err)
{
	bool mounted;

	u->offset = 0;
	u->gone = false;
	return start_upload(u->r, "", &mounted, &u->location, err);
}

/* Sends what is missing; after a broken connection from where the registry is. */
static int upload(struct upload *u, struct error *err)
{
	unsigned tries = 0;
	uint64_t farthest = 0;
	int result = start_anew(u, err);

	while (result == 0) {
		bool again = false, whole = u->offset == u->size;

		result = whole ? finish_upload(u, err) : send_piece(u, &again, err);
		if (result == 0 && whole)
			return 0;
		if (u->offset > farthest) {
			farthest = u->offset;
			tries = 0;
		}
		if (result == 0)
			continue;
		tries += u->gone ? 3 : 1; /* all that was sent was in vain */
		if ((!again && !u->gone) || tries > UPLOADS_MOST)
			return result;
		result = registry_pause(u->r, &(struct http_response){0}, tries < 5 ? tries : 5, err);
		if (result == 0 && !u->gone)
			result = ask_offset(u, err);
		if (result == 0 && u->gone)
			result = start_anew(u, err);
	}
	return result;
}

int registry_blob_put(struct registry *r, const char *digest, int fd, uint64_t size,
	void (*sent)(void *context, uint64_t bytes), void *context, struct error *err)
{
	struct upload u = {
		.r = r, .digest = digest, .fd = fd, .size = size, .sent = sent, .context = context};
	int result = upload(&u, err);

	free(u.location);
	return result;
}
