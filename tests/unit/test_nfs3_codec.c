/* SPDX-License-Identifier: Apache-2.0 */
/* XDR, RPC, NFS and HMAC as bytes, against the RFCs' own words and vectors. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "codec/hmac.h"
#include "codec/nfs3.h"
#include "codec/rpc.h"
#include "test.h"

static void check_hex(const struct buffer *b, const char *hex)
{
	_cleanup_free_ char *text = calloc(b->size + 1, 2);

	for (size_t i = 0; i < b->size; i++)
		snprintf(text + 2 * i, 3, "%02x", b->data[i]);
	CHECK_TEXT(text, hex);
}

TEST(xdr_is_big_endian_and_padded_to_four_bytes)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct xdr x = xdr_writer(&b);
	uint32_t number = 0x01020304;
	uint64_t large = 0x1122334455667788;
	bool yes = true;
	struct xdr_bytes text = {(const uint8_t *)"sillyprog", 9};

	xdr_u32(&x, &number);
	xdr_u64(&x, &large);
	xdr_bool(&x, &yes);
	xdr_bytes(&x, &text, 100);
	xdr_fixed(&x, "ab", 2);
	CHECK(!xdr_failed(&x));
	check_hex(&b, "01020304"
		      "1122334455667788"
		      "00000001"
		      "0000000973696c6c7970726f67000000"
		      "61620000");
}

TEST(what_xdr_writes_it_reads)
{
	static const uint8_t bytes[] = {
		1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 3, 'a', 'b', 'c', 9};
	struct xdr x = xdr_reader(bytes, sizeof bytes);
	uint32_t number;
	uint64_t large;
	bool yes;
	struct xdr_bytes text;

	xdr_u32(&x, &number);
	xdr_u64(&x, &large);
	xdr_bool(&x, &yes);
	xdr_bytes(&x, &text, 3);
	CHECK(xdr_done(&x));
	CHECK_INT(number, 0x01020304);
	CHECK_INT(large, 9);
	CHECK(yes);
	CHECK(text.size == 3 && !memcmp(text.data, "abc", 3));
}

static bool reads_bytes(const void *data, size_t n, uint32_t most)
{
	struct xdr x = xdr_reader(data, n);
	struct xdr_bytes b;

	xdr_bytes(&x, &b, most);
	if (xdr_failed(&x))
		CHECK(b.size == 0 && b.data == NULL);
	return xdr_done(&x);
}

TEST(xdr_refuses_what_is_cut_or_too_long)
{
	bool yes;
	uint32_t v;
	struct xdr x = xdr_reader("\0\0\0\2\0\0\0\1", 8);

	CHECK(reads_bytes("\0\0\0\4abcd", 8, 4));
	CHECK(!reads_bytes("\0\0\0\4abcd", 8, 3));
	CHECK(!reads_bytes("\0\0\0\4abc", 7, 4));
	CHECK(!reads_bytes("\0\0\0\3abc", 7, 4)); /* without what pads it */
	CHECK(!reads_bytes("\xff\xff\xff\xff", 4, UINT32_MAX));
	xdr_bool(&x, &yes);
	CHECK(xdr_failed(&x) && !yes);
	xdr_u32(&x, &v); /* nothing is read behind a failure */
	CHECK_INT(v, 0);
	x = xdr_reader("\0\0\0\3", 4);
	xdr_enum(&x, &v, 2);
	CHECK(xdr_failed(&x));
}

TEST(bytes_that_stand_at_their_place_are_not_copied)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct xdr x = xdr_writer(&b);
	struct xdr_bytes v = {.size = 5};

	CHECK(buffer_reserve(&b, 64));
	memcpy(b.data + 4, "there", 5);
	v.data = b.data + 4;
	xdr_bytes(&x, &v, 5);
	check_hex(&b, "00000005"
		      "7468657265000000");
}

