/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmonocore: run code in microVM sandboxes from a C program.
 *
 *     struct monocore_error err;
 *     struct monocore *mc;
 *     struct monocore_sandbox_options options = MONOCORE_SANDBOX_OPTIONS_INIT;
 *     const char *argv[] = { "echo", "hello", NULL };
 *
 *     options.image = "oci:./image";
 *     options.command = argv;
 *     options.discard = true;
 *     if (monocore_open(NULL, &mc, &err) < 0 ||
 *         monocore_create(mc, &options, &name, &err) < 0 ||
 *         monocore_start(mc, name, &attach, &process, &err) < 0 || …
 *
 * Conventions. Every call that can fail returns 0 or a negative number and fills *err (which may be NULL).
 * What a call gives out through a pointer to a pointer is the caller's, released by the function named
 * beside it. Option structs start with `version` and are set up by their _INIT macro, so that a program
 * built against an older header goes on working. Strings are UTF-8 or plain bytes, NUL-terminated; paths in
 * a sandbox are absolute. Durations are in nanoseconds, sizes in bytes. A struct monocore may be shared by
 * threads; a struct monocore_process belongs to one at a time. No call installs signal handlers or changes
 * the process's environment, working directory or umask.
 */
#ifndef MONOCORE_H
#define MONOCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MONOCORE_API __attribute__((visibility("default")))

struct monocore;
struct monocore_process;

struct monocore_error {
	int code;        /* one of the numbers of enum monocore_code */
	char text[1024]; /* one line: what was being done, to what, what to do next */
};

enum monocore_code {
	MONOCORE_OK = 0,
	MONOCORE_SYSTEM = 1,
	MONOCORE_NO_MEMORY = 2,
	MONOCORE_USAGE = 3,
	MONOCORE_INVALID = 4,
	MONOCORE_NOT_FOUND = 5,
	MONOCORE_EXISTS = 6,
	MONOCORE_BUSY = 7,
	MONOCORE_DENIED = 8,
	MONOCORE_LIMIT = 9,
	MONOCORE_TIMEOUT = 10,
	MONOCORE_UNAVAILABLE = 11,
	MONOCORE_CORRUPT = 12,
	MONOCORE_NO_SPACE = 13,
	MONOCORE_CLOSED = 14,
	MONOCORE_START = 15,
	MONOCORE_CANNOT_EXECUTE = 16,
	MONOCORE_NO_COMMAND = 17
};

MONOCORE_API const char *monocore_version(void);      /* "0.1.0" */
MONOCORE_API int monocore_exit_status(int code);      /* what the CLI exits with for a code */
MONOCORE_API void monocore_free(void *memory);        /* strings and byte blocks given out */
MONOCORE_API void monocore_free_strings(char **list); /* NULL-terminated lists given out */

/* Progress of what takes longer: called from one thread at a time, not always the one that made the call, at
 * most every 50 ms a task and once more with `finished`. total is 0 where it is not known. A task is "layer
 * 1a2b3c4d5e6f" of a pull, "root file system", "template" and the like. */
struct monocore_progress {
	void (*report)(void *context, const char *task, const char *unit, uint64_t done, uint64_t total,
		bool finished);
	void *context;
};

struct monocore_open_options {
	unsigned version;
	const char *home; /* NULL: $MONOCORE_HOME, else ~/.monocore */
	struct monocore_progress progress;
};
#define MONOCORE_OPEN_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Opens the state directory, making it (mode 0700) where it is missing, and sweeps away what killed
 * processes left behind. A home that another user owns is DENIED. options may be NULL. */
MONOCORE_API int monocore_open(
	const struct monocore_open_options *options, struct monocore **mc, struct monocore_error *err);
MONOCORE_API void monocore_close(struct monocore *mc); /* sandboxes go on running */
MONOCORE_API const char *monocore_home(const struct monocore *mc);

/* ---- sandboxes ---- */

struct monocore_rlimit {
	const char *name;    /* as `docker run --ulimit` has it: "nofile", "core", "nproc", … */
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
};

enum monocore_pull { MONOCORE_PULL_MISSING, MONOCORE_PULL_ALWAYS, MONOCORE_PULL_NEVER };

struct monocore_sandbox_options {
	unsigned version;
	const char *image; /* a name, as docker has it, "oci:DIR", "docker-archive:FILE", "rootfs:DIR", or a
			    * path; see monocore(1) */
	const char *
		script; /* of the image's label dev.monocore.scripts; "start": Entrypoint + Cmd; NULL: none */
	const char *name;           /* [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most 63 bytes; NULL: one is made up */
	const char *const *command; /* NULL-terminated, replaces Cmd; NULL: the image's */
	const char *const
		*entrypoint;       /* replaces Entrypoint and drops Cmd; {NULL}: none; NULL: the image's */
	const char *shell_command; /* run by /bin/sh -c in place of entrypoint and command; NULL: none */
	const char *const *env;    /* "KEY=value", over the image's */
	const char *const *labels; /* "key=value" */
	const char *workdir, *user, *hostname, *stop_signal; /* NULL: the image's (hostname: the name) */
	const char *platform;                                /* NULL: this host's */
	const char *engine;                                  /* "auto", "qemu", "krun"; NULL: auto */
	unsigned cpus;                                       /* 0: 1 */
	uint64_t memory;                                     /* bytes; 0: 512 MiB */
	uint64_t disk;                                       /* bytes of the writable disk; 0: 10 GiB */
	uint32_t pids;                                       /* most processes; 0: 4,096 */
	const struct monocore_rlimit *rlimits;
	size_t rlimit_count;
	bool tty;                /* the main process gets a terminal */
	bool stdin_open;         /* the main process's standard input is connected */
	bool read_only;          /* the root file system cannot be written */
	bool discard;            /* removed when it stops */
	bool no_template;        /* boot instead of cloning a template */
	bool unconfined;         /* start even where the host cannot confine the engine */
	enum monocore_pull pull; /* of an image that a registry has */
	bool plain_http;         /* allowed to that registry */
	/* Volumes: "SOURCE:PATH[:OPTION[,OPTION]...]". SOURCE is a directory or file of this host, where it
	 * begins with
	 * "/", "./", "../" or "~" (or is "." or ".."), else the name of a volume that monocore keeps and
	 * makes at its first use. PATH is where it is in the sandbox. Options: ro, rw (the default), squash
	 * (owners that are set inside are not kept), nocopy (a new volume of monocore's is not filled with
	 * what the image has at PATH), stage (what is written stays in the sandbox until
	 * monocore_volume_apply()). NULL-terminated; NULL: none */
	const char *const *volumes;
	/* Files of this host that the sandbox cannot change, whatever volume they lie in, nor make where they
	 * are not there: absolute paths, without links on the way to the last name. NULL-terminated; NULL:
	 * none. The configuration of each project that a volume reaches is among them by itself: of those in
	 * whose directory, or below which, it lies, and of those in it that something was made of. */
	const char *const *guarded;
	/* How they come into the sandbox: "fuse" (NULL), or "virtiofs": faster, but the machine boots where
	 * others are cloned, and only the engine qemu has it. */
	const char *volume_driver;
	/* Networks. The groups that it is in, at most 8, "NAME" or "NAME:ADDRESS"; the first has the default
	 * route, DNS and the ports. NULL: alone in one of its own. Sandboxes of a group see each other by
	 * their names and by `aliases`. */
	const char *const *groups, *const *aliases;
	const char *ip, *subnet;    /* its address in the first group, and that group's network; NULL: any */
	const char *const *subnets; /* of the groups, in the same places; "": any. NULL: all any */
	const char *reach;          /* "none", "local", "public", "any"; NULL: public */
	/* Rules beside reach: TARGET[:PORT[-PORT]][/tcp|udp|icmp], where TARGET is an address or network, a
	 * domain, *.domain, host.internal, or *. */
	const char *const *allow, *const *deny;
	/* Ports of the host that lead to it: [ADDRESS:][HOST:]GUEST[/tcp|udp][,proxy=1|,proxy=2], ranges too;
	 * HOST 0, or none: the host chooses; ADDRESS: 127.0.0.1 where none is given. One that is in use fails
	 * the start: EXISTS. */
	const char *const *ports;
	uint64_t bandwidth; /* bytes a second in each direction; 0: no limit */
	/* "disk" (NULL): what the sandbox writes goes to a disk of its own; "overlay": into a directory of
	 * this host, over virtiofs. */
	const char *rootfs;
	/* When its machine is started again after the main process has ended, on the same disk: "no" (NULL),
	 * "on-failure" or "on-failure:N" (where its exit status is not 0, N times at most), "always" and
	 * "unless-stopped". Before each try 100 ms pass, twice as much as before up to a minute, until it has
	 * run for 10 s; monocore_stop() ends it. Not with discard. "always" and
	 * "unless-stopped" differ in monocore_sandbox_info.recovers alone. */
	const char *restart;
	/* A command that is run inside again and again: status 0 is good. NULL: the image's HEALTHCHECK;
	 * {NULL}: none. */
	const char *const *health_command;
	/* Between two of them, until one is given up, and until failures count; 0: the image's, or 30 s, 30 s
	 * and 0. Until the first good one it is run sooner. */
	uint64_t health_interval, health_timeout, health_start_period;
	unsigned health_retries; /* failures in a row until it is unhealthy; 0: the image's, or 3 */
};
#define MONOCORE_SANDBOX_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Makes the sandbox's root file system where the store lacks it, and its directory and disk. It does not
 * run yet. *name is the caller's: monocore_free(). */
MONOCORE_API int monocore_create(struct monocore *mc, const struct monocore_sandbox_options *options,
	char **name, struct monocore_error *err);

struct monocore_exec_options {
	unsigned version;
	const char *const *command; /* NULL-terminated */
	const char *const *env;     /* over the sandbox's */
	const char *workdir, *user; /* NULL: the sandbox's */
	bool tty, stdin_open;
	bool detach; /* goes on when the connection closes; its output is dropped */
	uint16_t rows, columns;
};
#define MONOCORE_EXEC_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_attach_options {
	unsigned version;
	bool owner; /* the sandbox is stopped when this process ends or the connection closes; where it is
		     * started so, it is not restarted */
	uint16_t rows, columns; /* of the terminal, where the sandbox has one */
	/* Of monocore_start(): what runs this once in place of its own command, with what it needs; it is
	 * neither restarted nor checked for its health then. command NULL: its own command, but with these
	 * settings. detach, rows and columns do not count. NULL: all its own. */
	const struct monocore_exec_options *instead;
};
#define MONOCORE_ATTACH_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Starts a created or stopped sandbox. *process (may be NULL: detached) is the main process, its output
 * complete from the first byte; monocore_process_free(). Returns when the main process runs: a command
 * that is not there is NO_COMMAND, one that cannot be executed CANNOT_EXECUTE. attach may be NULL. */
