/* SPDX-License-Identifier: Apache-2.0 */
/* The host: what it can do, kernels, templates. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/handle.h"
#include "os/process.h"
#include "os/socket_owner.h"
#include "sandbox/programs.h"
#include "vm/kernel.h"
#include "vm/vm.h"

#define TEMPLATE_MEMORY (512ULL << 20)

struct doctor {
	void (*tell)(void *context, const struct monocore_finding *finding);
	void *context;
};

/* NFS over loopback asks whose each connection is. */
static void examine_connections(const struct doctor *d)
{
	struct monocore_finding out = {
		.topic = "connections", .text = "those over loopback tell whose they are"};
	struct error err;

	if (socket_owner_examine(&err) < 0) {
		out.state = 1;
		out.text = err.text;
	}
	d->tell(d->context, &out);
}

/* For what is mounted on this host; volumes of sandboxes need none of it. */
static void examine_fuse(const struct doctor *d)
{
	_cleanup_fd_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct monocore_finding out = {.topic = "fuse", .text = "images and trees can be mounted"};
	char text[200];

	if (fd < 0) {
		snprintf(text, sizeof text,
			"/dev/fuse: %s. 'image mount', 'fs mount' and 'monofs mount' need it; sandboxes and "
			"their volumes do not",
			strerror(errno));
		out.state = 1;
		out.text = text;
	} else if (geteuid() != 0 && !process_is_installed("fusermount3")) {
		out.state = 1;
		out.text = "fusermount3 is not installed (Debian's package fuse3), without which a user "
			   "mounts nothing: 'image mount', 'fs mount', 'monofs mount'";
	}
	d->tell(d->context, &out);
}

static void give_finding(void *context, const struct vm_finding *f)
{
	const struct doctor *d = context;
	const struct monocore_finding out = {.topic = f->topic, .state = (int)f->state, .text = f->text};

	d->tell(d->context, &out);
}

int monocore_doctor(struct monocore *mc, void (*tell)(void *context, const struct monocore_finding *finding),
	void *context, struct monocore_error *error)
{
	struct doctor d = {tell, context};
	struct error err;
	_cleanup_free_ char *agent = program_path("mcagent", &err);

	if (vm_doctor(mc->home.path, agent, give_finding, &d, &err) < 0)
		return give_error(error, &err);
	examine_connections(&d);
	examine_fuse(&d);
	return 0;
}

int monocore_kernel_install(struct monocore *mc, const char *directory, const char *package, char **version,
	struct monocore_error *error)
{
	struct error err = {0};
	_cleanup_free_ char *own = text_format(&err, "%s/kernels", mc->home.path);

	if (!own || kernel_install(directory ? directory : own, package, version, &mc->progress, &err) < 0)
		return give_error(error, &err);
	return 0;
}

int monocore_kernel_list(struct monocore *mc, char ***versions, struct monocore_error *error)
{
	struct kernel *kernels = NULL;
	struct error err;
	size_t count = 0;
	int r = kernel_list(mc->home.path, &kernels, &count, &err);

	*versions = r == 0 ? text_list_copy(NULL, &err) : NULL;
	if (r == 0 && !*versions)
		r = -ERROR_NO_MEMORY;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = text_list_add(versions, kernels[i].version, &err);
	kernel_list_free(kernels, count);
	if (r < 0) {
		text_list_free(*versions);
		return give_error(error, &err);
	}
	return 0;
}

int monocore_template_prepare(
	struct monocore *mc, unsigned cpus, uint64_t memory, struct monocore_error *error)
{
	struct error err;
	_cleanup_free_ char *agent = program_path("mcagent", &err);
	const struct vm_engine *engine = agent ? vm_engine_find("auto", &err) : NULL;
	struct vm_config config = {.home = mc->home.path,
		.agent_path = agent,
		.cpus = cpus ? cpus : 1,
		.memory = memory ? memory : TEMPLATE_MEMORY,
		.image_fd = -1,
		.disk_fd = -1,
		.console_fd = -1,
		.nic_count = 1,
		.progress = &mc->progress};

	if (!engine || vm_template_prepare(engine, &config, &err) < 0)
		return give_error(error, &err);
	return 0;
}
