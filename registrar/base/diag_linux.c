/* SPDX-License-Identifier: MIT */
/* sock_diag(7). Replies are checked as the kernel's macros do: it is the only one who answers. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/mem.h"

enum {
	TCP_LISTEN_STATE = 10, /* include/net/tcp_states.h */
	REPLY_MAX = 32 * 1024
};

struct request {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

static bool
ask(int fd, int family)
{
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct request r;

	memset(&r, 0, sizeof(r));
	r.head.nlmsg_len = sizeof(r);
	r.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	r.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	r.body.sdiag_family = (uint8_t)family;
	r.body.sdiag_protocol = IPPROTO_TCP;
	r.body.idiag_states = 1U << TCP_LISTEN_STATE;
	return sendto(fd, &r, sizeof(r), 0, (const struct sockaddr *)&kernel, sizeof(kernel)) ==
	       (ssize_t)sizeof(r);
}

static void
add(struct dm_sockets *out, const struct inet_diag_msg *msg)
{
	struct dm_socket *s;

	if ((out->count & (out->count - 1)) == 0)
		out->list = dm_reallocarray(
		    out->list, out->count == 0 ? 1 : out->count * 2, sizeof(*out->list));
	s = &out->list[out->count++];
	memset(s, 0, sizeof(*s));
	s->inode = msg->idiag_inode;
	s->listener.uid = (uid_t)msg->idiag_uid;
	s->listener.ipv6 = msg->idiag_family == AF_INET6;
	s->listener.port = ntohs(msg->id.idiag_sport);
	memcpy(s->listener.address, msg->id.idiag_src, s->listener.ipv6 ? 16 : 4);
}

/* One datagram of the answer; *done at its end. */
static bool
take(int fd, struct dm_sockets *out, bool *done)
{
	union {
		struct nlmsghdr head; /* for its alignment */
		char bytes[REPLY_MAX];
	} reply;
	ssize_t n;
	size_t left;

	do
		n = recv(fd, reply.bytes, sizeof(reply), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	left = (size_t)n;
	for (struct nlmsghdr *h = &reply.head; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE) {
			*done = true;
			return true;
		}
		/* interrupted: the table has changed meanwhile, and something may be missing */
		if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
		    (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0 ||
		    h->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			return false;
		add(out, NLMSG_DATA(h));
	}
	return true;
}

bool
dm_diag_listening(struct dm_sockets *out)
{
	static const int families[] = {AF_INET, AF_INET6};
	DM_AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	for (size_t i = 0; i < 2; i++) {
		bool done = false;

		if (fd < 0 || !ask(fd, families[i]))
			return false;
		while (!done) {
			if (!take(fd, out, &done))
				return false;
		}
	}
	return true;
}

void
dm_sockets_release(struct dm_sockets *sockets)
{
	free(sockets->list);
	*sockets = (struct dm_sockets){.count = 0};
}
