/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPC and NFS from hostile peers, as a stream in pieces: records are bounded, what was read is written again
 * and read again the same way, as a call (a server's view) and as results (a client's).
 *
 * The first byte is the size of the pieces, the second the procedure that results are read for.
 */
#include <assert.h>
#include <string.h>

#include "codec/nfs3.h"
#include "codec/rpc.h"

#define RECORD_MOST 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct buffer *a, const struct buffer *b)
{
	assert(!a->failed && !b->failed && a->size == b->size);
	assert(a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void try_arguments(struct xdr *x, uint32_t procedure)
{
	_cleanup_buffer_ struct buffer once = {0}, twice = {0};
	struct nfs3_arguments a = {0}, again = {0};
	struct xdr out = xdr_writer(&once), in, out_again = xdr_writer(&twice);

	nfs3_code_arguments(x, procedure, &a);
	if (xdr_failed(x))
		return;
	nfs3_code_arguments(&out, procedure, &a);
	in = xdr_reader(once.data, once.size);
	nfs3_code_arguments(&in, procedure, &again);
	assert(xdr_done(&in));
	nfs3_code_arguments(&out_again, procedure, &again);
	check_same(&once, &twice);
}

static void try_results(const uint8_t *data, size_t size, uint32_t procedure)
{
	_cleanup_buffer_ struct buffer once = {0}, twice = {0};
	struct nfs3_results r = {0}, again = {0};
	struct xdr x = xdr_reader(data, size), out = xdr_writer(&once), in, out_again = xdr_writer(&twice);

	nfs3_code_results(&x, procedure, &r);
	if (xdr_failed(&x))
		return;
	nfs3_code_results(&out, procedure, &r);
	in = xdr_reader(once.data, once.size);
	nfs3_code_results(&in, procedure, &again);
	assert(xdr_done(&in));
	nfs3_code_results(&out_again, procedure, &again);
	check_same(&once, &twice);
}

static void try_call(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer header = {0};
	struct xdr x = xdr_reader(data, size), in;
	struct rpc_call call, again;
	struct xdr_bytes path;
	enum rpc_verdict verdict = rpc_call_read(&x, &call);

	if (verdict != RPC_OK)
		return;
	rpc_call_write(&header, &call);
	in = xdr_reader(header.data, header.size);
	assert(rpc_call_read(&in, &again) == RPC_OK && xdr_done(&in));
	assert(again.xid == call.xid && again.credential.group_count == call.credential.group_count);
	if (call.program == MOUNT3_PROGRAM)
		mount3_code_path(&x, &path);
	else
		try_arguments(&x, call.procedure % NFS3_PROCEDURE_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_reader r = {.most = RECORD_MOST};
	struct rpc_reply reply;
	struct xdr x;
	size_t piece;

	if (size < 2)
		return 0;
	piece = (size_t)data[0] * 64 + 1;
	try_results(data + 2, size - 2, data[1] % NFS3_PROCEDURE_COUNT);
	x = xdr_reader(data + 2, size - 2);
	rpc_reply_read(&x, &reply);
	for (size_t at = 2; at < size;) {
		_cleanup_buffer_ struct buffer record = {0};
		size_t n;
		uint8_t *space;
		int got;

		while ((got = rpc_reader_next(&r, &record)) > 0) {
			assert(record.size <= RECORD_MOST);
			try_call(record.data, record.size);
			buffer_free(&record);
		}
		if (got < 0)
			break;
		space = rpc_reader_space(&r, &n);
		assert(space && n > 0);
		n = n < piece ? n : piece;
		n = n < size - at ? n : size - at;
		memcpy(space, data + at, n);
		rpc_reader_filled(&r, n);
		at += n;
	}
	rpc_reader_free(&r);
	return 0;
}
