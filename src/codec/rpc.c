/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/rpc.h"

#include <string.h>

enum { CALL = 0, REPLY = 1 };
enum { ACCEPTED = 0, DENIED = 1 };
enum { DENIED_VERSION = 0, DENIED_AUTH = 1 };

/* ---- calls ------------------------------------------------------------------------------------------ */

/* The body of AUTH_SYS (appendix A). */
static void code_sys(struct xdr *x, struct rpc_credential *c)
{
	xdr_u32(x, &c->stamp);
	xdr_bytes(x, &c->machine, RPC_MACHINE_MAX);
	xdr_u32(x, &c->uid);
	xdr_u32(x, &c->gid);
	xdr_enum(x, &c->group_count, RPC_GROUPS_MAX);
	for (uint32_t i = 0; i < c->group_count && i < RPC_GROUPS_MAX; i++)
		xdr_u32(x, &c->groups[i]);
}

static enum rpc_verdict judge_credential(const struct xdr_bytes *body, struct rpc_credential *c)
{
	struct xdr x = xdr_reader(body->data, body->size);

	if (c->flavor == RPC_AUTH_NONE)
		return RPC_OK;
	if (c->flavor != RPC_AUTH_SYS)
		return RPC_WEAK_FLAVOR;
	code_sys(&x, c);
	return xdr_done(&x) ? RPC_OK : RPC_BAD_CREDENTIAL;
}

enum rpc_verdict rpc_call_read(struct xdr *x, struct rpc_call *call)
{
	struct xdr_bytes credential, verifier;
	uint32_t direction, flavor;

	*call = (struct rpc_call){0};
	xdr_u32(x, &call->xid);
	xdr_u32(x, &direction);
	xdr_u32(x, &call->version);
	if (xdr_failed(x) || direction != CALL)
		return RPC_NO_CALL;
	if (call->version != RPC_VERSION)
		return RPC_BAD_VERSION;
	xdr_u32(x, &call->program);
	xdr_u32(x, &call->program_version);
	xdr_u32(x, &call->procedure);
	xdr_u32(x, &call->credential.flavor);
	xdr_bytes(x, &credential, RPC_AUTH_MAX);
	xdr_u32(x, &flavor);
	xdr_bytes(x, &verifier, RPC_AUTH_MAX);
	if (xdr_failed(x))
		return RPC_NO_CALL;
	return judge_credential(&credential, &call->credential);
}

void rpc_call_write(struct buffer *out, struct rpc_call *call)
{
	_cleanup_buffer_ struct buffer credential = {0};
	struct xdr x = xdr_writer(out), body = xdr_writer(&credential);
	uint32_t direction = CALL, none = RPC_AUTH_NONE;
	struct xdr_bytes bytes, empty = {0};

	if (call->credential.flavor == RPC_AUTH_SYS)
		code_sys(&body, &call->credential);
	bytes = (struct xdr_bytes){credential.data, (uint32_t)credential.size};
	xdr_u32(&x, &call->xid);
	xdr_u32(&x, &direction);
	xdr_u32(&x, &call->version);
	xdr_u32(&x, &call->program);
	xdr_u32(&x, &call->program_version);
	xdr_u32(&x, &call->procedure);
	xdr_u32(&x, &call->credential.flavor);
	xdr_bytes(&x, &bytes, RPC_AUTH_MAX);
	xdr_u32(&x, &none);
	xdr_bytes(&x, &empty, RPC_AUTH_MAX);
	if (credential.failed)
		xdr_fail(&x);
}

/* ---- replies ---------------------------------------------------------------------------------------- */

/* Everything that is not denied says so with an empty verifier. */
static void code_accepted(struct xdr *x, struct rpc_reply *r)
{
	uint32_t flavor = RPC_AUTH_NONE;
	struct xdr_bytes verifier = {0};

	xdr_u32(x, &flavor);
	xdr_bytes(x, &verifier, RPC_AUTH_MAX);
	xdr_u32(x, &r->status);
	if (r->status == RPC_PROG_MISMATCH) {
		xdr_u32(x, &r->low);
		xdr_u32(x, &r->high);
	}
}

static void code_denied(struct xdr *x, struct rpc_reply *r)
{
	xdr_enum(x, &r->status, DENIED_AUTH);
	if (r->status == DENIED_AUTH) {
		xdr_u32(x, &r->why);
		return;
	}
	xdr_u32(x, &r->low);
	xdr_u32(x, &r->high);
}