TEST(hmac_gives_the_values_of_rfc_4231)
{
	static const uint8_t case_2[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
		0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec,
		0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
	static const char data[] = "what do ya want for nothing?";
	uint8_t out[SHA256_SIZE];
	struct hmac_key key;
	struct error err;

	CHECK_OK(hmac_key_set(&key, "Jefe", 4, &err));
	CHECK_OK(hmac_of(&key, data, strlen(data), out, &err));
	CHECK(hmac_equal(out, case_2, sizeof out));
	out[31] ^= 1;
	CHECK(!hmac_equal(out, case_2, sizeof out));
	CHECK_ERROR(hmac_key_set(&key, data, HMAC_BLOCK + 1, &err), ERROR_INVALID);
}

/* ---- RPC -------------------------------------------------------------------------------------------- */

static struct rpc_call a_call(void)
{
	return (struct rpc_call){.xid = 7,
		.version = RPC_VERSION,
		.program = NFS3_PROGRAM,
		.program_version = NFS3_VERSION,
		.procedure = NFS3_GETATTR,
		.credential = {.flavor = RPC_AUTH_SYS,
			.stamp = 1,
			.uid = 1000,
			.gid = 100,
			.groups = {4, 24},
			.group_count = 2,
			.machine = {(const uint8_t *)"host", 4}}};
}

TEST(a_call_is_read_as_it_was_written)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct rpc_call call = a_call(), got;
	struct xdr x;

	rpc_call_write(&b, &call);
	x = xdr_reader(b.data, b.size);
	CHECK_INT(rpc_call_read(&x, &got), RPC_OK);
	CHECK(xdr_done(&x));
	CHECK_INT(got.xid, 7);
	CHECK_INT(got.program, NFS3_PROGRAM);
	CHECK_INT(got.credential.uid, 1000);
	CHECK_INT(got.credential.group_count, 2);
	CHECK_INT(got.credential.groups[1], 24);
	CHECK(got.credential.machine.size == 4 && !memcmp(got.credential.machine.data, "host", 4));
}

TEST(a_cut_call_gets_no_answer)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct rpc_call call = a_call(), got;

	rpc_call_write(&b, &call);
	for (size_t n = 0; n < b.size; n++) {
		struct xdr x = xdr_reader(b.data, n);

		CHECK_INT(rpc_call_read(&x, &got), RPC_NO_CALL);
	}
}

static enum rpc_verdict verdict_with(size_t at, uint8_t byte)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct rpc_call call = a_call(), got;
	struct xdr x;

	rpc_call_write(&b, &call);
	b.data[at] = byte;
	x = xdr_reader(b.data, b.size);
	return rpc_call_read(&x, &got);
}

TEST(calls_are_rejected_for_what_is_wrong_with_them)
{
	CHECK_INT(verdict_with(7, 1), RPC_NO_CALL);          /* a reply */
	CHECK_INT(verdict_with(11, 3), RPC_BAD_VERSION);     /* RPC version 3 */
	CHECK_INT(verdict_with(27, 6), RPC_WEAK_FLAVOR);     /* RPCSEC_GSS */
	CHECK_INT(verdict_with(39, 40), RPC_BAD_CREDENTIAL); /* a machine's name longer than its credential */
	CHECK_INT(verdict_with(55, 17), RPC_BAD_CREDENTIAL); /* 17 groups */
	CHECK_INT(verdict_with(29, 1), RPC_NO_CALL);         /* a credential of more than 400 bytes */
}

TEST(rejections_are_bytes_of_the_rfc)
{
	_cleanup_buffer_ struct buffer b = {0};

	rpc_reply_accepted(&b, 9, RPC_PROG_MISMATCH, 3, 3);
	check_hex(&b, "00000009"
		      "00000001"
		      "00000000"
		      "0000000000000000"
		      "00000002"
		      "00000003"
		      "00000003");
	buffer_clear(&b);
	rpc_reply_accepted(&b, 9, RPC_GARBAGE_ARGS, 0, 0);
	check_hex(&b, "00000009"
		      "00000001"
		      "00000000"
		      "0000000000000000"
		      "00000004");
	buffer_clear(&b);
	rpc_reply_denied(&b, 9, RPC_BAD_VERSION);
	check_hex(&b, "00000009"
		      "00000001"
		      "00000001"
		      "00000000"
		      "00000002"
		      "00000002");
	buffer_clear(&b);
	rpc_reply_denied(&b, 9, RPC_WEAK_FLAVOR);
	check_hex(&b, "00000009"
		      "00000001"
		      "00000001"
		      "00000001"
		      "00000005");
}

/* Feeds `stream` in pieces and joins the records, each behind a '|'. */
static int read_records(const void *stream, size_t size, size_t piece, size_t most, struct buffer *out)
{
	struct rpc_reader r = {.most = most};
	const uint8_t *at = stream, *end = at + size;
	int got = 0;

	for (;;) {
		_cleanup_buffer_ struct buffer record = {0};
		size_t n;
		uint8_t *space;

		while ((got = rpc_reader_next(&r, &record)) > 0) {
			buffer_append_text(out, "|");
			buffer_append(out, record.data, record.size);
			buffer_free(&record);
		}
		if (got < 0 || at == end)
			break;
		space = rpc_reader_space(&r, &n);
		CHECK(space && n > 0);
		n = n < piece ? n : piece;
		n = n < (size_t)(end - at) ? n : (size_t)(end - at);
		memcpy(space, at, n);
		rpc_reader_filled(&r, n);
		at += n;
	}
	rpc_reader_free(&r);
	return got;
}

