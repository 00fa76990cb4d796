/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcrun HOME ID: the supervisor of one sandbox. Started by libmonocore with the client's connection on
 * descriptor 3 and the sandbox's lock on descriptor 4 (control.h); not meant for people.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sandbox/control.h"
#include "sandbox/supervise.h"

int main(int argc, char **argv)
{
	struct supervise_options options = {.client = CONTROL_FD_CLIENT, .lock = CONTROL_FD_LOCK};
	struct error err;

	log_set(getenv("MONOCORE_DEBUG") ? LOG_DEBUG : LOG_WARNING, STDERR_FILENO, "mcrun");
	if (argc != 3 || fcntl(CONTROL_FD_CLIENT, F_GETFD) < 0 || fcntl(CONTROL_FD_LOCK, F_GETFD) < 0) {
		fprintf(stderr, "mcrun is started by monocore: see monocore(1)\n");
		return 2;
	}
	umask(0077);
	/* What a log was compressed with goes back to the host: glibc would keep it once it had been freed.
	 */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_ARENA_MAX, 1);
	fcntl(CONTROL_FD_CLIENT, F_SETFD, FD_CLOEXEC);
	fcntl(CONTROL_FD_LOCK, F_SETFD, FD_CLOEXEC);
	options.home = argv[1];
	options.id = argv[2];
	if (supervise(&options, &err) < 0) {
		log_debug("%s", err.text);
		return error_exit_status((int)err.code);
	}
	return 0;
}