static void code_reply(struct xdr *x, struct rpc_reply *r)
{
	uint32_t direction = REPLY, denied = r->denied;

	xdr_u32(x, &r->xid);
	xdr_u32(x, &direction);
	xdr_enum(x, &denied, DENIED);
	if (direction != REPLY)
		xdr_fail(x);
	r->denied = denied;
	if (r->denied)
		code_denied(x, r);
	else
		code_accepted(x, r);
}

void rpc_reply_accepted(struct buffer *out, uint32_t xid, enum rpc_accept status, uint32_t low, uint32_t high)
{
	struct rpc_reply r = {.xid = xid, .status = status, .low = low, .high = high};
	struct xdr x = xdr_writer(out);

	code_reply(&x, &r);
}

void rpc_reply_denied(struct buffer *out, uint32_t xid, enum rpc_verdict why)
{
	struct rpc_reply r = {
		.xid = xid, .denied = true, .status = DENIED_AUTH, .low = RPC_VERSION, .high = RPC_VERSION};
	struct xdr x = xdr_writer(out);

	if (why == RPC_BAD_VERSION)
		r.status = DENIED_VERSION;
	r.why = why == RPC_WEAK_FLAVOR ? RPC_AUTH_TOOWEAK : RPC_AUTH_BADCRED;
	code_reply(&x, &r);
}

bool rpc_reply_read(struct xdr *x, struct rpc_reply *reply)
{
	*reply = (struct rpc_reply){0};
	code_reply(x, reply);
	return !xdr_failed(x);
}

/* ---- records ---------------------------------------------------------------------------------------- */

static void put_mark(uint8_t *at, uint32_t mark)
{
	for (size_t i = 0; i < RPC_MARK_SIZE; i++)
		at[i] = (uint8_t)(mark >> (24 - 8 * i));
}

size_t rpc_record_begin(struct buffer *out)
{
	static const uint8_t none[RPC_MARK_SIZE];
	size_t begun = out->size;

	buffer_append(out, none, sizeof none);
	return begun;
}

void rpc_record_end(struct buffer *out, size_t begun, size_t behind)
{
	size_t size = out->size - begun - RPC_MARK_SIZE + behind;

	if (size >= RPC_FRAGMENT_LAST)
		out->failed = true;
	if (!out->failed)
		put_mark(out->data + begun, (uint32_t)size | RPC_FRAGMENT_LAST);
}

void rpc_reader_free(struct rpc_reader *r)
{
	buffer_free(&r->record);
}

uint8_t *rpc_reader_space(struct rpc_reader *r, size_t *n)
{
	/* Much is missing: it goes to its place at once. What is reserved only doubles what has come. */
	r->direct = r->in_fragment && r->left > sizeof r->ahead;
	if (r->direct) {
		*n = r->record.size > 65536 ? r->record.size : 65536;
		if (*n > r->left)
			*n = r->left;
		return buffer_reserve(&r->record, *n) ? r->record.data + r->record.size : NULL;
	}
	memmove(r->ahead, r->ahead + r->at, r->filled - r->at);
	r->filled -= r->at;
	r->at = 0;
	*n = sizeof r->ahead - r->filled;
	return r->ahead + r->filled;
}

void rpc_reader_filled(struct rpc_reader *r, size_t n)
{
	if (r->direct) {
		r->record.size += n;
		r->left -= (uint32_t)n;
	} else {
		r->filled += n;
	}
}

/* 1: a fragment begins; 0: its mark is not whole; -1: it is too large. */
static int take_mark(struct rpc_reader *r)
{
	struct xdr x = xdr_reader(r->ahead + r->at, r->filled - r->at);
	uint32_t mark;

	if (x.in.left < RPC_MARK_SIZE)
		return 0;
	xdr_u32(&x, &mark);
	r->at += RPC_MARK_SIZE;
	r->last = mark & RPC_FRAGMENT_LAST;
	r->left = mark & ~RPC_FRAGMENT_LAST;
	r->in_fragment = true;
	return r->left > r->most - r->record.size ? -1 : 1;
}

int rpc_reader_next(struct rpc_reader *r, struct buffer *record)
{
	for (;;) {
		size_t have, n;
		int got = r->in_fragment ? 1 : take_mark(r);

		if (got <= 0)
			return got;
		have = r->filled - r->at;
		n = have < r->left ? have : r->left;
		if (n && !buffer_append(&r->record, r->ahead + r->at, n))
			return -1;
		r->at += n;
		r->left -= (uint32_t)n;
		if (r->left)
			return 0;
		r->in_fragment = false;
		if (r->last) {
			*record = r->record;
			r->record = (struct buffer){0};
			return 1;
		}
	}
}
