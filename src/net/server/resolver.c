/* SPDX-License-Identifier: Apache-2.0 */
/* What a question gets: an answer of our own, a refusal, what is known, or a place in an exchange. */
#include "net/server/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/server/resolver_parts.h"

#define CONF_LOOK_EVERY NANOSECONDS_PER_SECOND

/* ---- resolv.conf ------------------------------------------------------------------------------------- */

static int read_conf(struct resolver *r, struct error *err)
{
	_cleanup_free_ char *text = malloc(RESOLV_CONF_SIZE_MOST);
	_cleanup_fd_ int fd = open(r->path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (!text)
		return error_no_memory(err, "read resolv.conf");
	if (fd < 0 && errno != ENOENT)
		return error_errno(err, errno, "open %s", r->path);
	if (fd >= 0)
		n = read(fd, text, RESOLV_CONF_SIZE_MOST);
	if (n < 0)
		return error_errno(err, errno, "read %s", r->path);
	resolv_conf_parse(text, (size_t)n, r->port, &r->conf);
	memset(r->bad_until, 0, sizeof r->bad_until);
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void refresh_conf(struct resolver *r)
{
	uint64_t now = clock_monotonic();
	struct stat st;
	struct error err;

	if (r->conf_looked && now - r->conf_looked < CONF_LOOK_EVERY)
		return;
	r->conf_looked = now;
	if (stat(r->path, &st) < 0)
		memset(&st, 0, sizeof st);
	if (same_file(&st, &r->conf_seen))
		return;
	/* Another network, perhaps, where names mean something else. */
	r->conf_seen = st;
	if (read_conf(r, &err) < 0)
		log_warning("resolvers stay as they were: %s", err.text);
	else
		dns_cache_clear(r->cache);
}

/* ---- replies ----------------------------------------------------------------------------------------- */

static void reply(struct resolver *r, const struct requester *to, size_t n)
{
	if (!n)
		return;
	if (to->client)
		dns_client_send(to->client, r->out, n);
	else
		r->calls->answer(r->context, &to->from, r->out, n);
}

static size_t room_of(const struct requester *to, const struct dns_query *q)
{
	if (to->client)
		return DNS_MESSAGE_MOST;
	return q->room < RESOLVER_UDP_MOST ? q->room : RESOLVER_UDP_MOST;
}

static void reply_status(struct resolver *r, const struct requester *to, const struct dns_query *q,
	enum dns_rcode code, const char *why)
{
	reply(r, to, dns_build_status(q, code, why, r->out, room_of(to, q)));
}

struct learning {
	struct resolver *r;
	const struct dns_query *q;
	uint32_t id, age;
};

static void learn(void *context, uint32_t address, uint32_t ttl)
{
	struct learning *l = context;

	l->r->calls->learn(l->r->context, l->id, l->q->name, address, ttl > l->age ? ttl - l->age : 0);
}

static void reply_with(struct resolver *r, const struct requester *to, const struct dns_query *q,
	const struct dns_reply *found, uint32_t age)
{
	struct learning l = {r, q, to->asker->id, age};
	size_t n = dns_build_reply(q, found, age, r->out, room_of(to, q));

	if (n) {
		dns_each_address(found, q, learn, &l);
		reply(r, to, n);
	} else if (to->client) {
		reply_status(r, to, q, DNS_SERVFAIL, "the resolver's reply is malformed");
	} else {
		reply(r, to, dns_build_truncated(q, r->out, room_of(to, q)));
	}
}

/* ---- questions under way ----------------------------------------------------------------------------- */

static void waiter_free(struct waiter *w)
{
	w->to.asker->queries--;
	if (w->to.client)
		dns_client_waits(w->to.client, -1);
	free(w);
}

static int add_waiter(
	struct resolver *r, const struct requester *to, const struct dns_query *q, struct error *err)
{
	struct exchange *x = exchange_find(r, q);
	unsigned most = r->exchange_count < RESOLVER_CROWD ? RESOLVER_QUERIES_MOST : RESOLVER_QUERIES_CROWD;
	struct waiter *w;
	int result = 0;

	if (to->asker->queries >= most)
		return error_set(err, ERROR_LIMIT, "too many questions at once");
	w = calloc(1, sizeof *w);
	if (!w)
		return error_no_memory(err, "a question");
	if (!x)
		result = exchange_start(r, q, &x, err);
	if (result < 0) {
		free(w);
		return result;
	}
	w->to = *to;
	w->q = *q;
	w->q.message = w->question;
	memcpy(w->question, q->message, q->question_end);
	w->next = x->waiters;
	x->waiters = w;
	to->asker->queries++;
	if (to->client)
		dns_client_waits(to->client, 1);
	return 0;
}

void resolver_answered(struct exchange *x, const struct dns_reply *found)
{
	struct resolver *r = x->r;

	if (found)
		dns_cache_put(r->cache, &x->q, found, clock_monotonic());
	while (x->waiters) {
		struct waiter *w = x->waiters;

		x->waiters = w->next;
		if (found)
			reply_with(r, &w->to, &w->q, found, 0);
		else
			reply_status(r, &w->to, &w->q, DNS_SERVFAIL, "none of this host's resolvers answers");
		waiter_free(w);
	}
}

void resolver_drop_waiters(struct resolver *r, const struct dns_asker *asker, const struct dns_client *client)
{
	struct exchange *after;

	for (struct exchange *x = r->exchanges; x; x = after) {
		struct waiter **at = &x->waiters;

		after = x->after;
		while (*at) {
			struct waiter *w = *at;

			if (w->to.asker != asker || (client && w->to.client != client)) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			waiter_free(w);
		}
		if (!x->waiters)
			exchange_cancel(x);
	}
}

/* ---- questions --------------------------------------------------------------------------------------- */

static void forward(struct resolver *r, const struct requester *to, const struct dns_query *q)
{
	struct dns_reply known;
	struct error err;
	uint32_t age;

	refresh_conf(r);
	if (dns_cache_get(r->cache, q, clock_monotonic(), &known, &age))
		reply_with(r, to, q, &known, age);
	else if (add_waiter(r, to, q, &err) < 0)
		reply_status(r, to, q, DNS_SERVFAIL, err.text);
}

void resolver_handle(struct resolver *r, const struct requester *to, const uint8_t *message, size_t n)
{
	char why[RESOLVER_WHY_SIZE] = "";
	uint32_t id = to->asker->id;
	struct dns_query q;
	size_t own;
	int code = dns_parse_query(message, n, &q);

	if (code < 0)
		return;
	if (code > 0) {
		reply(r, to, dns_build_error(message, n, (enum dns_rcode)code, r->out, sizeof r->out));
		return;
	}
	own = names_reply(r->names, id, &q, r->out, room_of(to, &q));
	if (own)
		reply(r, to, own);
	else if (!r->calls->allowed(r->context, id, q.name, why))
		reply_status(r, to, &q, DNS_REFUSED, why);
	else if (q.type == DNS_AAAA ||
		 ((q.type == DNS_HTTPS || q.type == DNS_SVCB) && !r->calls->services(r->context, id)))
		reply_status(r, to, &q, DNS_NOERROR, NULL);
	else
		forward(r, to, &q);
}

static struct dns_asker *find_asker(struct resolver *r, uint32_t id, bool make)
{
	struct dns_asker *a;

	for (a = r->askers; a; a = a->next)
		if (a->id == id)
			return a;
	a = make ? calloc(1, sizeof *a) : NULL;
	if (!a)
		return NULL;
	a->id = id;
	a->next = r->askers;
	r->askers = a;
	return a;
}

void resolver_ask(struct resolver *r, const struct resolver_asker *asker, const uint8_t *query, size_t n)
{
	struct requester to = {.asker = find_asker(r, asker->id, true), .from = *asker};

	if (to.asker && !r->closing)
		resolver_handle(r, &to, query, n);
}

int resolver_listen(struct resolver *r, uint32_t id, int listening, struct error *err)
{
	struct dns_asker *asker = find_asker(r, id, true);

	if (!asker || r->closing) {
		close(listening);
		return asker ? error_set(err, ERROR_CLOSED, "the resolver is closing")
			     : error_no_memory(err, "listen for DNS");
	}
	return dns_listener_open(r, asker, listening, err);
}

void resolver_forget(struct resolver *r, uint32_t id)
{
	struct dns_asker *asker = find_asker(r, id, false);
	struct dns_asker **at = &r->askers;

	if (!asker)
		return;
	dns_listener_close(asker);
	resolver_drop_waiters(r, asker, NULL);
	while (*at != asker)
		at = &(*at)->next;
	*at = asker->next;
	free(asker);
}

/* ---- beginning and end ------------------------------------------------------------------------------- */

static void resolver_free(struct resolver *r)
{
	dns_cache_free(r->cache);
	free(r->path);
	free(r);
}
CLEANUP_DEFINE(resolver, struct resolver, resolver_free);

int resolver_new(uv_loop_t *loop, const struct names *names, const struct resolver_config *config,
	const struct resolver_calls *calls, void *context, struct resolver **resolver, struct error *err)
{
	_cleanup_(cleanup_resolver) struct resolver *r = calloc(1, sizeof *r);
	int result;

	if (!r)
		return error_no_memory(err, "the resolver");
	r->loop = loop;
	r->names = names;
	r->calls = calls;
	r->context = context;
	r->port = config->port ? config->port : DNS_PORT;
	r->path = text_copy(config->resolv_conf ? config->resolv_conf : "/etc/resolv.conf", err);
	if (!r->path)
		return error_no_memory(err, "the resolver");
	result = dns_cache_new(
		config->cache_bytes ? config->cache_bytes : RESOLVER_CACHE_BYTES, &r->cache, err);
	if (result < 0)
		return result;
	resolv_conf_parse("", 0, r->port, &r->conf);
	r->conf_seen.st_ino = UINT64_MAX; /* not looked at yet */
	refresh_conf(r);
	*resolver = TAKE_PTR(r);
	return 0;
}

void resolver_handle_opened(struct resolver *r)
{
	r->handles++;
}

static void maybe_done(struct resolver *r)
{
	void (*done)(void *) = r->done;
	void *context = r->done_context;

	if (!r->closing || r->handles)
		return;
	resolver_free(r);
	if (done)
		done(context);
}

void resolver_handle_closed(struct resolver *r)
{
	r->handles--;
	maybe_done(r);
}

void resolver_close(struct resolver *r, void (*done)(void *), void *done_context)
{
	r->done = done;
	r->done_context = done_context;
	resolver_handle_opened(r); /* until all are asked to close */
	while (r->askers)
		resolver_forget(r, r->askers->id);
	r->closing = true;
	resolver_handle_closed(r);
}
