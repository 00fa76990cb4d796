/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/push.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "oci/image_parts.h"
#include "oci/referrers.h"
#include "oci/remote.h"
#include "oci/store_mark.h"

#define CONNECTIONS 3u
#define SHOW_EVERY  MILLISECONDS(50)

/* A blob or manifest to push, opened and so kept from being collected. */
struct part {
	char digest[OCI_DIGEST_SIZE];
	int fd;
	uint64_t size, shown_at;
	bool manifest;
};

struct push {
	struct store *store;
	const struct push_options *options;
	struct remote remote;
	struct pushed *pushed;
	char *from; /* a repository of the same registry that has some of the blobs */
	char top[OCI_DIGEST_SIZE];
	struct part *parts; /* what leads to others stands before them */
	size_t count;

	pthread_mutex_t lock;
	size_t next;
	bool failed;
	struct error error;
};

void pushed_free(struct pushed *p)
{
	free(p->name);
	*p = (struct pushed){0};
}

static void push_release(struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		close(p->parts[i].fd);
	free(p->parts);
	free(p->from);
	remote_close(&p->remote);
	pthread_mutex_destroy(&p->lock);
}

/* ---- what is to be pushed --------------------------------------------------------------------------- */

static int add_part(void *context, const struct store_visit *v, struct error *err)
{
	struct push *p = context;
	struct part *more = reallocarray(p->parts, p->count + 1, sizeof *more);
	struct part part = {.manifest = v->media == OCI_MEDIA_OTHER};
	int r;

	if (!more)
		return error_no_memory(err, "a push");
	p->parts = more;
	r = store_blob_open(p->store, v->digest, &part.fd, &part.size, err);
	if (r < 0)
		return error_prefix(err, "it is not here as a whole: run 'monocore pull' first");
	memcpy(part.digest, v->digest, OCI_DIGEST_SIZE);
	p->parts[p->count++] = part;
	return 0;
}

/* Whether all images of an index are here. */
static int index_is_whole(struct push *p, const char *digest, bool *index, bool *whole, struct error *err)
{
	_cleanup_(oci_index_free) struct oci_index list = {0};
	_cleanup_buffer_ struct buffer json = {0};
	const char *type = "";
	int r = store_blob_read(p->store, digest, OCI_JSON_MAX, &json, NULL, err);

	if (r == 0)
		r = oci_document_type(json.data, json.size, &type, err);
	*index = r == 0 && oci_media_type(type) == OCI_MEDIA_INDEX;
	*whole = true;
	if (!*index)
		return r;
	r = oci_index_parse(json.data, json.size, &list, err);
	for (size_t i = 0; r == 0 && i < list.count; i++)
		*whole &= store_is_whole(p->store, list.manifests[i].digest);
	return r;
}

/* The manifest of one platform in place of an index. */
static int choose_platform(struct push *p, const struct store_name *name, struct error *err)
{
	struct image_options image = {.platform = p->options->platform};
	_cleanup_blobs_ struct blobs blobs = {.fd = -1};
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	struct oci_descriptor target = {.size = name->size, .media_type = name->media_type};
	char host[32];
	struct plan_options o = image_plan_options(&image, host);
	int r = blobs_open(store_path(p->store), &blobs, err);

	memcpy(target.digest, name->digest, OCI_DIGEST_SIZE);
	if (r == 0)
		r = plan_target(&blobs, &target, &o, &plan, err);
	if (r == 0)
		memcpy(p->top, plan.digest, OCI_DIGEST_SIZE);
	return r;
}

static int collect_parts(struct push *p, struct error *err)
{
	_cleanup_(store_name_free) struct store_name name = {0};
	_cleanup_marks_ struct store_marks marks = {0};
	bool index, whole;
	int r;

	p->pushed->name = remote_store_name(&p->remote.name, err);
	r = p->pushed->name ? store_name_get(p->store, p->pushed->name, &name, err) : -ERROR_NO_MEMORY;
	if (r < 0)
		return r;
	memcpy(p->top, name.digest, OCI_DIGEST_SIZE);
	r = index_is_whole(p, name.digest, &index, &whole, err);
	if (r == 0 && index && (!whole || p->options->platform)) {
		p->pushed->partial = true;
		r = choose_platform(p, &name, err);
	}
	return r < 0 ? r : store_mark(p->store, p->top, 0, &marks, add_part, p, err);
}

/* ---- blobs ------------------------------------------------------------------------------------------ */

static void show(struct push *p, struct part *b, uint64_t done, bool finished)
{
	uint64_t now = clock_monotonic();
	char task[32];

	if (!p->options->progress || (!finished && now - b->shown_at < SHOW_EVERY))
		return;
	b->shown_at = now;
	snprintf(task, sizeof task, "layer %.12s", b->digest + strlen("sha256:"));
	pthread_mutex_lock(&p->lock);
	progress_report(p->options->progress,
		&(struct progress_event){
			.task = task, .unit = "bytes", .done = done, .total = b->size, .finished = finished});
	pthread_mutex_unlock(&p->lock);
}

struct sending {
	struct push *p;
	struct part *b;
};

static void sent(void *context, uint64_t bytes)
{
	struct sending *x = context;

	show(x->p, x->b, bytes, false);
}