MONOCORE_API int monocore_start(struct monocore *mc, const char *name,
	const struct monocore_attach_options *attach, struct monocore_process **process,
	struct monocore_error *err);

/* Attaches to the main process of a running sandbox; output from now on. */
MONOCORE_API int monocore_attach(struct monocore *mc, const char *name,
	const struct monocore_attach_options *attach, struct monocore_process **process,
	struct monocore_error *err);

/* One more process in a running sandbox. */
MONOCORE_API int monocore_exec(struct monocore *mc, const char *name,
	const struct monocore_exec_options *options, struct monocore_process **process,
	struct monocore_error *err);

/* Ends the main process with the image's stop signal, after `grace` nanoseconds with SIGKILL, and stops the
 * sandbox. UINT64_MAX: 10 s. One that is stopped already is no error. */
MONOCORE_API int monocore_stop(
	struct monocore *mc, const char *name, uint64_t grace, struct monocore_error *err);
MONOCORE_API int monocore_kill(struct monocore *mc, const char *name, int signal, struct monocore_error *err);
MONOCORE_API int monocore_pause(struct monocore *mc, const char *name, struct monocore_error *err);
MONOCORE_API int monocore_resume(struct monocore *mc, const char *name, struct monocore_error *err);
MONOCORE_API int monocore_restart(struct monocore *mc, const char *name, uint64_t grace,
	struct monocore_error *err); /* comes up detached */
