/* SPDX-License-Identifier: Apache-2.0 */
#include "os/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bits that came after the headers of Debian 12: by ABI, see landlock.rst. */
#define FS_ABI_1        ((1ULL << 13) - 1)
#define FS_REFER        (1ULL << 13) /* ABI 2 */
#define FS_TRUNCATE     (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEVICE (1ULL << 15) /* ABI 5 */
#define FS_OF_FILES \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
		FS_TRUNCATE | FS_IOCTL_DEVICE)
#define NET_BIND_CONNECT      3ULL /* ABI 4: TCP */
#define SCOPE_ABSTRACT_SIGNAL 3ULL /* ABI 6: abstract unix sockets, signals */

struct ruleset_attributes {
	uint64_t fs, net, scoped;
};

int landlock_abi(void)
{
	long abi = syscall(
		SYS_landlock_create_ruleset, NULL, (size_t)0, (unsigned)LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

int landlock_new(int abi, unsigned scope)
{
	struct ruleset_attributes a = {.fs = FS_ABI_1};
	size_t size = sizeof a.fs;

	if (abi >= 2)
		a.fs |= FS_REFER;
	if (abi >= 3)
		a.fs |= FS_TRUNCATE;
	if (abi >= 5)
		a.fs |= FS_IOCTL_DEVICE;
	if (abi >= 4) {
		a.net = scope & LANDLOCK_NETWORK ? 0 : NET_BIND_CONNECT;
		size += sizeof a.net;
	}
	if (abi >= 6 && scope & LANDLOCK_ALONE) {
		a.scoped = SCOPE_ABSTRACT_SIGNAL;
		size += sizeof a.scoped;
	}
	return (int)syscall(SYS_landlock_create_ruleset, &a, size, 0u);
}

static uint64_t write_rights(void)
{
	int abi = landlock_abi();
	uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
			  LANDLOCK_ACCESS_FS_MAKE_SYM;

	return rights | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0);
}

int landlock_allow(int rules, const char *path, unsigned rights)
{
	struct landlock_path_beneath_attr a = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
	struct stat st;
	int r;

	if (a.parent_fd < 0)
		return -1;
	if (rights & LANDLOCK_READ)
		a.allowed_access |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	if (rights & LANDLOCK_EXECUTE)
		a.allowed_access |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (rights & LANDLOCK_WRITE)
		a.allowed_access |= write_rights();
	if (rights & LANDLOCK_REMOVE)
		a.allowed_access |= LANDLOCK_ACCESS_FS_REMOVE_DIR;
	r = fstat(a.parent_fd, &st);
	if (r == 0 && !S_ISDIR(st.st_mode)) /* a rule for a file with a directory's right is EINVAL */
		a.allowed_access &= FS_OF_FILES;
	if (r == 0)
		r = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0u);
	close(a.parent_fd);
	return r;
}

int landlock_enter(int rules)
{
	return (int)syscall(SYS_landlock_restrict_self, rules, 0u);
}
