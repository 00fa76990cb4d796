/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the virtual machine, alone in its file, so that a test of the rest cannot end its own. */
#include <sys/reboot.h>
#include <unistd.h>

#include "guest/agent.h"

_Noreturn void agent_reset(void)
{
	for (;;) {
		reboot(RB_AUTOBOOT);
		pause();
	}
}
