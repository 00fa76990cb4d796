/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmonocore: what sandboxes may reach, the ports of this host that lead to them, and the groups that they
 * are in. Conventions as in monocore.h; what a sandbox starts with stands in its options there.
 */
#ifndef MONOCORE_NETWORK_H
#define MONOCORE_NETWORK_H

#include "monocore.h"

#ifdef __cplusplus
extern "C" {
#endif

struct monocore_network_change {
	unsigned version;
	const char *reach; /* NULL: as it is */
	const char *const *allow,
		*const *deny; /* replace those of their kind; {NULL}: none; NULL: as they are */
	bool add;             /* they are added to those that there are */
	bool set_bandwidth;
	uint64_t bandwidth; /* where set_bandwidth */
};
#define MONOCORE_NETWORK_CHANGE_INIT \
	{ \
		.version = 1 \
	}

/* What a sandbox may reach from now on. Of a running one it holds when this returns, also for connections
 * that it has. */
MONOCORE_API int monocore_network_policy(struct monocore *mc, const char *name,
	const struct monocore_network_change *change, struct monocore_error *err);

struct monocore_network_policy_info {
	char *reach;
	char **rules; /* "allow RULE", "deny RULE"; NULL-terminated, never NULL */
	uint64_t bandwidth;
	char *remark; /* a sentence that tells what who wrote this may not know; NULL: nothing */
};
MONOCORE_API int monocore_network_policy_read(struct monocore *mc, const char *name,
	struct monocore_network_policy_info *policy, struct monocore_error *err);
MONOCORE_API void monocore_network_policy_free(struct monocore_network_policy_info *policy);

/* The ports of a sandbox, "ADDRESS:HOST:GUEST/tcp"; of a running one as they are published. *list is the
 * caller's: monocore_free_strings(). */
MONOCORE_API int monocore_ports(
	struct monocore *mc, const char *name, char ***list, struct monocore_error *err);

/* Publishes more, all of them or none. *published (may be NULL) is the caller's: as monocore_ports() tells
 * them. EXISTS: one is in use; the text says by whom, as far as that is known. */
MONOCORE_API int monocore_ports_add(struct monocore *mc, const char *name, const char *const *ports,
	char ***published, struct monocore_error *err);

/* `ports` as for monocore_ports_add(), or the host's port alone. NOT_FOUND: one is not published, and then
 * none is removed. */
MONOCORE_API int monocore_ports_remove(
	struct monocore *mc, const char *name, const char *const *ports, struct monocore_error *err);

struct monocore_network_info {
	char *group;
	char *subnet;                  /* "10.1.2.0/24" */
	bool up;                       /* a sandbox of it runs */
	bool alone;                    /* of one sandbox, which named no group: `group` is its id */
	char **sandboxes, **addresses; /* names, and in the same places their addresses; NULL-terminated */
};

/* All groups that sandboxes are in, by name. *list is the caller's: monocore_networks_free(). */
MONOCORE_API int monocore_networks(
	struct monocore *mc, struct monocore_network_info **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_networks_free(struct monocore_network_info *list, size_t count);

/* Everything about one group as a JSON object, with counters and connections where it is up; a sandbox's name
 * stands for its own group. *json is the caller's. */
MONOCORE_API int monocore_network_inspect(
	struct monocore *mc, const char *group, char **json, struct monocore_error *err);

/* Verdicts on what a running sandbox does, as they are made: `line` is called for each, without the end of
 * the line, until it returns something but 0, which is given back, or the sandbox has stopped: 0. */
MONOCORE_API int monocore_network_trace(struct monocore *mc, const char *name,
	int (*line)(void *context, const char *text), void *context, struct monocore_error *err);

/* What was denied to a running sandbox of late, and by what: a JSON array with an object for each of its
 * groups, whose members "denials" and "names" (that it may not ask for) are arrays of objects with "line",
 * "count", "first" and "last". *json is the caller's. */
MONOCORE_API int monocore_network_why(
	struct monocore *mc, const char *name, char **json, struct monocore_error *err);

#ifdef __cplusplus
}
#endif

#endif
