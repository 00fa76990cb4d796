/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/qemu/freeze.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "os/fs.h"
#include "vm/engine.h"
#include "vm/qemu/snapshot.h"

#define QMP_TIME    (20 * NANOSECONDS_PER_SECOND)
#define BOOT_TIME   (60 * NANOSECONDS_PER_SECOND)
#define BOOT_TRIES  3
#define SETTLE_TIME MILLISECONDS(300) /* for what the kernel still does after its start */
#define NOTES_MAX   4096
#define STEPS       3

void recipe_free(struct recipe *p)
{
	free(p->qemu);
	boot_files_free(&p->boot);
	*p = (struct recipe){0};
}

int recipe_make(const struct vm_config *config, struct recipe *p, struct error *err)
{
	int r;

	*p = (struct recipe){.config = config};
	p->qemu = machine_find_qemu(err);
	r = p->qemu ? accelerator_find(config->home, config->accelerator, &p->accelerator, err)
		    : -ERROR_UNAVAILABLE;
	if (r == 0)
		r = boot_files_find(config->home, config->agent_path, &p->boot, err);
	p->machine = (struct machine){.kvm = p->accelerator.kvm,
		.cpus = config->cpus,
		.memory = machine_memory(config->memory),
		.disk = config->disk_fd >= 0,
		.volumes = config->volumes,
		.shares = config->shares,
		.share_count = config->share_count,
		.nics = config->nics,
		.nic_count = config->nic_count,
		.console = config->console_fd >= 0,
		.tsc_khz = p->accelerator.tsc_khz};
	if (r < 0)
		recipe_free(p);
	return r;
}

/* The note that linkers put into a program to tell one build from all others (the GNU build id). */
static bool find_build_id(int fd, struct sha256 *digest)
{
	Elf64_Ehdr header;
	Elf64_Phdr part;

	if (pread(fd, &header, sizeof header, 0) != sizeof header ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
		header.e_phentsize != sizeof part)
		return false;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		uint8_t notes[NOTES_MAX];

		if (pread(fd, &part, sizeof part, (off_t)(header.e_phoff + i * sizeof part)) != sizeof part)
			return false;
		if (part.p_type != PT_NOTE || part.p_filesz > sizeof notes ||
			pread(fd, notes, part.p_filesz, (off_t)part.p_offset) != (ssize_t)part.p_filesz ||
			!memmem(notes, part.p_filesz, "GNU", 4))
			continue;
		sha256_update(digest, notes, part.p_filesz);
	}
	return true;
}

/* Which build of QEMU it is. The file's size and time speak for a build without a note, and for a QEMU whose
 * distribution patched it and kept the note. */
static int digest_qemu(const char *path, struct sha256 *digest, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, path, O_RDONLY, 0, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "look at %s", path);
	find_build_id(fd, digest);
	sha256_update(digest, &st.st_size, sizeof st.st_size);
	sha256_update(digest, &st.st_mtim.tv_sec, sizeof st.st_mtim.tv_sec);
	return 0;
}

/* booted: with what it has booted from, which later is in its memory. */
static int digest_recipe(const struct recipe *p, bool booted, char key[SHA256_HEX_SIZE], struct error *err)
{
	_cleanup_sha256_ struct sha256 digest = {0};
	_cleanup_text_list_ char **arguments = NULL;
	struct machine machine = p->machine;
	uint8_t hash[SHA256_SIZE];
	int r = sha256_init(&digest, err);

	/* What is behind the devices may differ between a template and its clones. */
	machine.role = MACHINE_TEMPLATE;
	machine.disk = machine.console = machine.volumes = false;
	machine.share_count = 0;
	if (r == 0)
		arguments = machine_arguments(&machine, err);
	if (!arguments)
		return r < 0 ? r : -ERROR_NO_MEMORY;
	for (char **a = arguments; *a; a++)
		sha256_update(&digest, *a, strlen(*a) + 1);
	if (booted)
		sha256_update(&digest, p->boot.digest, sizeof p->boot.digest);
	if (machine.kvm)
		sha256_update(&digest, p->accelerator.processor, sizeof p->accelerator.processor);
	r = digest_qemu(p->qemu, &digest, err);
	if (r == 0)
		r = sha256_final(&digest, hash, err);
	if (r == 0)
		sha256_hex(hash, key);
	return r;
}

int recipe_key(const struct recipe *p, char key[SHA256_HEX_SIZE], struct error *err)
{
	return digest_recipe(p, true, key, err);
}

int recipe_machine(const struct recipe *p, char key[SHA256_HEX_SIZE], struct error *err)
{
	return digest_recipe(p, false, key, err);
}

