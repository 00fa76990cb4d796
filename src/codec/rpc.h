/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONC RPC version 2 over streams (RFC 5531): records, headers of calls and replies, and who a caller says it
 * is (AUTH_NONE and AUTH_SYS).
 *
 * A pure core: bytes in, headers out. The peer is hostile; a record that breaks the format ends its
 * connection.
 */
#pragma once

#include "codec/xdr.h"

#define RPC_VERSION       2u
#define RPC_AUTH_MAX      400u /* bytes of a credential or verifier (section 8.2) */
#define RPC_MACHINE_MAX   255u /* appendix A */
#define RPC_GROUPS_MAX    16u
#define RPC_MARK_SIZE     4u          /* bytes of a record mark */
#define RPC_FRAGMENT_LAST 0x80000000u /* in a record mark (section 11) */
#define RPC_HEADER_ROOM   1024u       /* more than all of a header takes */

enum rpc_flavor { RPC_AUTH_NONE = 0, RPC_AUTH_SYS = 1 };

enum rpc_accept {
	RPC_SUCCESS = 0,
	RPC_PROG_UNAVAIL = 1,
	RPC_PROG_MISMATCH = 2,
	RPC_PROC_UNAVAIL = 3,
	RPC_GARBAGE_ARGS = 4,
	RPC_SYSTEM_ERR = 5
};

enum rpc_auth_status {
	RPC_AUTH_BADCRED = 1,
	RPC_AUTH_REJECTEDCRED = 2,
	RPC_AUTH_BADVERF = 3,
	RPC_AUTH_REJECTEDVERF = 4,
	RPC_AUTH_TOOWEAK = 5
};

/* What a caller says of itself: anybody may say anything. */
struct rpc_credential {
	uint32_t flavor;
	uint32_t stamp, uid, gid; /* of AUTH_SYS */
	uint32_t groups[RPC_GROUPS_MAX];
	uint32_t group_count;
	struct xdr_bytes machine;
};

struct rpc_call {
	uint32_t xid, version, program, program_version, procedure;
	struct rpc_credential credential;
};

/* What became of reading a call. */
enum rpc_verdict {
	RPC_OK,
	RPC_NO_CALL,     /* cut, or no call: it gets no answer, and the connection ends */
	RPC_BAD_VERSION, /* of RPC itself */
	RPC_BAD_CREDENTIAL,
	RPC_WEAK_FLAVOR /* a flavor that is not known here */
};

/* Reads a call's header; the arguments follow in x. With RPC_NO_CALL only *call's xid is of worth, if
 * anything.
 */
enum rpc_verdict rpc_call_read(struct xdr *x, struct rpc_call *call);

/* Writes one (AUTH_NONE or AUTH_SYS), without a record mark; the arguments go behind it. */
void rpc_call_write(struct buffer *out, struct rpc_call *call);

/* Headers of replies; results go behind that of SUCCESS. low and high: the versions of PROG_MISMATCH. */
void rpc_reply_accepted(
	struct buffer *out, uint32_t xid, enum rpc_accept status, uint32_t low, uint32_t high);
/* The answer to what rpc_call_read() did not take. */
void rpc_reply_denied(struct buffer *out, uint32_t xid, enum rpc_verdict why);

struct rpc_reply {
	uint32_t xid;
	bool denied;
	uint32_t status;    /* enum rpc_accept; where denied: 0 the RPC version, 1 authentication */
	uint32_t why;       /* enum rpc_auth_status */
	uint32_t low, high; /* versions */
};

/* Reads a reply's header; what SUCCESS brings follows in x. False: cut, or no reply. */
bool rpc_reply_read(struct xdr *x, struct rpc_reply *reply);

/* ---- records ---------------------------------------------------------------------------------------- */

/* A record in one fragment: begin before the first byte, end behind the last. begin gives the place that
 * end needs. behind: bytes of it that follow, but are not in the buffer. */
size_t rpc_record_begin(struct buffer *out);
void rpc_record_end(struct buffer *out, size_t begun, size_t behind);

#define RPC_READ_AHEAD 8192u

/* Collects bytes and gives whole records. Memory is bounded by `most` and what has come: a hostile length
 * costs nothing. A zeroed reader with `most` set is ready. */
struct rpc_reader {
	size_t most;          /* bytes of a record */
	struct buffer record; /* the fragments so far */
	uint32_t left;        /* bytes of the fragment that have not come */
	bool in_fragment, last;
	uint8_t ahead[RPC_READ_AHEAD];
	size_t at, filled; /* in `ahead` */
	bool direct;       /* rpc_reader_space() gave room in `record` */
};

void rpc_reader_free(struct rpc_reader *r);

/* Where to read(2) to and how much; then rpc_reader_filled(). Only when rpc_reader_next() gave 0. NULL: out
 * of memory. */
uint8_t *rpc_reader_space(struct rpc_reader *r, size_t *n);
void rpc_reader_filled(struct rpc_reader *r, size_t n);

/* 1: *record, empty before, owns the next record; 0: more bytes are needed; -1: it is over `most`, or memory
 * is out, and the connection must end. */
int rpc_reader_next(struct rpc_reader *r, struct buffer *record);
