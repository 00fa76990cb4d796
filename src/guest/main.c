/* SPDX-License-Identifier: Apache-2.0 */
/* mcagent: PID 1 of a sandbox's VM. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "guest/agent.h"
#include "guest/loop.h"

static void say_hello(struct agent *a)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct utsname name;
	struct message_hello m = {.version = AGENT_PROTOCOL_VERSION, .missing = a->boot.missing};

	uname(&name);
	m.kernel = name.release;
	message_hello_encode(&m, &payload);
	port_send_buffer(&a->port, 0, MESSAGE_HELLO, &payload);
	port_flush(&a->port);
}

int main(void)
{
	static struct agent a;
	struct error err = {0};

	if (getpid() != 1) {
		log_error(
			"mcagent is the first process of a sandbox's virtual machine; 'monocore' starts it");
		return 2;
	}
	log_set(LOG_WARNING, STDERR_FILENO, "mcagent");
	if (boot(&a.boot, &err) < 0 || loop_prepare(&a, &err) < 0) {
		log_error("%s", err.text);
		agent_reset();
	}
	usage_open(&a.usage, &a.boot);
	usage_begin(&a.usage, a.scratch, AGENT_SCRATCH_SIZE);
	say_hello(&a);
	loop_run(&a);
}
