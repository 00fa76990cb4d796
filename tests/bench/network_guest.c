/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of a plain machine that networks are measured in: loads the kernel's modules, gives eth0 an address
 * and an MTU, and runs a command, whose output goes to the serial console. The words behind "--" on the
 * kernel's command line are ADDRESS GATEWAY MTU COMMAND…
 *
 * In a sandbox, with NAME PORT: the milliseconds until the name had its address, and until a connection to it
 * was there, as the first thing that happens on this network. With ADDRESS alone: one datagram to it, and
 * no end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "modules.h"

static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	printf("failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_AUTOBOOT);
}

static struct sockaddr address_of(const char *text)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
	} a = {.in = {.sin_family = AF_INET}};

	inet_pton(AF_INET, text, &a.in.sin_addr);
	return a.any;
}

static void set_up(int fd, const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};

	strcpy(request.ifr_name, name);
	must(ioctl(fd, SIOCSIFFLAGS, &request), "bring a device up");
}

static void configure(const char *address, const char *gateway, int mtu)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "eth0", .ifr_addr = address_of(address)};
	struct rtentry route = {.rt_dst = address_of("0.0.0.0"),
		.rt_genmask = address_of("0.0.0.0"),
		.rt_gateway = address_of(gateway),
		.rt_flags = RTF_UP | RTF_GATEWAY};

	set_up(fd, "lo");
	must(ioctl(fd, SIOCSIFADDR, &request), "set the address");
	request.ifr_addr = address_of("255.255.255.0");
	must(ioctl(fd, SIOCSIFNETMASK, &request), "set the netmask");
	request.ifr_mtu = mtu;
	must(ioctl(fd, SIOCSIFMTU, &request), "set the MTU");
	set_up(fd, "eth0");
	must(ioctl(fd, SIOCADDRT, &route), "set the route");
	close(fd);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int first_connection(const char *name, const char *port)
{
	const struct addrinfo wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	double began = now(), resolved;
	int fd;

	if (getaddrinfo(name, port, &wanted, &found) != 0)
		return 1;
	resolved = now();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		return 1;
	printf("%.3f %.3f\n", resolved - began, now() - resolved);
	return 0;
}

static int first_packet(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof to) != 1)
		return 1;
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pid_t pid;
	int status;

	if (getpid() != 1)
		return argc == 3 ? first_connection(argv[1], argv[2]) : argc == 2 ? first_packet(argv[1]) : 2;
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mount("none", "/proc", "proc", 0, NULL);
	mount("none", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	if (argc < 5) {
		printf("failed: ADDRESS GATEWAY MTU COMMAND…\n");
		fflush(stdout);
		reboot(RB_AUTOBOOT);
	}
	configure(argv[1], argv[2], atoi(argv[3]));
	pid = fork();
	if (pid == 0) {
		execv(argv[4], argv + 4);
		must(-1, argv[4]);
	}
	waitpid(pid, &status, 0);
	reboot(RB_AUTOBOOT);
}
