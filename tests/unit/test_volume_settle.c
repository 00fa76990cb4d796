/* SPDX-License-Identifier: Apache-2.0 */
/* The agent waits for what the host is still to be told: here a process of ours plays the one of volumes. */
#include "test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/volume_settle.h"

static _Atomic uint32_t *unsettled;
static volatile sig_atomic_t told;

static void on_hurry(int number)
{
	(void)number;
	told = 1;
}

static void share(uint32_t value)
{
	unsettled = mmap(NULL, sizeof *unsettled, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(unsettled != MAP_FAILED);
	*unsettled = value;
}

/* Settles what is not settled once it is told to hurry, a moment later; or never. */
static struct volumes start(bool settles)
{
	struct volumes v = {.report = -1, .unsettled = unsettled};
	int ends[2];
	char c;

	CHECK(pipe(ends) == 0);
	v.pid = fork();
	if (v.pid == 0) {
		signal(VOLUMES_HURRY, on_hurry);
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;) {
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
			if (told && settles)
				*unsettled = 0;
		}
	}
	CHECK(v.pid > 0 && read(ends[0], &c, 1) == 1);
	close(ends[0]);
	close(ends[1]);
	return v;
}

static void end(const struct volumes *v)
{
	CHECK(kill(v->pid, SIGKILL) == 0 && waitpid(v->pid, NULL, 0) == v->pid);
	munmap(unsettled, sizeof *unsettled);
}

TEST(what_is_settled_is_not_waited_for_and_nobody_is_told)
{
	struct volumes none = {.report = -1}, v;

	volumes_settle(&none);
	share(0);
	v = start(true);
	volumes_settle(&v);
	*unsettled = 1u << 31;
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	CHECK(*unsettled);
	end(&v);
}

TEST(the_process_of_the_volumes_is_told_to_hurry_and_waited_for)
{
	struct volumes v;

	share(1);
	v = start(true);
	for (int i = 0; *unsettled && i < 500; i++) /* a busy machine may not let it run in time */
		volumes_settle(&v);
	CHECK(!*unsettled);
	end(&v);
}

TEST(one_that_is_stuck_is_not_waited_for_for_ever)
{
	struct volumes v;

	share(1);
	v = start(false);
	volumes_settle(&v);
	CHECK(*unsettled == 1);
	end(&v);
}