/* Waits until it has stopped; of one that is started again, until its main process has ended. *exit_status:
 * 0-255, 128+N where signal N ended it. */
MONOCORE_API int monocore_wait(
	struct monocore *mc, const char *name, int *exit_status, struct monocore_error *err);
/* Removes a stopped sandbox with its disk and log; force: stops a running one at once. */
MONOCORE_API int monocore_remove(
	struct monocore *mc, const char *name, bool force, struct monocore_error *err);

enum monocore_state {
	MONOCORE_CREATED,
	MONOCORE_STARTING,
	MONOCORE_RUNNING,
	MONOCORE_PAUSED,
	MONOCORE_STOPPED,
	MONOCORE_RESTARTING /* its main process has ended, and it will be started again */
};

struct monocore_sandbox_info {
	char *id, *name, *image, *command; /* command: one line, quoted for reading */
	char **labels;
	enum monocore_state state;
	uint64_t created, started, finished; /* nanoseconds since 1970; 0: not yet */
	int exit_status;                     /* of a stopped or restarting one */
	bool interrupted;                    /* stopped because its supervisor was killed */
	char *reason; /* why it stopped, where its exit status does not say it; or "" */
	char **groups,
		**addresses; /* the groups that it is in (one of its own: its id), its addresses there */
	char **ports;        /* as monocore_ports() */
	char *health; /* "starting", "healthy" or "unhealthy"; "": it does not run, or nothing is checked */
	uint64_t restarts; /* since somebody has started it */
	bool recovers;     /* it does not run, and its restart policy wants it once the host is up again */
	char *origin; /* what its machine began with when it was last started: "boot", "template", "snapshot"
		       * (a running state that was saved); "": it never was */
};
/* All sandboxes, oldest first; *list is the caller's: monocore_list_free(). */
MONOCORE_API int monocore_list(
	struct monocore *mc, struct monocore_sandbox_info **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_list_free(struct monocore_sandbox_info *list, size_t count);
MONOCORE_API const char *monocore_state_name(enum monocore_state state); /* "running" */

/* Everything about one sandbox as a JSON object; *json is the caller's. Names match by name, id, or a unique
 * prefix of the id (at least 4 digits), here and in every other call. */
MONOCORE_API int monocore_inspect(
	struct monocore *mc, const char *name, char **json, struct monocore_error *err);

/* ---- processes ---- */

enum monocore_channel { MONOCORE_IN = 0, MONOCORE_OUT = 1, MONOCORE_ERR = 2 };

struct monocore_event {
	enum { MONOCORE_EVENT_NONE, MONOCORE_EVENT_DATA, MONOCORE_EVENT_END, MONOCORE_EVENT_EXITED } type;
	enum monocore_channel channel; /* DATA, END: which output */
	const void *data;              /* DATA: valid until the next call on the process */
	size_t size;
	int exit_status; /* EXITED: 0-255, 128+N for signal N. The last event */
};

/* For an event loop of one's own: the descriptor to watch for reading, and what is there (never blocks;
 * type NONE: nothing yet). Data count as taken when the next call is made. */
MONOCORE_API int monocore_process_fd(const struct monocore_process *p);
MONOCORE_API int monocore_process_next(
	struct monocore_process *p, struct monocore_event *event, struct monocore_error *err);
/* Takes up to n bytes for standard input; *taken may be less: the rest when monocore_process_next() was
 * called after the descriptor became readable. */
MONOCORE_API int monocore_process_write(
	struct monocore_process *p, const void *data, size_t n, size_t *taken, struct monocore_error *err);
/* MONOCORE_IN: end of standard input. An output: the process gets EPIPE for it. */
MONOCORE_API int monocore_process_close(
	struct monocore_process *p, enum monocore_channel channel, struct monocore_error *err);
MONOCORE_API int monocore_process_signal(struct monocore_process *p, int signal, struct monocore_error *err);
MONOCORE_API int monocore_process_resize(
	struct monocore_process *p, uint16_t rows, uint16_t columns, struct monocore_error *err);
MONOCORE_API void monocore_process_free(struct monocore_process *p);

struct monocore_relay {
	unsigned version;
	int in, out, err; /* descriptors to relay, or -1 */
	int signals;      /* a signalfd: SIGWINCH resizes to the size of the terminal `out`, others are
			   * forwarded; or -1. After a SIGHUP of a terminal the process has no more
			   * input, and 5 s before the relay ends without it (with status 129) */
};
#define MONOCORE_RELAY_INIT \
	{ \
		.version = 1, .in = -1, .out = -1, .err = -1, .signals = -1 \
	}

/* Relays until the process has ended and all its output is written. An output whose reader is gone is closed
 * for the process, as in a shell's pipeline. */
MONOCORE_API int monocore_process_relay(struct monocore_process *p, const struct monocore_relay *relay,
	int *exit_status, struct monocore_error *err);

/* ---- files ---- */

struct monocore_file_info {
	char *name;
	uint32_t mode; /* st_mode, with the type */
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_nanoseconds;
	char *link; /* target of a symbolic link, or "" */
};
MONOCORE_API int monocore_file_read(struct monocore *mc, const char *name, const char *path, void **data,
	size_t *size, size_t limit, struct monocore_error *err); /* over `limit` bytes: LIMIT */
MONOCORE_API int monocore_file_write(struct monocore *mc, const char *name, const char *path,
	const void *data, size_t size, uint32_t mode, struct monocore_error *err);
MONOCORE_API int monocore_file_stat(struct monocore *mc, const char *name, const char *path, bool follow,
	struct monocore_file_info **info, struct monocore_error *err);
MONOCORE_API int monocore_file_list(struct monocore *mc, const char *name, const char *directory,
	struct monocore_file_info **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_file_list_free(struct monocore_file_info *list, size_t count);

/* Trees between host and sandbox, with the meaning of `docker cp`: source is copied to target, into it where
 * target is a directory; a source ending in "/." means its contents. What comes out of a sandbox is written
 * beneath target only, with the caller as owner, without setuid bits or devices. */
MONOCORE_API int monocore_copy_in(struct monocore *mc, const char *name, const char *source,
	const char *target, struct monocore_error *err);
MONOCORE_API int monocore_copy_out(struct monocore *mc, const char *name, const char *source,
	const char *target, struct monocore_error *err);
/* The same as tar streams: reads an archive from fd into a directory of the sandbox, or writes one to fd. */
MONOCORE_API int monocore_copy_in_tar(
	struct monocore *mc, const char *name, int fd, const char *directory, struct monocore_error *err);
MONOCORE_API int monocore_copy_out_tar(
	struct monocore *mc, const char *name, const char *source, int fd, struct monocore_error *err);

/* ---- logs ---- */

struct monocore_log_options {
	unsigned version;
	bool follow;           /* until the sandbox stops */
	uint64_t last;         /* only this many lines from the end; 0: all */
	uint64_t since, until; /* nanoseconds since 1970; 0: no bound */
	unsigned streams; /* bit MONOCORE_OUT, bit MONOCORE_ERR (1 << channel), bit 0: the system's; 0: all */
	const char *grep; /* POSIX extended regular expression, or NULL */
};
#define MONOCORE_LOG_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_log_line {
	uint64_t time;    /* nanoseconds since 1970 */
	unsigned stream;  /* MONOCORE_OUT, MONOCORE_ERR, or 0: the system's own lines */
	const void *data; /* with its newline, where the process wrote one */
	size_t size;
};
/* Calls `line` for each kept line, oldest first; a non-zero return ends it and is returned. Works on stopped
 * sandboxes too. */
MONOCORE_API int monocore_log(struct monocore *mc, const char *name,
	const struct monocore_log_options *options,
	int (*line)(void *context, const struct monocore_log_line *line), void *context,
	struct monocore_error *err);

/* ---- images and registries ---- */

struct monocore_pull_options {
	unsigned version;
	const char *platform; /* "linux/arm64"; NULL: this host's */
	bool plain_http;      /* allowed; without it to loopback only, or where registries.json says so */
};
#define MONOCORE_PULL_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_pulled {
	char *name;   /* canonical: "docker.io/library/alpine:3" */
	char *digest; /* of what it leads to: a manifest or an index */
	char *source; /* "https://registry-1.docker.io/library/alpine" */
	bool changed; /* it was not here, or led to something else */
};
MONOCORE_API void monocore_pulled_free(struct monocore_pulled *p);

