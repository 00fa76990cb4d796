/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which project a directory is: an id that stays, and a name that no other project of this home has.
 *
 * The id stands in the directory's .monocore-id, for people and for tools; what is believed is what the home
 * says of the directory, by device, inode and time of birth. So a project that was moved is the same one, and
 * a copy, or a clone of somebody's repository with the file in it, is one of its own: it gets neither the
 * sandboxes nor the grants of another. Devices are numbered anew when a host boots: a directory that stands
 * where it stood may have another device.
 *
 * projects/<id>/ of the home is where the state of a project lives, out of reach of its sandboxes; the rows
 * are in monocore.db.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define PROJECT_ID_FILE ".monocore-id"
#define PROJECT_ID_SIZE 17 /* 16 hex digits, with the NUL */
/* Of [a-z0-9][a-z0-9_-]*, with the NUL: NAME-COMPONENT is a sandbox's name, which has 63 characters at most.
 */
#define PROJECT_CALLED_SIZE 23

struct project_identity {
	char id[PROJECT_ID_SIZE];
	char name[PROJECT_CALLED_SIZE]; /* from the directory's; "shop-2" where another project is "shop" */
	char *directory;                /* absolute, as it was last seen */
};

void project_identity_free(struct project_identity *i); /* what is in it */
static inline void cleanup_project_identity(struct project_identity *i)
{
	project_identity_free(i);
}
#define _cleanup_project_identity_ __attribute__((cleanup(cleanup_project_identity)))

/* Whether something is left of a project: sandboxes, volumes. */
typedef bool project_identity_used(void *context, const struct project_identity *other);

/*
 * The identity of the project in `directory` (absolute, links resolved); home: the path of $MONOCORE_HOME.
 * One that has none gets it: a row, projects/<id>/, .monocore-id. The name of a project whose directory is
 * gone is given on once used() says that nothing is left of it (NULL: never), and that project forgotten.
 * *out is the caller's (project_identity_free()). Errors: of the file system and the database; DENIED where
 * the directory can neither be written to nor be known again without.
 */
int project_identity_open(const char *home, const char *directory, project_identity_used *used, void *context,
	struct project_identity *out, struct error *err);

/* The same, making and changing nothing. NOT_FOUND: it has none, so nothing was ever started of it. */
int project_identity_find(
	const char *home, const char *directory, struct project_identity *out, struct error *err);

/* All there are, by name: *list and what is in it is the caller's. */
int project_identity_list(const char *home, struct project_identity **list, size_t *count, struct error *err);
void project_identity_list_free(struct project_identity *list, size_t count);

/* Forgets a project: its row, its grants, and projects/<id>/. Its file in the directory stays. */
int project_identity_forget(const char *home, const char *id, struct error *err);

/* The name that a directory's name asks for ("My Shop" → "my-shop"): what others have is not looked at. */
void project_identity_name(const char *directory, char name[PROJECT_CALLED_SIZE]);
