/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/user.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "guest/beneath.h"

#define PIECE     4096
#define FILE_MOST (4 * 1024 * 1024) /* bytes of /etc/passwd or /etc/group that are looked at */

/* A file that is missing, no regular file or unreadable counts as empty: numbers need none. So does one on
 * another mount, a volume or what the sandbox has mounted there: the agent would wait for whoever serves it.
 */
static void read_file(const char *path, struct buffer *out)
{
	_cleanup_fd_ int fd =
		beneath_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, BENEATH_MOUNT);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_size < PIECE && !buffer_reserve(out, (size_t)st.st_size + 1))
		return;
	while (out->size < FILE_MOST && (out->size < out->capacity || buffer_reserve(out, PIECE))) {
		ssize_t n = read(fd, out->data + out->size, out->capacity - out->size);

		if (n <= 0)
			return;
		out->size += (size_t)n;
	}
}

int user_find(const char *spec, struct passwd_user *u, struct error *err)
{
	_cleanup_buffer_ struct buffer passwd = {0}, group = {0};

	read_file("/etc/passwd", &passwd);
	read_file("/etc/group", &group);
	if (passwd.failed || group.failed)
		return error_no_memory(err, "read /etc/passwd");
	return passwd_resolve(spec, passwd.data, passwd.size, group.data, group.size, u, err);
}