/* Fetches what the registry has under a name, where it is not here already, and makes its root file system.
 * Many processes may pull the same: it is fetched once. What was fetched before a failure is kept for the
 * next try. "oci:DIR", "docker-archive:FILE" and the like are taken from there. */
MONOCORE_API int monocore_image_pull(struct monocore *mc, const char *name,
	const struct monocore_pull_options *options, struct monocore_pulled **pulled,
	struct monocore_error *err);

struct monocore_push_options {
	unsigned version;
	const char *platform; /* of an image for several: only this one; NULL: all that are here */
	bool plain_http;      /* allowed */
};
#define MONOCORE_PUSH_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_pushed {
	char *name;   /* canonical */
	char *digest; /* what it leads to at the registry now */
	bool partial; /* of an image for several platforms only one was pushed: the others are not here */
	uint64_t uploaded, mounted, there; /* blobs: sent, taken over from another repository, had already */
};
MONOCORE_API void monocore_pushed_free(struct monocore_pushed *p);

/* Sends the image that is here under a name to the registry of that name. */
MONOCORE_API int monocore_image_push(struct monocore *mc, const char *name,
	const struct monocore_push_options *options, struct monocore_pushed **pushed,
	struct monocore_error *err);

/* Images that are here, under names. An `image` below is what a user writes for one: a name as docker has it,
 * NAME@DIGEST, or the id or digest of one or a start of it that only one has, at least 4 digits. One that is
 * not here is NOT_FOUND, with what was probably meant. */
