/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the agent's protocol, one X-macro table as the one source for codes, names and
 * docs/formats/agent.md. Payloads are written with buffer_* and read with a cursor: each message has an
 * _encode and a _decode. Decoders reject what is cut, what has bytes left over, and what breaks a bound.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define AGENT_PROTOCOL_VERSION 6
#define AGENT_PORT_NAME        "org.monocore.agent"
#define VOLUMES_PORT_NAME      "org.monocore.volumes" /* codec/volume.h */

/* Bytes a sender may have under way per channel of a stream before it needs CREDIT; each direction of a
 * channel starts with this much. */
#define STREAM_WINDOW (256 * 1024)

#define MESSAGES(X) \
	/* name, code, who sends it (H host, A agent, B both), meaning */ \
	X(HELLO, 1, A, "the agent is up: struct message_hello") \
	X(SETUP, 2, H, "identity, clock, entropy, root file system: struct message_setup") \
	X(READY, 3, A, "SETUP is done: u64 nanoseconds of guest monotonic clock") \
	X(ERROR, 4, A, "the stream (or on stream 0 SETUP) failed and is over: struct message_error") \
	X(EXEC, 5, H, "opens a stream: start a process: struct message_exec") \
	X(STARTED, 6, A, "the process runs: u32 guest pid") \
	X(DATA, 7, B, "bytes of a channel") \
	X(CREDIT, 8, B, "the receiver of a channel took u32 more bytes") \
	X(END, 9, B, "the sender of a channel is done") \
	X(CLOSE, 10, B, "the receiver of a channel wants no more (the writer gets EPIPE)") \
	X(SIGNAL, 11, H, "u32 signal number for the process (its process group's leader on a tty)") \
	X(RESIZE, 12, H, "u16 rows, u16 columns of the terminal") \
	X(EXITED, 13, A, "the process ended and the stream is over: struct message_exited") \
	X(GET, 14, H, \
		"opens a stream: string path; the tree there comes as a tar on CHANNEL_OUT, then DONE") \
	X(PUT, 15, H, \
		"opens a stream: string directory, u32 flags; a tar on CHANNEL_IN; DONE behind its END") \
	X(READ, 16, H, "opens a stream: string path; the file's bytes on CHANNEL_OUT, then DONE") \
	X(WRITE, 17, H, "opens a stream: string path, u32 mode; bytes on CHANNEL_IN; DONE behind their END") \
	X(STAT, 18, H, "opens a stream: string path, u8 follow; answered by one ENTRY and DONE") \
	X(LIST, 19, H, "opens a stream: string directory; answered by an ENTRY a name and DONE") \
	X(ENTRY, 20, A, "struct message_entry") \
	X(DONE, 21, A, "the stream succeeded and is over") \
	X(METRICS, 22, H, "opens a stream: what the guest uses") \
	X(USAGE, 23, A, "the answer to METRICS, and the stream is over: struct message_usage") \
	X(SHUTDOWN, 24, H, "end all processes, sync, unmount, reset the VM: struct message_shutdown") \
	X(PING, 25, H, "liveness: u64 cookie") \
	X(PONG, 26, A, "the answer to PING: the same cookie") \
	X(CLOCK, 27, H, "u64 nanoseconds since 1970: what the guest's clock should show") \
	X(UPPER, 28, H, \
		"opens a stream: u8 freeze, u32 upper; the sandbox's changes, or those of a staged volume, " \
		"come as a tar on CHANNEL_OUT, then DONE") \
	X(REMOVE, 29, H, "opens a stream: string path, u32 upper; what is there is removed, then DONE") \
	X(NETWORK, 30, H, "u8 number of a network of SETUP, u8 up: its interface is set up, or down") \
	X(QUIET, 31, H, \
		"opens a stream: the processes stand still, then DONE, and nothing is said behind it until " \
		"GO_ON or " \
		"WAKE") \
	X(GO_ON, 32, H, "what QUIET held goes on") \
	X(WAKE, 33, H, \
		"in place of GO_ON, in a copy of the machine: as SETUP, of which it takes what is its own " \
		"(identity, clock, entropy, addresses); READY")

enum message_type {
#define X(name, code, sender, meaning) MESSAGE_##name = code,
	MESSAGES(X)
#undef X
};

const char *message_name(uint16_t type); /* "HELLO"; "?" where there is none */

/* The payloads that are one number: READY, PING/PONG and CLOCK (u64), STARTED, CREDIT and SIGNAL (u32). */
void message_u64_encode(uint64_t value, struct buffer *out);
int message_u64_decode(struct cursor in, uint64_t *value, struct error *err);
void message_u32_encode(uint32_t value, struct buffer *out);
int message_u32_decode(struct cursor in, uint32_t *value, struct error *err);