/* Memory that servers of shares map as well: nobody who has it can cut it off under the others. */
static int make_shared_memory(uint64_t size, struct error *err)
{
	_cleanup_fd_ int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_errno(err, errno, "make the guest's memory");
	return TAKE_FD(fd);
}

int boot_machine(const struct recipe *p, struct template_draft *draft, struct qemu *q, uint8_t **hello,
	size_t *hello_size, struct error *err)
{
	struct machine machine = p->machine;
	_cleanup_free_ char *initrd = NULL;
	_cleanup_fd_ int shared = -1;
	struct qemu_spec spec = {.path = p->qemu,
		.machine = &machine,
		.kernel = p->boot.kernel.vmlinux,
		.memory_fd = draft ? draft->memory : -1,
		.state_fd = -1,
		.config = p->config};
	uint64_t boot_time;
	int r = vm_start_timeout(BOOT_TIME, &boot_time, err);

	if (r == 0)
		r = boot_files_initrd(p->config->home, &p->boot, p->config->nfs && !draft, &initrd, err);
	spec.initrd = initrd;
	machine.role = draft ? MACHINE_TEMPLATE : MACHINE_COLD;
	machine.volumes &= !draft;
	machine.share_count = draft ? 0 : machine.share_count;
	if (r == 0 && machine.share_count) {
		spec.memory_fd = shared = make_shared_memory(machine.memory, err);
		r = shared < 0 ? shared : 0;
	}
	for (int try = 0; r == 0; try++) {
		r = qemu_start(&spec, clock_monotonic() + QMP_TIME, q, err);
		if (r < 0)
			return r;
		r = agent_read_hello(
			q->agent_fd, q->pid_fd, clock_monotonic() + boot_time, hello, hello_size, err);
		if (r == 0)
			return 0;
		r = qemu_explain_end(q, r, err);
		qemu_end(q);
		/* What served the shares has ended with the machine. */
		if (r != -ERROR_TIMEOUT || try + 1 == BOOT_TRIES || machine.share_count)
			return error_prefix(err, "boot the guest");
		log_warning("the guest hung while it booted; trying once more");
		r = draft ? template_draft_restart(draft, err) : 0;
	}
	return r;
}

static int save(struct qemu *q, int state, struct error *err)
{
	int r = qmp_execute(&q->qmp, "stop", NULL, -1, clock_monotonic() + QMP_TIME, NULL, err);

	return r == 0 ? snapshot_save_devices(&q->qmp, state, err) : r;
}

static void report(const struct recipe *p, unsigned step)
{
	const struct progress_event event = {
		.task = "template", .unit = "steps", .done = step, .total = STEPS, .finished = step == STEPS};

	progress_report(p->config->progress, &event);
}

/* Boots into the draft and saves. The machine's end is the clones' beginning: it never runs on. */
static int fill_draft(const struct recipe *p, struct template_draft *d, struct error *err)
{
	_cleanup_free_ uint8_t *hello = NULL;
	struct pollfd settle = {.events = POLLIN};
	size_t hello_size;
	struct qemu q;
	int r;

	qemu_empty(&q);
	report(p, 0);
	r = boot_machine(p, d, &q, &hello, &hello_size, err);
	if (r == 0) {
		report(p, 1);
		settle.fd = q.pid_fd;
		poll(&settle, 1, clock_poll_timeout(clock_monotonic() + SETTLE_TIME));
		r = save(&q, d->state, err);
	}
	qemu_end(&q);
	if (r == 0) {
		report(p, 2);
		r = template_draft_commit(d, hello, hello_size, err);
	}
	report(p, STEPS);
	return r;
}

static int make(const struct recipe *p, const char *key, struct error *err)
{
	struct template_draft draft;
	int r = template_draft_open(p->config->home, key, p->machine.memory, &draft, err);

	if (r == -ERROR_EXISTS)
		return 0;
	if (r == 0) {
		r = fill_draft(p, &draft, err);
		template_draft_close(&draft);
	}
	return r < 0 ? error_prefix(err, "make a VM template") : 0;
}

int template_take(const struct recipe *p, struct template *t, struct error *err)
{
	char key[SHA256_HEX_SIZE];
	int r = recipe_key(p, key, err);

	if (r == 0)
		r = template_open(p->config->home, key, false, t, err);
	if (r != -ERROR_NOT_FOUND && r != -ERROR_CORRUPT)
		return r;
	r = make(p, key, err);
	return r == 0 ? template_open(p->config->home, key, false, t, err) : r;
}