struct monocore_image_info {
	char *name;       /* canonical: "docker.io/library/alpine:3" */
	char *short_name; /* as docker shows it: "alpine:3" */
	char *id;         /* "sha256:…" of the config: the same content has the same; "": see platform */
	char *digest;     /* of what the name leads to: a manifest, or an index for several platforms */
	char *platform;   /* that id and root_size are of: this host's, else one that is here; "": none is */
	char **platforms; /* that are here as a whole */
	char *source;     /* where it was pulled from: "https://ghcr.io/acme/x"; "": it was made or loaded */
	uint64_t size;    /* bytes of its layers and documents, compressed as they are kept */
	uint64_t root_size;        /* bytes of its root file system; 0: not made yet */
	uint64_t created, updated; /* nanoseconds since 1970: the image (0: it does not say), its name here */
};
/* Sorted by name; *list is the caller's: monocore_image_list_free(). */
MONOCORE_API int monocore_image_list(
	struct monocore *mc, struct monocore_image_info **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_image_list_free(struct monocore_image_info *list, size_t count);

/* Everything about one image as a JSON object with docker's members; *json is the caller's. platform:
 * "linux/arm64"; NULL: this host's, else one that is here. */
MONOCORE_API int monocore_image_inspect(struct monocore *mc, const char *image, const char *platform,
	char **json, struct monocore_error *err);

struct monocore_image_step {
	char *created_by, *comment;
	char *digest;     /* of the layer that the step made, as it is kept; "": it made none */
	uint64_t size;    /* of that */
	uint64_t created; /* nanoseconds since 1970; 0: it does not say */
};
/* How an image was made, the newest step first; *list is the caller's. */
MONOCORE_API int monocore_image_history(struct monocore *mc, const char *image, const char *platform,
	struct monocore_image_step **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_image_history_free(struct monocore_image_step *list, size_t count);

/* Gives an image one name more; a name that is taken leads to this image from now on. */
MONOCORE_API int monocore_image_tag(
	struct monocore *mc, const char *image, const char *name, struct monocore_error *err);

struct monocore_image_removed {
	char **names;   /* that are gone */
	char **digests; /* of manifests and indexes that are gone: no name led to them any more */
	uint64_t blobs, roots, bytes; /* removed from the disk: all in all */
};
MONOCORE_API void monocore_image_removed_free(struct monocore_image_removed *removed);

/* Removes a name, or all names of an id, then what nothing needs any more. BUSY where a sandbox uses the
 * image and it has no other name, or where an id has several names; force: removes the names all the same,
 * and what sandboxes use stays on the disk. *removed is the caller's; it may be NULL. */
MONOCORE_API int monocore_image_remove(struct monocore *mc, const char *image, bool force,
	struct monocore_image_removed **removed, struct monocore_error *err);

struct monocore_image_prune_options {
	unsigned version;
	bool all;     /* names that no sandbox uses, too */
	bool dry_run; /* removes nothing, tells what would go */
	bool steps;   /* all steps of builds, also those that were used in the last 30 days; `all` has that in
			 it */
};
#define MONOCORE_IMAGE_PRUNE_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Removes what no name, no sandbox and no process needs: layers, halves of downloads, root file systems. */
MONOCORE_API int monocore_image_prune(struct monocore *mc, const struct monocore_image_prune_options *options,
	struct monocore_image_removed **removed, struct monocore_error *err);

enum monocore_image_format {
	MONOCORE_IMAGE_OCI,    /* a tar: an OCI image layout that is a docker archive, too */
	MONOCORE_IMAGE_DOCKER, /* a tar: a docker archive alone, of one platform */
	MONOCORE_IMAGE_LAYOUT  /* an OCI image layout in a directory */
};

struct monocore_image_save_options {
	unsigned version;
	enum monocore_image_format format;
	const char *platform; /* only this one; NULL: all that are here */
};
#define MONOCORE_IMAGE_SAVE_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Writes images (a NULL-terminated list) to fd, a file or a pipe, or, of a layout, an empty directory. Those
 * that were named by name carry it. The same images give the same bytes. */
MONOCORE_API int monocore_image_save(struct monocore *mc, const char *const *images,
	const struct monocore_image_save_options *options, int fd, struct monocore_error *err);

struct monocore_image_load_options {
	unsigned version;
	const char *name; /* for the only image, whatever it is called there; NULL: as it is called there */
	const char *path; /* of fd, for messages; NULL: "the archive" */
};
#define MONOCORE_IMAGE_LOAD_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Reads all images of what is behind fd: what monocore_image_save(), docker, podman or skopeo have written,
 * as a file, a pipe or a directory, compressed by gzip or zstd or not. Every digest is checked before a name
 * leads to an image. *names: the names, in docker's form; monocore_free_strings(). Also after a failure:
 * those of the images that came before it, or NULL. */
MONOCORE_API int monocore_image_load(struct monocore *mc, int fd,
	const struct monocore_image_load_options *options, char ***names, struct monocore_error *err);

/* Mounts an image's root file system read-only on a directory, by FUSE, for people and programs of this host
 * to look into. A process of its own serves it until it is unmounted (fusermount3 -u DIR, or umount as root);
 * the image stays as long. platform may be NULL. */
MONOCORE_API int monocore_image_mount(struct monocore *mc, const char *image, const char *platform,
	const char *directory, struct monocore_error *err);

struct monocore_fs_mount_options {
	unsigned version;
	bool read_only;
	/* What is mounted is the union of source and these, the topmost first: all changes go to source, and
	 * these stay as they are; NULL-terminated, at most 50; NULL: none. Source keeps what the union needs
	 * besides in ".wh..wh.work", and marks what was removed as layers of images do. */
	const char *const *lowers;
};
#define MONOCORE_FS_MOUNT_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Mounts a directory of this host on another one, by the file systems that serve volumes: to try them. A
 * process of its own serves it until it is unmounted. What others do to source shows within a second, but not
 * in a union, whose parts are to be left alone as long as it is mounted. options: NULL for the defaults. */
MONOCORE_API int monocore_fs_mount(struct monocore *mc, const char *source, const char *directory,
	const struct monocore_fs_mount_options *options, struct monocore_error *err);

/* Serves a directory of this host, or an image, over NFSv3. On loopback connections of the calling user and
 * of root are taken; whoever is at the other end is the calling user. */
struct monocore_serve_options {
	unsigned version;
	const char *address; /* numeric; NULL: 127.0.0.1. Elsewhere all who know the export's name come in */
	uint16_t port;       /* 0: any that is free */
	const char *export; /* its name, which may be mounted often; NULL: one that cannot be guessed, once */
	bool read_only;
	bool async; /* names that are made, removed and changed are not on the disk when that is answered */
};
#define MONOCORE_SERVE_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_server;
struct monocore_server_info {
	char *address, *export; /* export: the path to mount, with its '/' */
	uint16_t port;          /* of NFS and of MOUNT */
	bool read_only;
};

/* A process of its own serves until monocore_server_end(), or until this process ends. Handles of an earlier
 * server of the same source go on leading where they led. options may be NULL. BUSY: it is being served. */
MONOCORE_API int monocore_fs_serve(struct monocore *mc, const char *source,
	const struct monocore_serve_options *options, struct monocore_server **server,
	struct monocore_error *err);
MONOCORE_API const struct monocore_server_info *monocore_server_info(const struct monocore_server *server);
/* A descriptor that becomes readable if the server ends by itself. */
MONOCORE_API int monocore_server_fd(const struct monocore_server *server);
/* Ends it, and frees the object in any case. SYSTEM: it had come to a bad end. */
MONOCORE_API int monocore_server_end(struct monocore_server *server, struct monocore_error *err);

struct monocore_image_problem {
	const char *image;  /* that is not whole, in docker's form; or "" */
	const char *digest; /* of what is wrong; or "" */
	const char *text;
	enum { MONOCORE_PROBLEM_FOUND, MONOCORE_PROBLEM_MENDED, MONOCORE_PROBLEM_LEFT } state;
};
/* Reads all that is kept of images, checks every digest and follows every name; `tell` is called for each
 * problem. repair: what is damaged is removed, and images that lack something are pulled again: `tell` is
 * called once more, for each image that was mended or could not be, which is no error of the call. */
MONOCORE_API int monocore_image_check(struct monocore *mc, bool repair,
	void (*tell)(void *context, const struct monocore_image_problem *problem), void *context,
	struct monocore_error *err);

/* Credentials are kept where docker keeps them: in config.json in $DOCKER_CONFIG or ~/.docker, or with the
 * credential helper that it names. */
struct monocore_login_options {
	unsigned version;
	const char *registry; /* "quay.io"; NULL: the default registry */
	const char *username; /* NULL: the credentials that are kept are checked */
	const char *password;
	bool plain_http; /* allowed; without it to loopback only, or where registries.json says so */
};
#define MONOCORE_LOGIN_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_login {
	char *registry; /* whose name they are kept under: where a mapping of registries.json leads */
	char *username;
	char *where; /* the path of the file, or the helper's program; "": they were kept before */
};
MONOCORE_API void monocore_login_free(struct monocore_login *l);

/* Checks credentials at a registry, and keeps them where it takes them; a token that it gives for later takes
 * the place of the password. NOT_FOUND: none were given, and none are kept; DENIED: it does not take them. */
MONOCORE_API int monocore_login(struct monocore *mc, const struct monocore_login_options *options,
	struct monocore_login **login, struct monocore_error *err);

/* Forgets the credentials for a registry (NULL: the default one). *name, the caller's: whose they were;
 * *was_there: there were any. */
MONOCORE_API int monocore_logout(
	struct monocore *mc, const char *registry, char **name, bool *was_there, struct monocore_error *err);

struct monocore_search_options {
	unsigned version;
	unsigned limit;  /* results, 1000 at most; 0: 25 */
	bool plain_http; /* allowed */
};
#define MONOCORE_SEARCH_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_found {
	char *name;        /* as it is pulled: "alpine", "quay.io/acme/x" */
	char *description; /* one line, or "" */
	uint64_t stars;
	bool official;
};
MONOCORE_API void monocore_found_free(struct monocore_found *list, size_t count);

