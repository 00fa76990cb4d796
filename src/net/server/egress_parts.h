/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of egress share; nobody else includes it. */
#pragma once

#include <slirp/libslirp.h>

#include "base/map.h"
#include "net/server/egress.h"

/* Which of the guest's segments libslirp has, and which it keeps until those before them come. */
struct arrival {
	bool known;
	uint8_t early;      /* segments that came before their turn */
	uint32_t early_end; /* where the last of them ends */
	uint32_t expected;  /* what libslirp said that it waits for */
	uint32_t chain;     /* where segments in turn end that it has not said this of yet */
};

/* A descriptor of libslirp's, found by its number. */
struct watched {
	struct egress_guest *guest; /* NULL: none of ours */
	uint32_t wanted, armed;     /* EPOLL*: what libslirp waits for, and what the kernel knows */
	uint32_t got;               /* what came, until libslirp has been told */
	int next, previous;         /* of its guest; -1: none */
	uint16_t port, remote_port; /* the guest's, and of TCP the other side's */
	uint32_t remote;            /* as libslirp has it */
	uint32_t fin;               /* sequence number behind libslirp's FIN */
	bool finished;              /* which it has sent */
	struct arrival arrival;     /* TCP: of the guest's segments */
	uint8_t protocol;
	uint8_t weight; /* descriptors that it stands for */
	uint64_t since; /* ICMP */
};

/* A frame that came while libslirp was busy with another, as happens when it is answered at once. */
struct waiting {
	struct waiting *next;
	size_t size;
	uint8_t frame[];
};

/* A connection of the host's on its way to a guest: egress_connect.c. */
struct handover {
	struct handover *next;
	int slirp;      /* its side, which becomes the connection */
	int ours;       /* the other end of it, which the header was written to */
	int connection; /* owned */
};

/* The first segment of such a connection, until the guest has answered: egress_knock.c. */
struct knock {
	struct knock *next;
	int fd;
	unsigned tries;
	uint64_t due;
	size_t size;
	uint8_t frame[];
};

struct egress_guest {
	struct egress *egress;
	struct egress_guest *next;
	uint32_t address;
	uint8_t mac[6];
	Slirp *slirp;
	int first; /* of its descriptors; -1: none */
	int last;  /* that was found last, of TCP; -1: none */
	unsigned sockets, pings;
	uint64_t due;  /* libslirp's next timer; UINT64_MAX: none */
	unsigned busy; /* calls into libslirp under way */
	bool dirty;    /* libslirp is to be asked what it waits for */
	bool ready;    /* has descriptors for which something came */
	bool held;
	struct waiting *waiting, **waiting_end;
	unsigned waiting_count;
	/* What is being let in, so that the descriptor it gets is known. */
	uint8_t protocol;
	uint16_t port, remote_port;
	uint32_t remote;
	bool asks;                 /* for DNS */
	struct handover *arriving; /* by accept(2) in libslirp */
	int accepting;             /* the socket that it accepts at; -1: none */
	int accepted;              /* what it got there, whose first segment is not out yet; -1: none */
	struct handover *handovers;
	struct knock *knocks;
	char *dns; /* path of egress_dns()'s socket; NULL: none */
};

struct egress {
	uv_loop_t *loop;
	struct egress_calls calls;
	void *context;
	uint32_t subnet, gateway, host;
	uint8_t bits;
	int directory;
	struct egress_guest *guests;
	struct map by_address;
	struct watched *watched; /* by descriptor */
	size_t watched_size;
	unsigned sockets, sockets_most;
	bool pings;
	int epoll;
	int dns; /* where all that open gateway:53 are accepted, one at a time */
	uv_poll_t poll;
	uv_prepare_t before_wait;
	uv_timer_t timer;
	unsigned handles; /* not closed yet */
	uint64_t now;     /* when libslirp was last told the time */
	uint64_t due;     /* what the timer is set to */
};

/* egress_arrival.c */
bool arrival_from_guest(struct arrival *a, const uint8_t *frame, size_t n); /* false: it is dropped */
void arrival_from_slirp(struct arrival *a, uint32_t acknowledged);

/* egress_knock.c */
void knock_begin(struct egress_guest *g, int fd, const uint8_t *frame, size_t n);
void knock_end(struct egress_guest *g, int fd);
void knock_again(struct egress_guest *g, uint64_t now); /* those that are due */
uint64_t knock_due(const struct egress_guest *g);

/* egress.c */
void egress_to_guest(struct egress_guest *g, const uint8_t *frame, size_t n);
void egress_pass_waiting(struct egress_guest *g);
extern const SlirpCb egress_slirp_calls;

/* egress_watch.c: which descriptors libslirp waits for, and when it wants to be called. */
int egress_watch_open(struct egress *e, struct error *err);
void egress_watch_close(struct egress *e);
void egress_watch_add(int fd, void *guest); /* libslirp's register_poll_fd() */
struct watched *egress_watch_tcp(
	struct egress_guest *g, uint16_t port, uint32_t remote, uint16_t remote_port); /* NULL: none */
void egress_watch_remove(int fd, void *guest);           /* its unregister_poll_fd() */
bool egress_watch_end_ping(struct egress_guest *g);      /* the oldest; false: it is not old */
void egress_watch_again(struct egress_guest *g, int fd); /* the number means another socket now */
void egress_dirty(struct egress_guest *g);
void egress_run(struct egress_guest *g); /* libslirp looks at what came, and at the clock */
void egress_tell_time(struct egress_guest *g);

/* egress_connect.c */
void egress_handover_arrived(struct egress_guest *g, int fd);
void egress_handover_left(struct egress_guest *g, int fd); /* libslirp closes it */
void egress_handovers(struct egress_guest *g);             /* those whose header was read are done */
void egress_dns_arrived(struct egress_guest *g, int fd);
void egress_dns_accept(struct egress_guest *g);
