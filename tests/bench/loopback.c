/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What loopback itself bears: a mebibyte at a time of a file that is cached, at random, over one connection
 * from one process to another, which drops it. No server of files can be quicker.
 *
 *     loopback FILE copied|mapped SECONDS
 *
 * copied: read into memory and sent, as a server does that knows nothing better; mapped: sent from the file's
 * mapping. Prints MB/s.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LARGE (1u << 20)

_Noreturn static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_pair(int *from, int *to)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof a;

	*to = socket(AF_INET, SOCK_STREAM, 0);
	if (listening < 0 || bind(listening, (struct sockaddr *)&a, size) < 0 || listen(listening, 1) < 0 ||
		getsockname(listening, (struct sockaddr *)&a, &size) < 0 || *to < 0 ||
		connect(*to, (struct sockaddr *)&a, size) < 0)
		give_up("connect");
	*from = accept(listening, NULL, NULL);
	if (*from < 0)
		give_up("accept");
	close(listening);
}

static void send_all(int to, const uint8_t *bytes)
{
	for (size_t sent = 0; sent < LARGE;) {
		ssize_t n = send(to, bytes + sent, LARGE - sent, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(0); /* it has enough */
		sent += (size_t)n;
	}
}

_Noreturn static void serve(int to, int file, bool mapped)
{
	uint8_t *copy = malloc(LARGE);
	const uint8_t *map;
	struct stat s;

	if (!copy || fstat(file, &s) < 0 || s.st_size < LARGE)
		give_up("the file");
	map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		give_up("mmap");
	for (;;) {
		off_t at = (off_t)(rand() % (s.st_size / LARGE)) * LARGE;

		if (!mapped && pread(file, copy, LARGE, at) != LARGE)
			give_up("read");
		send_all(to, mapped ? map + at : copy);
	}
}

static double take(int from, double seconds)
{
	uint8_t *bytes = malloc(LARGE);
	double begun = now(), took;
	uint64_t got = 0;

	if (!bytes)
		give_up("memory");
	memset(bytes, 1, LARGE);
	do {
		ssize_t n = recv(from, bytes + got % LARGE, LARGE - got % LARGE, 0);

		if (n <= 0)
			give_up("receive");
		got += (size_t)n;
		took = now() - begun;
	} while (took < seconds);
	free(bytes);
	return (double)got / took / 1e6;
}

int main(int argc, char **argv)
{
	int from, to, file = argc == 4 ? open(argv[1], O_RDONLY) : -1;
	pid_t child;

	if (file < 0)
		give_up("usage: loopback FILE copied|mapped SECONDS");
	make_pair(&from, &to);
	child = fork();
	if (child < 0)
		give_up("fork");
	if (child == 0) {
		close(from);
		serve(to, file, !strcmp(argv[2], "mapped"));
	}
	close(to);
	printf("%.1f\n", take(from, strtod(argv[3], NULL)));
	close(from);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	return 0;
}
