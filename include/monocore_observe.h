/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmonocore: what sandboxes use, what has happened, and what is left of those that have stopped.
 * Conventions as in monocore.h. Logs are there, too: monocore_log().
 */
#ifndef MONOCORE_OBSERVE_H
#define MONOCORE_OBSERVE_H

#include "monocore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what sandboxes use ------------------------------------------------------------------------------- */

/* Of one sandbox. The cpu's time is the host's count of its virtual machine; all else is what the guest says
 * about itself. Counters are sums since it was started. Of one that does not run all numbers are 0. */
struct monocore_usage {
	char *id, *name;
	enum monocore_state state;
	uint64_t time;           /* of these numbers, nanoseconds since 1970; 0: there are none (yet) */
	uint64_t cpu;            /* nanoseconds */
	uint32_t cpu_thousandth; /* of one cpu, in the last seconds: 1,500 are one and a half */
	uint32_t cpus;
	uint64_t memory,
		memory_limit;      /* bytes: used, without what could be given back at once; of the machine */
	uint64_t disk, disk_limit; /* bytes: used of its writable disk, and that disk's size */
	uint64_t disk_read, disk_written;
	uint64_t net_received, net_sent;
	uint32_t processes;
};

struct monocore_stats_options {
	unsigned version;
	const char *const *names;  /* NULL-terminated; NULL: all there are */
	const char *const *labels; /* "key=value" or "key", all of which it has. Not with names */
	bool stopped;              /* with those that do not run, where no names are given */
	bool recent; /* numbers of up to ten seconds ago will do: no guest is asked, all come at once */
};
#define MONOCORE_STATS_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* In the order of the names given, else oldest first. *list is the caller's: monocore_stats_free(). A guest
 * that does not answer within a second shows its last numbers. options may be NULL. */
MONOCORE_API int monocore_stats(struct monocore *mc, const struct monocore_stats_options *options,
	struct monocore_usage **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_stats_free(struct monocore_usage *list, size_t count);

/* What one sandbox used in a span of time. */
struct monocore_usage_span {
	uint64_t time, length; /* nanoseconds since 1970, nanoseconds */
	uint64_t observed;     /* nanoseconds of it that it ran and was looked at */
	uint64_t cpu;          /* nanoseconds */
	uint64_t memory, disk; /* most bytes that were seen in use */
	uint64_t disk_read, disk_written, net_received, net_sent; /* bytes within the span */
	uint32_t processes;                                       /* most that were seen */
};

/* What is kept of a sandbox's past, oldest first: ten seconds each for an hour, a minute for a day, ten
 * minutes for a month: the finest spans that reach back to `since` (nanoseconds since 1970; 0: an hour ago).
 * `until` 0: now. Works on stopped sandboxes. *list is the caller's: monocore_free(). */
MONOCORE_API int monocore_stats_history(struct monocore *mc, const char *name, uint64_t since, uint64_t until,
	struct monocore_usage_span **list, size_t *count, struct monocore_error *err);

/* The metrics of all that run, in Prometheus's text format 0.0.4. *text is the caller's: monocore_free(). */
MONOCORE_API int monocore_stats_prometheus(struct monocore *mc, char **text, struct monocore_error *err);

/* ---- what has happened ----------------------------------------------------------------------------------
 */

struct monocore_happening {
	uint64_t time;                 /* nanoseconds since 1970 */
	const char *type;              /* "sandbox", "image", "volume" */
	const char *action;            /* "create", "start", "die", "remove", "pull", … */
	const char *id;                /* of the sandbox; or the image's digest, or "" */
	const char *name;              /* of the sandbox, image or volume */
	const char *const *attributes; /* "image=alpine", "exit_status=1", …; NULL-terminated */
	const char *const *labels;     /* of the sandbox; NULL-terminated */
	const char *json;              /* all of it, as one line */
};

struct monocore_events_options {
	unsigned version;
	uint64_t since, until;      /* nanoseconds since 1970; since 0: from the oldest that is kept */
	bool follow;                /* goes on with what happens from now on; with `until` up to then */
	const char *const *filters; /* "type=sandbox", "event=die", "sandbox=web", "image=…", "label=k[=v]":
				     * of one key one must fit, of each key; NULL: all */
	int stop;                   /* a descriptor that ends following when it becomes readable; or -1 */
};
#define MONOCORE_EVENTS_OPTIONS_INIT \
	{ \
		.version = 1, .stop = -1 \
	}

/* Calls `tell` for each, oldest first, from what is kept (the last few megabytes); a non-zero return ends it
 * and is returned. What it is given is valid until it returns. INVALID: a filter that is none. */
MONOCORE_API int monocore_events(struct monocore *mc, const struct monocore_events_options *options,
	int (*tell)(void *context, const struct monocore_happening *h), void *context,
	struct monocore_error *err);

/* ---- what is left ------------------------------------------------------------------------------------- */

struct monocore_clean_options {
	unsigned version;
	bool sandboxes;           /* those that do not run, with their disks and logs */
	const char *const *names; /* of these only the named, NULL-terminated; NULL: those of no project */
	/* Frozen machines and steps of builds that nothing has used for 30 days; running states of images
	 * that are not there any more. */
	bool templates;
	bool images; /* images that no sandbox is made of, with their running states; all steps of builds; and
		      * frozen machines that none that runs was made of */
	bool dry_run; /* only tell */
};
#define MONOCORE_CLEAN_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

struct monocore_cleaned {
	const char *kind; /* "sandbox", "template", "snapshot" (of an image: its running state), "cache",
			   * "image", "layers" */
	const char *name; /* "layers": what all images that went had for themselves, "" */
	uint64_t size;    /* bytes on this host's disk; 0 for an image */
	const char *kept; /* why it was not removed after all; or NULL */
};

/* Calls `tell` for each that is (or would be) removed. */
MONOCORE_API int monocore_clean(struct monocore *mc, const struct monocore_clean_options *options,
	void (*tell)(void *context, const struct monocore_cleaned *what), void *context,
	struct monocore_error *err);

#ifdef __cplusplus
}
#endif
#endif
