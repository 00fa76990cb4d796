/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NFS version 3 and its MOUNT protocol (RFC 1813): the arguments and results of all procedures. One
 * description of each serves both ways (codec/xdr.h): a server reads arguments and writes results, a client
 * the other way round.
 *
 * One struct holds the arguments of every procedure and one the results; which members a procedure has is
 * said by the tables in nfs3.c, in the words of the RFC's section 3.3. Bytes that were read point into the
 * input.
 */
#pragma once

#include "codec/xdr.h"

#define NFS3_PROGRAM       100003u
#define NFS3_VERSION       3u
#define MOUNT3_PROGRAM     100005u
#define MOUNT3_VERSION     3u
#define NFS3_HANDLE_MAX    64u
#define NFS3_VERIFIER_SIZE 8u
#define NFS3_DATA_MAX      (1u << 20)
#define NFS3_NAME_MAX      4096u /* longer ones are no XDR that is taken here; names over 255 bytes are read */
#define NFS3_PATH_MAX      8192u
#define MOUNT3_PATH_MAX    1024u

/* number, name */
#define NFS3_PROCEDURES(X) \
	X(0, NULL) \
	X(1, GETATTR) \
	X(2, SETATTR) \
	X(3, LOOKUP) \
	X(4, ACCESS) \
	X(5, READLINK) \
	X(6, READ) \
	X(7, WRITE) \
	X(8, CREATE) \
	X(9, MKDIR) \
	X(10, SYMLINK) \
	X(11, MKNOD) \
	X(12, REMOVE) \
	X(13, RMDIR) \
	X(14, RENAME) \
	X(15, LINK) \
	X(16, READDIR) \
	X(17, READDIRPLUS) \
	X(18, FSSTAT) \
	X(19, FSINFO) \
	X(20, PATHCONF) \
	X(21, COMMIT)

enum nfs3_procedure {
#define X(number, name) NFS3_##name = number,
	NFS3_PROCEDURES(X)
#undef X
		NFS3_PROCEDURE_COUNT
};

enum mount3_procedure {
	MOUNT3_NULL,
	MOUNT3_MNT,
	MOUNT3_DUMP,
	MOUNT3_UMNT,
	MOUNT3_UMNTALL,
	MOUNT3_EXPORT,
	MOUNT3_PROCEDURE_COUNT
};

/* Section 2.6; MOUNT's have the same numbers. */
enum nfs3_status {
	NFS3_OK = 0,
	NFS3ERR_PERM = 1,
	NFS3ERR_NOENT = 2,
	NFS3ERR_IO = 5,
	NFS3ERR_NXIO = 6,
	NFS3ERR_ACCES = 13,
	NFS3ERR_EXIST = 17,
	NFS3ERR_XDEV = 18,
	NFS3ERR_NODEV = 19,
	NFS3ERR_NOTDIR = 20,
	NFS3ERR_ISDIR = 21,
	NFS3ERR_INVAL = 22,
	NFS3ERR_FBIG = 27,
	NFS3ERR_NOSPC = 28,
	NFS3ERR_ROFS = 30,
	NFS3ERR_MLINK = 31,
	NFS3ERR_NAMETOOLONG = 63,
	NFS3ERR_NOTEMPTY = 66,
	NFS3ERR_DQUOT = 69,
	NFS3ERR_STALE = 70,
	NFS3ERR_REMOTE = 71,
	NFS3ERR_BADHANDLE = 10001,
	NFS3ERR_NOT_SYNC = 10002,
	NFS3ERR_BAD_COOKIE = 10003,
	NFS3ERR_NOTSUPP = 10004,
	NFS3ERR_TOOSMALL = 10005,
	NFS3ERR_SERVERFAULT = 10006,
	NFS3ERR_BADTYPE = 10007,
	NFS3ERR_JUKEBOX = 10008
};

enum nfs3_type { NF3REG = 1, NF3DIR, NF3BLK, NF3CHR, NF3LNK, NF3SOCK, NF3FIFO };

struct nfs3_handle {
	uint32_t size;
	uint8_t bytes[NFS3_HANDLE_MAX];
};

struct nfs3_time {
	uint32_t seconds, nanoseconds;
};

struct nfs3_attributes { /* fattr3 */
	uint32_t type, mode, links, uid, gid;
	uint64_t size, used;
	uint32_t major, minor;
	uint64_t fsid, fileid;
	struct nfs3_time atime, mtime, ctime;
};

struct nfs3_post { /* post_op_attr */
	bool there;
	struct nfs3_attributes a;
};

struct nfs3_wcc {    /* wcc_data */
	bool before; /* the next three are there: of before the change */
	uint64_t size;
	struct nfs3_time mtime, ctime;
	struct nfs3_post after;
};

enum nfs3_set_time { NFS3_DONT_CHANGE, NFS3_SERVER_TIME, NFS3_CLIENT_TIME };

struct nfs3_set { /* sattr3 */
	bool set_mode, set_uid, set_gid, set_size;
	uint32_t mode, uid, gid;
	uint64_t size;
	uint32_t set_atime, set_mtime; /* enum nfs3_set_time */
	struct nfs3_time atime, mtime;
};