/* RESIZE */
struct message_resize {
	uint16_t rows, columns;
};
void message_resize_encode(const struct message_resize *m, struct buffer *out);
int message_resize_decode(struct cursor in, struct message_resize *m, struct error *err);

/* SHUTDOWN: TERM to all processes, `milliseconds` later (0: at once) KILL; then the disk is synced and
 * unmounted and the VM resets. With `discard` nobody wants the disk any more: reset at once. */
struct message_shutdown {
	uint32_t milliseconds;
	bool discard;
};
void message_shutdown_encode(const struct message_shutdown *m, struct buffer *out);
int message_shutdown_decode(struct cursor in, struct message_shutdown *m, struct error *err);

#define MESSAGE_PATH_MAX 4095

enum put_flags {
	PUT_KEEP_OWNERS = 1,      /* uid and gid of the tar; else all is root's */
	PUT_KEEP_DIRECTORIES = 2, /* a non-directory never replaces a directory, nor the other way round */
};

/* GET, PUT, READ, WRITE, STAT and LIST: a path in the sandbox, absolute or from /, of 1 to MESSAGE_PATH_MAX
 * bytes, and what the type adds to it: PUT u32 put_flags, WRITE u32 mode, STAT u8 follow (0 or 1). UPPER has
 * no path: u8 freeze (0 or 1), whether processes stand still meanwhile. UPPER and REMOVE end with the number
 * of a staged volume in SETUP's list of mounts, whose changes are meant; or UPPER_ROOT: those of the root
 * (UPPER), the sandbox as its processes see it (REMOVE). */
#define UPPER_ROOT UINT32_MAX
struct message_request {
	char *path;      /* NULL for UPPER */
	uint32_t option; /* flags, mode, follow or freeze; 0 where the type has none */
	uint32_t upper;  /* UPPER and REMOVE; else 0 */
};
void message_request_encode(uint16_t type, const struct message_request *m, struct buffer *out);
int message_request_decode(uint16_t type, struct cursor in, struct message_request *m, struct error *err);
void message_request_free(struct message_request *m);

/* HELLO: sent once, when the guest has booted. A template stores it; its clones do not send it again. */
struct message_hello {
	uint16_t version;
	char *kernel;  /* uname -r */
	char *missing; /* file systems asked for in docs/engines.md that this kernel lacks: "erofs,fuse"; ""
			  none */
};
void message_hello_encode(const struct message_hello *m, struct buffer *out);
int message_hello_decode(struct cursor in, struct message_hello *m, struct error *err);
void message_hello_free(struct message_hello *m);

#define SETUP_ENTROPY_MAX 1024

enum mount_flags {
	MOUNT_READ_ONLY = 1,
	MOUNT_STAGED =
		2, /* read-only, and an overlay over it that takes what is written; not with READ_ONLY */
	MOUNT_VIRTIOFS = 4, /* by virtiofs, under the tag of its place in the list (codec/volume.h) */
	MOUNT_NFS = 8,   /* by the guest's NFS client and the port of volumes; neither STAGED nor VIRTIOFS */
	MOUNT_FILE = 16, /* its root is a regular file; neither STAGED, VIRTIOFS nor NFS */
	MOUNT_FILL = 32, /* it is new, and gets what the sandbox's root has at its path */
	MOUNT_ROOT = 64 /* with MOUNT_VIRTIOFS: the sandbox's root, or with read_only what is below its upper;
			 * path is "/" */
};

struct message_mount {
	char *path; /* absolute; made where it is missing */
	uint32_t flags;
};

#define NETWORKS_MAX 8

/* An interface: that which has the MAC already, or MESSAGE_NETWORK_MAC with the network's number as the last
 * byte. Addresses in host order. */
#define MESSAGE_NETWORK_MAC 0x52, 0x4d, 0, 0, 0
#define MESSAGE_NETWORK_MTU 65520 /* of such an interface from its boot on */
struct message_network {
	uint8_t mac[6];
	uint32_t address;
	uint8_t bits;     /* of the subnet, 8 to 30 */
	uint32_t gateway; /* in the subnet; 0: no default route goes this way */
	uint16_t mtu;     /* 576 to 65,520 */
	bool up;          /* false: it has all this, and is down until NETWORK sets it up */
};