TEST(records_come_whole_whatever_the_pieces)
{
	static const char stream[] =
		"\x80\0\0\3one\0\0\0\2tw\0\0\0\0\x80\0\0\1o\x80\0\0\0\x80\0\0\5three\x80\0";

	for (size_t piece = 1; piece <= sizeof stream; piece++) {
		_cleanup_buffer_ struct buffer out = {0};

		CHECK_INT(read_records(stream, sizeof stream - 1, piece, 100, &out), 0);
		buffer_u8(&out, 0);
		CHECK_TEXT((char *)out.data, "|one|two||three");
	}
}

TEST(large_records_come_whole_too)
{
	_cleanup_buffer_ struct buffer in = {0}, out = {0};
	size_t begun = rpc_record_begin(&in);

	for (uint32_t i = 0; i < 300000; i++)
		buffer_u8(&in, (uint8_t)(i * 7));
	rpc_record_end(&in, begun, 0);
	begun = rpc_record_begin(&in);
	buffer_append_text(&in, "next");
	rpc_record_end(&in, begun, 0);
	for (size_t piece = 999; piece < 700000; piece *= 3) {
		buffer_clear(&out);
		CHECK_INT(read_records(in.data, in.size, piece, 300000, &out), 0);
		CHECK_INT(out.size, 1 + 300000 + 5);
		CHECK(!memcmp(out.data + 1, in.data + 4, 300000));
		CHECK(!memcmp(out.data + 300001, "|next", 5));
	}
}

TEST(a_record_over_the_limit_ends_the_connection)
{
	_cleanup_buffer_ struct buffer out = {0};

	CHECK_INT(read_records("\x80\0\0\5three", 9, 9, 4, &out), -1);
	CHECK_INT(read_records("\xff\xff\xff\xff", 4, 4, 1 << 20, &out), -1);
	CHECK_INT(read_records("\0\0\0\3one\x80\0\0\3two", 14, 14, 5, &out), -1);
	CHECK_INT(out.size, 0);
}

TEST(a_hostile_length_costs_no_memory)
{
	struct rpc_reader r = {.most = 1 << 30};
	struct buffer record = {0};
	size_t n;
	uint8_t *space = rpc_reader_space(&r, &n);

	memcpy(space, "\xa0\0\0\0", 4);
	rpc_reader_filled(&r, 4);
	CHECK_INT(rpc_reader_next(&r, &record), 0);
	CHECK(rpc_reader_space(&r, &n) != NULL);
	CHECK(r.record.capacity <= 1 << 17);
	rpc_reader_free(&r);
}

/* ---- NFS -------------------------------------------------------------------------------------------- */

static const uint8_t *letters(void)
{
	return (const uint8_t *)"abcdefghijklmnopqrstuvwxyz";
}

static struct nfs3_set a_set(void)
{
	return (struct nfs3_set){.set_mode = true,
		.mode = 0644,
		.set_size = true,
		.size = 1ull << 40,
		.set_atime = NFS3_SERVER_TIME,
		.set_mtime = NFS3_CLIENT_TIME,
		.mtime = {5, 6}};
}

static struct nfs3_arguments some_arguments(void)
{
	return (struct nfs3_arguments){.object = {.size = 5, .bytes = "handl"},
		.name = {letters(), 7},
		.to = {.size = 64, .bytes = "other"},
		.to_name = {letters(), 26},
		.set = a_set(),
		.guarded = true,
		.guard = {1, 2},
		.access = 63,
		.offset = 1ull << 50,
		.count = 4096,
		.stable = NFS3_DATA_SYNC,
		.data = {letters(), 13},
		.how = NFS3_EXCLUSIVE,
		.verifier = "verifier",
		.target = {letters(), 3},
		.type = NF3CHR,
		.major = 4,
		.minor = 64,
		.cookie = 1ull << 63,
		.directory_count = 512,
		.most = 8192};
}

