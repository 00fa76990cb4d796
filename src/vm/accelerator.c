/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/accelerator.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "os/fs.h"

#define HOST_FILE   "host.json"
#define CPUINFO_MAX 16384 /* the first processor's part fits; the others are like it */
#define TSC_STEP    10    /* kHz */
#define BOOT_ID     "/proc/sys/kernel/random/boot_id"

bool accelerator_flags(const char *cpuinfo)
{
	const char *flags = strstr(cpuinfo, "\nflags"), *end;

	if (!flags)
		return false;
	end = strchr(flags + 1, '\n');
	for (const char *p = flags; (p = strchr(p, ' ')) && (!end || p < end); p++)
		if ((text_starts(p, " vmx") || text_starts(p, " svm")) &&
			(p[4] == ' ' || p[4] == '\n' || !p[4]))
			return true;
	return false;
}

/* The start of a file of /proc; out is NUL-terminated. */
static void read_start(const char *path, char *out, size_t size)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	while (fd >= 0 && n + 1 < size && (got = read(fd, out + n, size - 1 - n)) > 0)
		n += (size_t)got;
	out[n] = 0;
}

/* Everything of the first processor that does not change while the host runs. */
static int digest_processor(const char *cpuinfo, char out[SHA256_HEX_SIZE], struct error *err)
{
	static const char *const lines[] = {
		"vendor_id", "cpu family", "model", "stepping", "microcode", "flags", "bugs"};
	_cleanup_sha256_ struct sha256 s = {0};
	uint8_t hash[SHA256_SIZE];
	int r = sha256_init(&s, err);

	for (const char *p = cpuinfo; r == 0 && *p && *p != '\n'; p += strcspn(p, "\n"), p += *p == '\n')
		for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
			if (text_starts(p, lines[i]))
				sha256_update(&s, p, strcspn(p, "\n"));
	if (r == 0)
		r = sha256_final(&s, hash, err);
	if (r == 0)
		sha256_hex(hash, out);
	return r;
}

static void judge_kvm(const char *cpuinfo, struct accelerator *a)
{
	_cleanup_fd_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	a->kvm = false;
	if (fd < 0 && errno == ENOENT)
		snprintf(a->reason, sizeof a->reason,
			"there is no /dev/kvm: load the module kvm_intel or kvm_amd, or turn on "
			"virtualisation "
			"in the firmware");
	else if (fd < 0)
		snprintf(a->reason, sizeof a->reason, "/dev/kvm: %s: add the user to the group kvm",
			strerror(errno));
	else if (accelerator_flags(cpuinfo) || accelerator_self_test(fd)) {
		a->kvm = true;
		snprintf(a->reason, sizeof a->reason, "works");
	} else
		snprintf(a->reason, sizeof a->reason,
			"/dev/kvm opens, but the processor shows neither vmx nor svm, and a test guest did "
			"not pass in time");
}

static bool recall(const char *home, const char *boot, struct accelerator *a)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/" HOST_FILE, home);
	json_t *j = path ? json_load_file(path, 0, NULL) : NULL;
	const char *their_boot = "", *reason = "";
	json_int_t tsc = 0;
	int kvm = 0, usable = 0;
	bool good = j &&
		    json_unpack(j, "{s:s, s:b, s:b, s:s, s:I}", "boot", &their_boot, "kvm", &kvm, "usable",
			    &usable, "reason", &reason, "tsc_khz", &tsc) == 0 &&
		    !strcmp(boot, their_boot) && tsc >= 0 &&
		    /* What a user may open can change without a boot. */
		    usable == (access("/dev/kvm", R_OK | W_OK) == 0);

	if (good) {
		a->kvm = kvm;
		a->tsc_khz = (uint64_t)tsc;
		snprintf(a->reason, sizeof a->reason, "%s", reason);
	}
	json_decref(j);
	return good;
}

/* Where home cannot be written, it is found out again next time. */
static void remember(const char *home, const char *boot, const struct accelerator *a)
{
	_cleanup_fd_ int dir = fs_open(AT_FDCWD, home, O_RDONLY | O_DIRECTORY, 0, NULL);
	json_t *j = json_pack("{s:s, s:b, s:b, s:s, s:I}", "boot", boot, "kvm", (int)a->kvm, "usable",
		access("/dev/kvm", R_OK | W_OK) == 0, "reason", a->reason, "tsc_khz", (json_int_t)a->tsc_khz);
	_cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (dir >= 0 && text)
		fs_write_atomic(dir, HOST_FILE, text, strlen(text), 0600, NULL);
	json_decref(j);
}

/* The frequency of the host's time stamp counter in kHz, measured for a tenth of a second, in steps of 10. 0:
 * this architecture has none. */
#if defined(__x86_64__)
struct moment {
	uint64_t ticks, nanoseconds;
};

/* The counter and the clock at one moment: of some tries, the one in which they were read closest. */
static struct moment read_moment(void)
{
	struct moment best = {0};
	uint64_t closest = UINT64_MAX;

	for (int i = 0; i < 64; i++) {
		struct timespec t;
		uint64_t before = __builtin_ia32_rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		after = __builtin_ia32_rdtsc();
		if (after - before >= closest)
			continue;
		closest = after - before;
		best.ticks = before + closest / 2;
		best.nanoseconds = (uint64_t)t.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)t.tv_nsec;
	}
	return best;
}

static uint64_t measure_tsc(void)
{
	struct moment start = read_moment(), end;
	double khz;

	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	end = read_moment();
	khz = (double)(end.ticks - start.ticks) * 1e6 / (double)(end.nanoseconds - start.nanoseconds);
	return ((uint64_t)khz + TSC_STEP / 2) / TSC_STEP * TSC_STEP;
}
#else
static uint64_t measure_tsc(void)
{
	return 0;
}
#endif

int accelerator_find(const char *home, enum vm_accelerator wish, struct accelerator *a, struct error *err)
{
	_cleanup_free_ char *cpuinfo = malloc(CPUINFO_MAX);
	char boot[64];
	int r;

	*a = (struct accelerator){0};
	if (!cpuinfo)
		return error_no_memory(err, "look at the processor");
	read_start("/proc/cpuinfo", cpuinfo, CPUINFO_MAX);
	read_start(BOOT_ID, boot, sizeof boot);
	boot[strcspn(boot, "\n")] = 0;
	r = digest_processor(cpuinfo, a->processor, err);
	if (r < 0)
		return r;
	if (!recall(home, boot, a)) {
		judge_kvm(cpuinfo, a);
		a->tsc_khz = measure_tsc();
		remember(home, boot, a);
	}
	if (wish == VM_ACCELERATOR_KVM && !a->kvm)
		return error_set(err, ERROR_UNAVAILABLE, "KVM cannot be used here: %s", a->reason);
	if (wish == VM_ACCELERATOR_TCG)
		a->kvm = false;
	return 0;
}