enum nfs3_access {
	NFS3_ACCESS_READ = 1,
	NFS3_ACCESS_LOOKUP = 2,
	NFS3_ACCESS_MODIFY = 4,
	NFS3_ACCESS_EXTEND = 8,
	NFS3_ACCESS_DELETE = 16,
	NFS3_ACCESS_EXECUTE = 32
};

enum nfs3_stable { NFS3_UNSTABLE, NFS3_DATA_SYNC, NFS3_FILE_SYNC };
enum nfs3_create { NFS3_UNCHECKED, NFS3_GUARDED, NFS3_EXCLUSIVE };

struct nfs3_arguments {
	struct nfs3_handle object; /* or the directory of `name` */
	struct xdr_bytes name;
	struct nfs3_handle to; /* RENAME and LINK: the new name's directory */
	struct xdr_bytes to_name;
	struct nfs3_set set;
	bool guarded; /* SETATTR: only where the ctime is `guard` */
	struct nfs3_time guard;
	uint32_t access;
	uint64_t offset; /* READ, WRITE, COMMIT */
	uint32_t count;
	uint32_t stable; /* enum nfs3_stable */
	struct xdr_bytes data;
	uint32_t how;                         /* enum nfs3_create */
	uint8_t verifier[NFS3_VERIFIER_SIZE]; /* of an exclusive CREATE, or of a cookie */
	struct xdr_bytes target;
	uint32_t type; /* MKNOD */
	uint32_t major, minor;
	uint64_t cookie;
	uint32_t directory_count, most; /* READDIRPLUS: dircount and maxcount; READDIR: most is its count */
};

struct nfs3_space { /* FSSTAT */
	uint64_t bytes, free_bytes, available_bytes, files, free_files, available_files;
	uint32_t invariant; /* seconds */
};

struct nfs3_properties { /* FSINFO */
	uint32_t read_max, read_best, read_multiple, write_max, write_best, write_multiple, directory_best;
	uint64_t file_max;
	struct nfs3_time time_step;
	uint32_t can; /* NFS3_CAN_… */
};
#define NFS3_CAN_LINK        0x1u
#define NFS3_CAN_SYMLINK     0x2u
#define NFS3_CAN_HOMOGENEOUS 0x8u
#define NFS3_CAN_SET_TIME    0x10u

struct nfs3_limits { /* PATHCONF */
	uint32_t link_max, name_max;
	bool no_truncation, chown_restricted, case_insensitive, case_preserving;
};

struct nfs3_results {
	uint32_t status;
	struct nfs3_post object;    /* the object's post-op attributes; of READDIR the directory's */
	struct nfs3_post directory; /* LOOKUP */
	struct nfs3_wcc wcc;        /* of the object, or of the directory that was changed */
	struct nfs3_wcc to_wcc;     /* RENAME: of the other one */
	bool has_handle;
	struct nfs3_handle handle;
	uint32_t access;
	struct xdr_bytes data; /* READ's, or READLINK's target */
	bool behind;           /* of READ's only the length is written; a multiple of 4 */
	uint32_t count;
	bool end; /* of the file, or of the list */
	uint32_t stable;
	uint8_t verifier[NFS3_VERIFIER_SIZE];
	struct xdr_bytes entries; /* as nfs3_code_entry() wrote them */
	struct nfs3_space space;
	struct nfs3_properties properties;
	struct nfs3_limits limits;
};

struct nfs3_entry {
	uint64_t fileid;
	struct xdr_bytes name;
	uint64_t cookie;
	struct nfs3_post attributes; /* these only READDIRPLUS has */
	bool has_handle;
	struct nfs3_handle handle;
};

#define NFS3_ATTRIBUTES_SIZE 84u /* bytes of fattr3 */
/* What stands before the data of a successful READ whose attributes are there: status, attributes, count, end
 * of file, length. */
#define NFS3_READ_PREFIX (4 + 4 + NFS3_ATTRIBUTES_SIZE + 4 + 4 + 4)

/* procedure: below NFS3_PROCEDURE_COUNT. Whoever reads asks xdr_done() (arguments) or xdr_failed()
 * afterwards. */
void nfs3_code_arguments(struct xdr *x, uint32_t procedure, struct nfs3_arguments *a);
void nfs3_code_results(struct xdr *x, uint32_t procedure, struct nfs3_results *r);

/* One entry with the word before it that says there is one. When reading, false at the list's end (and where
 * it failed). */
bool nfs3_code_entry(struct xdr *x, bool plus, struct nfs3_entry *e);

void nfs3_code_attributes(struct xdr *x, struct nfs3_attributes *a);
void nfs3_code_handle(struct xdr *x, struct nfs3_handle *h);

/* MOUNT: the path of MNT and UMNT; MNT's results. A path without a NUL, as it came. */
void mount3_code_path(struct xdr *x, struct xdr_bytes *path);
void mount3_code_mounted(struct xdr *x, uint32_t *status, struct nfs3_handle *handle, uint32_t *flavor);
