/* SPDX-License-Identifier: Apache-2.0 */
/* A new project: one file, with comments that say what more there can be. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/handle.h"
#include "lib/project.h"
#include "os/fs.h"
#include "project/edit.h"

CLEANUP_DEFINE(project, struct project, project_free);

static const char head[] =
	"# A project of monocore: what runs, each in a virtual machine of its own.\n"
	"# \"monocore up\" starts it, \"monocore status\" shows it, \"monocore down\" stops it;\n"
	"# \"monocore self schema --markdown\" prints all that can stand here.\n"
	"\n"
	"sandboxes:\n";
static const char tail[] = "    # Published on this host, on 127.0.0.1 alone:\n"
			   "    # ports: [\"8080:80\"]\n"
			   "    # Directories of the project, and volumes that have a name:\n"
			   "    # volumes: [./src:/app, data:/var/lib/data]\n"
			   "    # envs: [KEY=value]\n"
			   "    # What it may reach: none, local, public (the default) or any:\n"
			   "    # reach: public\n"
			   "    # What has to run before it:\n"
			   "    # depends_on: [db]\n"
			   "\n"
			   "# Images of the project's own:\n"
			   "# builds:\n"
			   "#   base:\n"
			   "#     image: docker.io/library/debian:12-slim\n"
			   "#     steps:\n"
			   "#       - apt-get update && apt-get install -y curl\n";

/* The component is written as add does it, between the comments. */
static int write_text(const struct monocore_project_init_options *o, struct buffer *text, struct error *err)
{
	struct edit_setting settings[3];
	struct mistakes m = {0};
	size_t n = 0;
	int r;

	settings[n++] = (struct edit_setting){.key = "image", .value = o->image ? o->image : ""};
	if (o->memory)
		settings[n++] = (struct edit_setting){.key = "ram", .value = o->memory, .number = true};
	if (o->script && *o->script)
		settings[n++] = (struct edit_setting){.key = "scripts", .name = "start", .value = o->script};
	r = edit_add(head, sizeof head - 1, &m, 0, EDIT_SANDBOXES, "app", settings, n, text, err);
	mistakes_free(&m);
	if (r == 0 && !buffer_append_text(text, tail))
		r = error_no_memory(err, "write a project");
	return r;
}

static int check_text(const char *path, const struct buffer *text, struct error *err)
{
	_cleanup_(cleanup_project) struct project *p = NULL;
	_cleanup_(mistakes_free) struct mistakes m = {0};
	struct project_load load = {
		.path = path, .shown = PROJECT_FILE, .text = (const char *)text->data, .size = text->size};

	project_load_here(&load);
	return project_load(&load, &p, &m, err);
}

/* Made under another name, and given its own only where none has it. */
static int write_new(int directory, const char *path, const struct buffer *text, struct error *err)
{
	static const char name[] = "." PROJECT_FILE ".new";
	int r = fs_write_atomic(directory, name, text->data, text->size, 0644, err);
	if (r < 0)
		return r;
	if (linkat(directory, name, directory, PROJECT_FILE, 0) < 0)
		r = error_errno(err, errno, "write %s", path);
	unlinkat(directory, name, 0);
	return r;
}

static char *path_in(const char *directory, struct error *err)
{
	return text_format(err, "%s/" PROJECT_FILE, directory ? directory : ".");
}

static int init(const struct monocore_project_init_options *o, char **file, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_free_ char *path = path_in(o->directory, err);
	_cleanup_fd_ int fd = -1;
	int r = path ? write_text(o, &text, err) : -ERROR_NO_MEMORY;

	if (r == 0 && o->directory)
		r = fs_make_directories(AT_FDCWD, o->directory, 0777, err);
	if (r == 0)
		r = check_text(path, &text, err);
	if (r < 0)
		return r;
	fd = fs_open(AT_FDCWD, o->directory ? o->directory : ".", O_RDONLY | O_DIRECTORY, 0, err);
	r = fd < 0 ? fd : write_new(fd, path, &text, err);
	if (r == 0)
		*file = TAKE_PTR(path);
	return r;
}

int monocore_project_init(
	const struct monocore_project_init_options *options, char **file, struct monocore_error *error)
{
	struct error err;

	return init(options, file, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_project_init_check(const char *directory, struct monocore_error *error)
{
	struct error err;
	_cleanup_free_ char *path = path_in(directory, &err);

	if (path && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (path)
		error_set(&err, ERROR_EXISTS, "%s is there already, and stays as it is", path);
	return give_error(error, &err);
}
