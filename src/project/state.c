/* SPDX-License-Identifier: Apache-2.0 */
#include "project/state.h"

#include "base/cleanup.h"
#include "base/text.h"

static const char *const steps[] = {
	"CREATE TABLE project ("
	"  id TEXT PRIMARY KEY,"
	"  name TEXT NOT NULL UNIQUE,"
	"  directory TEXT NOT NULL,"
	"  device INTEGER NOT NULL,"
	"  inode INTEGER NOT NULL,"
	"  born INTEGER NOT NULL" /* nanoseconds since 1970; 0: its file system does not tell */
	") WITHOUT ROWID;"
	"CREATE INDEX project_inode ON project (inode);"
	"CREATE TABLE grant_given ("
	"  project TEXT NOT NULL REFERENCES project (id) ON DELETE CASCADE,"
	"  kind TEXT NOT NULL,"
	"  component TEXT NOT NULL,"
	"  value TEXT NOT NULL,"
	"  PRIMARY KEY (project, kind, component, value)"
	") WITHOUT ROWID",
};

int project_state_open(const char *home, struct db **db, struct error *err)
{
	const struct db_schema schema = {.name = "projects", .steps = steps, .count = ARRAY_SIZE(steps)};
	_cleanup_free_ char *path = text_format(err, "%s/monocore.db", home);

	return path ? db_open(path, &schema, db, err) : -ERROR_NO_MEMORY;
}