static int push_blob(struct push *p, struct part *b, struct error *err)
{
	struct registry *r = p->remote.registries[0];
	struct sending x = {p, b};
	bool done = false;
	int result = registry_blob_has(r, b->digest, &done, err);

	if (result == 0 && done) {
		__atomic_add_fetch(&p->pushed->there, 1, __ATOMIC_RELAXED);
		return 0;
	}
	if (result == 0 && p->from)
		result = registry_blob_mount(r, b->digest, p->from, &done, err);
	if (result < 0)
		return result;
	if (done) {
		__atomic_add_fetch(&p->pushed->mounted, 1, __ATOMIC_RELAXED);
		return 0;
	}
	result = registry_blob_put(r, b->digest, b->fd, b->size, sent, &x, err);
	show(p, b, b->size, true);
	__atomic_add_fetch(&p->pushed->uploaded, 1, __ATOMIC_RELAXED);
	return result;
}

static void *work(void *context)
{
	struct push *p = context;

	for (;;) {
		struct error err = {0};
		struct part *b = NULL;

		pthread_mutex_lock(&p->lock);
		while (!p->failed && p->next < p->count && p->parts[p->next].manifest)
			p->next++;
		if (!p->failed && p->next < p->count)
			b = &p->parts[p->next++];
		pthread_mutex_unlock(&p->lock);
		if (!b)
			return NULL;
		if (push_blob(p, b, &err) == 0)
			continue;
		pthread_mutex_lock(&p->lock);
		if (!p->failed) {
			p->error = err;
			error_prefix(&p->error, "blob %.19s", b->digest);
		}
		p->failed = true;
		atomic_store(&p->remote.stop, true);
		pthread_mutex_unlock(&p->lock);
	}
}

static int push_blobs(struct push *p, struct error *err)
{
	pthread_t threads[CONNECTIONS];
	sigset_t all, old;
	size_t n = 0;

	sigfillset(&all); /* signals are for whoever called */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (n + 1 < CONNECTIONS && n + 1 < p->count && pthread_create(&threads[n], NULL, work, p) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	work(p);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	if (p->failed && err)
		*err = p->error;
	return p->failed ? -(int)p->error.code : 0;
}

/* ---- manifests -------------------------------------------------------------------------------------- */

static int push_manifest(struct push *p, const char *digest, const char *reference, struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	const char *type;
	bool subject;
	int r = store_blob_read(p->store, digest, OCI_JSON_MAX, &json, NULL, err);

	if (r == 0)
		r = oci_document_type(json.data, json.size, &type, err);
	if (r == 0)
		r = registry_manifest_put(
			p->remote.registries[0], reference, type, json.data, json.size, &subject, err);
	return r < 0 ? r : referrers_push(p->remote.registries[0], json.data, json.size, subject, err);
}

/* What leads to others after them, and the tag last of all. */
static int push_manifests(struct push *p, struct error *err)
{
	int r = 0;

	for (size_t i = p->count; r == 0 && i-- > 0;)
		if (p->parts[i].manifest && strcmp(p->parts[i].digest, p->top) != 0)
			r = push_manifest(p, p->parts[i].digest, p->parts[i].digest, err);
	if (r == 0)
		r = push_manifest(p, p->top, remote_reference(&p->remote.name), err);
	memcpy(p->pushed->digest, p->top, OCI_DIGEST_SIZE);
	return r;
}

/* ---- push ------------------------------------------------------------------------------------------- */

/* A repository of the same registry that blobs may be mounted from: the first known one. */
static int find_from(struct push *p, const char *text, struct error *err)
{
	const struct endpoint *e = &p->remote.endpoints[p->remote.count - 1];
	struct remote_options options = {.push = true, .plain_http = p->options->plain_http};
	int r = 0;

	for (size_t i = 0; r == 0 && !p->from && i < p->count; i++)
		r = store_origin_find(p->store, p->parts[i].digest, e->host, e->repository, &p->from, err);
	if (r < 0 || !p->from)
		return r;
	/* The token must hold for that one, too. */
	options.from = p->from;
	remote_close(&p->remote);
	return remote_open(store_home(p->store), text, &options, &p->remote, err);
}

static int keep_origins(struct push *p, struct error *err)
{
	const struct endpoint *e = remote_endpoint(&p->remote, 0);
	_cleanup_free_ const char **digests = calloc(p->count + 1, sizeof *digests);
	struct store_origin origin = {.registry = e->host, .repository = e->repository, .digests = digests};

	if (!digests)
		return error_no_memory(err, "a push");
	for (size_t i = 0; i < p->count; i++)
		if (!p->parts[i].manifest)
			digests[origin.count++] = p->parts[i].digest;
	return store_origin_add(p->store, &origin, err);
}

int image_push(struct store *s, const char *text, const struct push_options *options, struct pushed *pushed,
	struct error *err)
{
	struct remote_options remote = {.push = true, .plain_http = options->plain_http};
	_cleanup_(push_release) struct push p = {.store = s, .options = options, .pushed = pushed};
	int r;

	pthread_mutex_init(&p.lock, NULL);
	*pushed = (struct pushed){0};
	r = remote_open(store_home(s), text, &remote, &p.remote, err);
	if (r == 0)
		r = collect_parts(&p, err);
	if (r == 0)
		r = find_from(&p, text, err);
	if (r == 0)
		r = push_blobs(&p, err);
	if (r == 0)
		r = push_manifests(&p, err);
	if (r == 0)
		r = keep_origins(&p, err);
	if (r < 0) {
		pushed_free(pushed);
		return error_prefix(err, "push %s", text);
	}
	return 0;
}
