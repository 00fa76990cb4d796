/* SPDX-License-Identifier: Apache-2.0 */
/* What `self doctor` finds out about this host: what all engines need here, the rest by each engine. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/confine.h"
#include "os/landlock.h"
#include "vm/engine.h"
#include "vm/kernel.h"

void finding(const struct examination *e, const char *topic, int state, const char *format, ...)
{
	struct vm_finding f = {.topic = topic, .state = state};
	va_list args;

	va_start(args, format);
	vsnprintf(f.text, sizeof f.text, format, args);
	va_end(args);
	e->tell(e->context, &f);
}

static void examine_landlock(const struct examination *e)
{
	int abi = landlock_abi();

	if (abi >= 2)
		finding(e, "landlock", VM_FINDING_GOOD, "version %d", abi);
	else if (abi == 1)
		finding(e, "landlock", VM_FINDING_NOTE, "version 1; Linux 5.19 and later have more");
	else
		finding(e, "landlock", VM_FINDING_NOTE,
			"this kernel has none, or it is switched off (add landlock to the kernel's parameter "
			"lsm=)");
}

static void examine_namespaces(const struct examination *e)
{
	static const struct {
		unsigned layer;
		const char *name;
	} names[] = {{CONFINE_MOUNT, "mount"}, {CONFINE_PID, "pid"}, {CONFINE_NET, "network"},
		{CONFINE_IPC, "ipc"}, {CONFINE_UTS, "uts"}};
	_cleanup_buffer_ struct buffer missing = {0};
	_cleanup_free_ char *text = NULL;
	struct error err = {0};
	unsigned layers = 0;

	if (confine_examine(&layers, &err) < 0) {
		finding(e, "namespaces", VM_FINDING_BAD, "%s", err.text);
		return;
	}
	if (geteuid() != 0 && !(layers & CONFINE_USER))
		buffer_append_text(&missing, " user");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!(layers & names[i].layer))
			buffer_format(&missing, " %s", names[i].name);
	text = buffer_take_text(&missing);
	if (text && !*text)
		finding(e, "namespaces", VM_FINDING_GOOD, "a VM's process has its own");
	else if (layers & CONFINE_LANDLOCK)
		finding(e, "namespaces", VM_FINDING_NOTE,
			"not to be had:%s (user namespaces may be switched off: sysctl "
			"user.max_user_namespaces, "
			"kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns). "
			"VMs are "
			"confined by landlock alone",
			text ? text : "");
	else
		finding(e, "namespaces", VM_FINDING_BAD,
			"not to be had:%s, nor is landlock: a VM starts with --unconfined only",
			text ? text : "");
}

/* The network's process sends echo requests by sockets that every user may have, or may not (icmp(7)). */
static void examine_ping(const struct examination *e)
{
	_cleanup_fd_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	if (s >= 0)
		finding(e, "ping", VM_FINDING_GOOD, "sandboxes can ping what they may reach");
	else
		finding(e, "ping", VM_FINDING_NOTE,
			"sandboxes can ping their group, but nothing beyond: this host lets no user send "
			"echo "
			"requests (sysctl net.ipv4.ping_group_range=\"0 2147483647\" does)");
}

static void examine_kernel(const struct examination *e)
{
	struct kernel k = {0};
	struct error err = {0};

	if (kernel_find(e->home, &k, &err) == 0)
		finding(e, "kernel", VM_FINDING_GOOD, "%s in %s", k.version, k.directory);
	else
		finding(e, "kernel", VM_FINDING_BAD, "%s", err.text);
	kernel_free(&k);
}

static void examine_agent(const struct examination *e)
{
	if (e->agent_path && access(e->agent_path, R_OK) == 0)
		finding(e, "agent", VM_FINDING_GOOD, "%s", e->agent_path);
	else
		finding(e, "agent", VM_FINDING_BAD, "the program mcagent is not installed beside mcrun");
}

int vm_doctor(const char *home, const char *agent_path,
	void (*tell)(void *context, const struct vm_finding *finding), void *context, struct error *err)
{
	const struct examination e = {
		.home = home, .agent_path = agent_path, .tell = tell, .context = context};

	(void)err;
	examine_kernel(&e);
	examine_agent(&e);
	examine_landlock(&e);
	examine_ping(&e);
	examine_namespaces(&e);
	for (size_t i = 0; i < ENGINE_COUNT; i++)
		if (engines[i]->examine)
			engines[i]->examine(&e);
	return 0;
}