/* SETUP: everything before the first process, in one message. */
struct message_setup {
	const uint8_t *entropy; /* credited with RNDADDENTROPY; decode: points into the payload */
	size_t entropy_size;    /* 32 to SETUP_ENTROPY_MAX bytes */
	uint64_t realtime;      /* nanoseconds since 1970 */
	char *hostname;
	char *machine_id; /* 32 hex digits */
	char *boot_id;    /* UUID text */
	char *root_type;  /* "erofs" or "ext4": what /dev/vda holds, mounted read-only */
	bool disk;        /* /dev/vdb is the ext4 of the upper and of staged volumes; false: a tmpfs is */
	bool read_only;   /* no upper at all */
	bool upper_only; /* UPPER is all that is asked for: the disk is mounted read-only, there is no root */
	uint32_t pids;   /* most processes of the sandbox (cgroup pids.max); 0: no limit */
	char *hosts;     /* contents of /etc/hosts; "": leave the image's */
	char *resolv_conf;
	char **volumes;               /* directories made (with their parents) when the image lacks them */
	struct message_mount *mounts; /* volumes of the host's, mounted in this order */
	uint32_t mount_count;         /* at most VOLUMES_MAX, and the root as the last */
	struct message_network *networks;
	uint32_t network_count; /* at most NETWORKS_MAX */
};
void message_setup_encode(const struct message_setup *m, struct buffer *out);
int message_setup_decode(struct cursor in, struct message_setup *m, struct error *err);
void message_setup_free(struct message_setup *m);

/* NETWORK */
struct message_network_switch {
	uint8_t number;
	bool up;
};
void message_network_switch_encode(const struct message_network_switch *m, struct buffer *out);
int message_network_switch_decode(struct cursor in, struct message_network_switch *m, struct error *err);

/* ERROR: why a stream failed. */
struct message_error {
	uint32_t code; /* enum error_code */
	char *text;
};
void message_error_encode(const struct message_error *m, struct buffer *out);
int message_error_decode(struct cursor in, struct message_error *m, struct error *err);
void message_error_free(struct message_error *m);
/* The other side's error becomes ours: *err gets its code and text. Returns the negative code; INVALID: it is
 * malformed. */
int message_error_read(struct cursor in, struct error *err);

enum exec_flags {
	EXEC_TTY = 1,        /* a pty is the process's terminal; its output is on CHANNEL_OUT */
	EXEC_STDIN = 2,      /* CHANNEL_IN is connected; else standard input is /dev/null */
	EXEC_MAIN = 4,       /* the sandbox's main process */
	EXEC_DEFAULT_ENV = 8 /* set HOME (of the user), PATH, TERM (tty) and HOSTNAME where env lacks them */
};

struct message_rlimit {
	uint32_t resource; /* RLIMIT_* of the Linux ABI */
	uint64_t soft, hard;
};

struct message_exec {
	uint32_t flags;
	char **argv; /* argv[0] is looked up in env's PATH */
	char **env;
	char *workdir; /* "": /; made when missing, as docker does */
	char *user;    /* "", "name", "uid", "name:group", "uid:gid" … of the image's passwd and group */
	uint16_t rows, columns;
	struct message_rlimit *rlimits;
	uint32_t rlimit_count; /* at most 16 */
};
void message_exec_encode(const struct message_exec *m, struct buffer *out);
int message_exec_decode(struct cursor in, struct message_exec *m, struct error *err);
void message_exec_free(struct message_exec *m);

struct message_exited {
	uint32_t code;   /* exit status, or 0 where a signal ended it */
	uint32_t signal; /* 0, or the signal */
	bool out_of_memory;
	bool staged; /* of the main process: something lies in the upper of a staged volume */
};
void message_exited_encode(const struct message_exited *m, struct buffer *out);
int message_exited_decode(struct cursor in, struct message_exited *m, struct error *err);

struct message_entry {
	char *name;    /* base name (LIST), or the path asked for (STAT) */
	uint32_t mode; /* st_mode, with the type */
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime; /* seconds */
	uint32_t mtime_nanoseconds;
	char *link; /* target of a symbolic link, or "" */
};
void message_entry_encode(const struct message_entry *m, struct buffer *out);
int message_entry_decode(struct cursor in, struct message_entry *m, struct error *err);
void message_entry_free(struct message_entry *m);

struct message_usage {
	uint64_t cpu_nanoseconds;                /* busy time of all cpus since the SETUP */
	uint64_t memory_total, memory_available; /* bytes */
	uint64_t disk_total, disk_free;          /* bytes of the upper's file system */
	uint64_t disk_read, disk_written;        /* bytes since the SETUP, all block devices */
	uint64_t net_received, net_sent;         /* bytes, all interfaces but lo */
	uint32_t processes;
	uint32_t load_milli; /* 1-minute load average * 1000 */
};
void message_usage_encode(const struct message_usage *m, struct buffer *out);
int message_usage_decode(struct cursor in, struct message_usage *m, struct error *err);