TEST(arguments_of_every_procedure_are_read_as_written)
{
	for (uint32_t p = 0; p < NFS3_PROCEDURE_COUNT; p++) {
		_cleanup_buffer_ struct buffer once = {0}, twice = {0};
		struct nfs3_arguments a = some_arguments(), b = {0}, cut = {0};
		struct xdr x = xdr_writer(&once), in, again = xdr_writer(&twice);

		nfs3_code_arguments(&x, p, &a);
		in = xdr_reader(once.data, once.size);
		nfs3_code_arguments(&in, p, &b);
		CHECK(xdr_done(&in));
		nfs3_code_arguments(&again, p, &b);
		CHECK(once.size == twice.size && (!once.size || !memcmp(once.data, twice.data, once.size)));
		for (size_t n = 0; n < once.size; n++) {
			in = xdr_reader(once.data, n);
			nfs3_code_arguments(&in, p, &cut);
			CHECK(xdr_failed(&in));
		}
	}
}

static struct nfs3_post a_post(void)
{
	return (struct nfs3_post){.there = true,
		.a = {.type = NF3REG, .mode = 0600, .links = 1, .size = 9, .fileid = 77, .mtime = {3, 4}}};
}

static struct nfs3_results some_results(uint32_t status, struct buffer *entries)
{
	return (struct nfs3_results){.status = status,
		.object = a_post(),
		.directory = a_post(),
		.wcc = {.before = true, .size = 4, .mtime = {1, 2}, .after = a_post()},
		.to_wcc = {.after = a_post()},
		.has_handle = true,
		.handle = {.size = 33, .bytes = "h"},
		.access = 5,
		.data = {letters(), 11},
		.count = 11,
		.end = true,
		.stable = NFS3_FILE_SYNC,
		.verifier = "12345678",
		.entries = {entries->data, (uint32_t)entries->size},
		.space = {.bytes = 1, .available_files = 2, .invariant = 3},
		.properties = {.read_max = 1 << 20, .file_max = INT64_MAX, .time_step = {0, 1}},
		.limits = {.link_max = 1, .name_max = 255, .case_preserving = true}};
}

static void write_entries(struct buffer *entries, bool plus)
{
	struct xdr x = xdr_writer(entries);

	for (uint32_t i = 0; i < 3; i++) {
		struct nfs3_entry e = {.fileid = i,
			.name = {letters(), i + 1},
			.cookie = i * 10,
			.attributes = i ? a_post() : (struct nfs3_post){0},
			.has_handle = i == 1,
			.handle = {.size = 20}};

		nfs3_code_entry(&x, plus, &e);
	}
}

TEST(results_of_every_procedure_are_read_as_written)
{
	for (uint32_t p = 0; p < 2 * NFS3_PROCEDURE_COUNT; p++) {
		_cleanup_buffer_ struct buffer once = {0}, twice = {0}, entries = {0};
		uint32_t procedure = p / 2, status = p % 2 ? NFS3ERR_IO : NFS3_OK;
		struct nfs3_results a, b = {0};
		struct xdr x = xdr_writer(&once), in, again = xdr_writer(&twice);

		write_entries(&entries, procedure == NFS3_READDIRPLUS);
		a = some_results(status, &entries);
		nfs3_code_results(&x, procedure, &a);
		in = xdr_reader(once.data, once.size);
		nfs3_code_results(&in, procedure, &b);
		CHECK(xdr_done(&in));
		CHECK_INT(b.status, procedure ? status : 0);
		nfs3_code_results(&again, procedure, &b);
		CHECK(once.size == twice.size && (!once.size || !memcmp(once.data, twice.data, once.size)));
		for (size_t n = 0; n < once.size; n++) {
			struct nfs3_results cut = {0};

			in = xdr_reader(once.data, n);
			nfs3_code_results(&in, procedure, &cut);
			CHECK(xdr_failed(&in));
		}
	}
}

TEST(the_prefix_of_read_results_is_as_long_as_said)
{
	_cleanup_buffer_ struct buffer b = {0}, none = {0};
	struct nfs3_results r = some_results(NFS3_OK, &none);
	struct xdr x = xdr_writer(&b);

	nfs3_code_results(&x, NFS3_READ, &r);
	CHECK_INT(b.size, NFS3_READ_PREFIX + 12);
	CHECK(!memcmp(b.data + NFS3_READ_PREFIX, letters(), 11));
}

TEST(handles_over_64_bytes_are_refused)
{
	uint8_t bytes[4 + 68] = {0, 0, 0, 65};
	struct xdr x = xdr_reader(bytes, sizeof bytes);
	struct nfs3_handle h;

	nfs3_code_handle(&x, &h);
	CHECK(xdr_failed(&x) && h.size == 0);
	bytes[3] = 64;
	x = xdr_reader(bytes, sizeof bytes);
	nfs3_code_handle(&x, &h);
	CHECK(!xdr_failed(&x) && h.size == 64);
}