/* Looks for images: "postgres" in the default registry, "quay.io/postgres" in another. UNAVAILABLE where the
 * registry has no search. */
MONOCORE_API int monocore_search(struct monocore *mc, const char *term,
	const struct monocore_search_options *options, struct monocore_found **list, size_t *count,
	struct monocore_error *err);

/* Tags of an image's repository, as the registry lists them; monocore_free_strings(). *repository
 * ("docker.io/library/alpine") is the caller's. Of the options, plain_http counts. */
MONOCORE_API int monocore_tags(struct monocore *mc, const char *name,
	const struct monocore_search_options *options, char **repository, char ***tags,
	struct monocore_error *err);

/* ---- a sandbox's changes as an image ---- */

struct monocore_commit_options {
	unsigned version;
	const char *author;         /* NULL: none */
	const char *message;        /* NULL: none */
	const char *const *changes; /* instructions of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE,
				     * HEALTHCHECK, LABEL, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR;
				     * NULL-terminated, or NULL */
	bool no_pause;              /* processes go on while files are read, and these may be torn */
};
#define MONOCORE_COMMIT_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Makes an image of what a sandbox, running or stopped, has changed: its own image, one layer more, and its
 * command, environment, user, directory and labels, then `changes`. It is kept under the name `image`; its
 * manifest's digest, "sha256:…", is the caller's. The same changes give the same digest. A sandbox without
 * its own image in the store, or made of a directory, is NOT_FOUND or INVALID; while another reads it, BUSY.
 */
MONOCORE_API int monocore_commit(struct monocore *mc, const char *sandbox, const char *image,
	const struct monocore_commit_options *options, char **digest, struct monocore_error *err);

/* ---- the host ---- */

struct monocore_finding {
	const char *topic;
	int state; /* 0: good, 1: worth knowing, 2: must be mended */
	const char *text;
};
MONOCORE_API int monocore_doctor(struct monocore *mc,
	void (*tell)(void *context, const struct monocore_finding *finding), void *context,
	struct monocore_error *err);

/* Installs a guest kernel into directory (NULL: the home's): from a .deb file, or (package NULL) the
 * distribution's. *version is the caller's. */
MONOCORE_API int monocore_kernel_install(struct monocore *mc, const char *directory, const char *package,
	char **version, struct monocore_error *err);
/* Versions of the kernels that are there, newest first; monocore_free_strings(). */
MONOCORE_API int monocore_kernel_list(struct monocore *mc, char ***versions, struct monocore_error *err);
/* Makes the template of VMs with this many cpus and this much memory (0: the defaults), if it is missing. */
MONOCORE_API int monocore_template_prepare(
	struct monocore *mc, unsigned cpus, uint64_t memory, struct monocore_error *err);

#ifdef __cplusplus
}
#endif
#endif
