/* SPDX-License-Identifier: MIT */
/* sock_diag(7), netlink(7): only the kernel answers, but what others call their sockets is in it.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/mem.h"

enum {
	TCP_LISTEN_STATE = 10, /* include/net/tcp_states.h; of Unix sockets as well */
	REPLY_MAX = 32 * 1024
};

/* Sends a question: a head, and a body of the family's own. */
static bool
ask(int fd, const void *body, size_t len, uint16_t flags)
{
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct {
		struct nlmsghdr head;
		char body[sizeof(struct inet_diag_req_v2)];
	} r;
	size_t whole = sizeof(r.head) + len;

	memset(&r, 0, sizeof(r));
	r.head.nlmsg_len = (uint32_t)whole;
	r.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	r.head.nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(r.body, body, len);
	return sendto(fd, &r, whole, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) ==
	       (ssize_t)whole;
}

static void
add_inet(struct dm_sockets *out, const struct inet_diag_msg *msg)
{
	struct dm_socket s = {.inode = msg->idiag_inode, .uid = msg->idiag_uid};

	s.listener.ipv6 = msg->idiag_family == AF_INET6;
	s.listener.port = ntohs(msg->id.idiag_sport);
	memcpy(s.listener.address, msg->id.idiag_src, s.listener.ipv6 ? 16 : 4);
	dm_sockets_add(out, &s);
}

/* The next aligned place in `len` bytes after `used` of them, which is not behind their end. */
static size_t
behind(size_t used, size_t len)
{
	/* the last part need not be filled up: the macros of netlink(3) go too far then */
	return NLMSG_ALIGN(used) < len ? NLMSG_ALIGN(used) : len;
}

static void
take_attribute(struct dm_socket *s, const struct rtattr *head, const char *data, size_t len)
{
	uint32_t uid;

	if (head->rta_type == UNIX_DIAG_UID && len == sizeof(uid)) {
		memcpy(&uid, data, sizeof(uid));
		s->uid = uid;
	}
	/* one that begins with a NUL is of the abstract namespace: unix(7) */
	if (head->rta_type == UNIX_DIAG_NAME && len > 0 && data[0] != '\0' && s->path == NULL)
		s->path = dm_strndup(data, len);
}

/* What was asked for comes as attributes behind the message (linux/unix_diag.h). */
static void
add_unix(struct dm_sockets *out, const struct unix_diag_msg *msg, size_t len)
{
	struct dm_socket s = {.inode = msg->udiag_ino, .uid = (uid_t)-1};
	const char *bytes = (const char *)(msg + 1);
	struct rtattr head;

	for (size_t at = 0; len - at >= sizeof(head); at += behind(head.rta_len, len - at)) {
		memcpy(&head, bytes + at, sizeof(head));
		if (head.rta_len < sizeof(head) || head.rta_len > len - at)
			break;
		take_attribute(&s, &head, bytes + at + sizeof(head), head.rta_len - sizeof(head));
	}
	if (s.path != NULL)
		dm_sockets_add(out, &s);
}

/* One message of a datagram; false if it is not what was asked for. */
static bool
add_message(const struct nlmsghdr *head, struct dm_sockets *out)
{
	const void *body = head + 1;
	size_t len = head->nlmsg_len - sizeof(*head);
	uint8_t family = AF_UNSPEC;

	/* interrupted: the table has changed meanwhile, and something may be missing */
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || (head->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
		return false;
	if (len > 0)
		memcpy(&family, body, 1);
	if ((family == AF_INET || family == AF_INET6) && len >= sizeof(struct inet_diag_msg))
		add_inet(out, body);
	else if (family == AF_UNIX && len >= sizeof(struct unix_diag_msg))
		add_unix(out, body, len - sizeof(struct unix_diag_msg));
	else
		return false;
	return true;
}

bool
dm_diag_parse(const void *datagram, size_t len, struct dm_sockets *out, bool *done)
{
	const struct nlmsghdr *head;

	for (size_t at = 0; len - at >= sizeof(*head); at += behind(head->nlmsg_len, len - at)) {
		head = (const void *)((const char *)datagram + at);
		if (head->nlmsg_len < sizeof(*head) || head->nlmsg_len > len - at)
			return false;
		if (head->nlmsg_type == NLMSG_DONE) {
			*done = true;
			return true;
		}
		if (!add_message(head, out))
			return false;
	}
	return true;
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

	do
		n = recv(fd, reply.bytes, sizeof(reply), 0);
	while (n < 0 && errno == EINTR);
	return n > 0 && dm_diag_parse(&reply, (size_t)n, out, done);
}

/* Asks one question and takes its whole answer. */
static bool
dump(int fd, const void *question, size_t len, struct dm_sockets *out)
{
	bool done = false;

	if (fd < 0 || !ask(fd, question, len, NLM_F_DUMP))
		return false;
	while (!done) {
		if (!take(fd, out, &done))
			return false;
	}
	return true;
}

bool
dm_diag_tcp(struct dm_sockets *out)
{
	struct inet_diag_req_v2 v4 = {.sdiag_family = AF_INET,
	    .sdiag_protocol = IPPROTO_TCP,
	    .idiag_states = 1U << TCP_LISTEN_STATE};
	struct inet_diag_req_v2 v6 = v4;
	DM_AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	v6.sdiag_family = AF_INET6;
	return dump(fd, &v4, sizeof(v4), out) && dump(fd, &v6, sizeof(v6), out);
}

bool
dm_diag_tcp_port(int family, uint16_t port)
{
	struct inet_diag_req_v2 question = {.sdiag_family = (uint8_t)family,
	    .sdiag_protocol = IPPROTO_TCP,
	    .idiag_states = 1U << TCP_LISTEN_STATE,
	    .id = {.idiag_sport = htons(port),
		.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};
	const struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
	DM_AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct {
		struct nlmsghdr head;
		struct inet_diag_msg msg;
		char attributes[1024];
	} reply;
	ssize_t n;

	if (family == AF_INET)
		memcpy(question.id.idiag_src, &loopback, sizeof(loopback));
	else
		memcpy(question.id.idiag_src, &in6addr_loopback, sizeof(in6addr_loopback));
	/* with no peer there is no connection that could be meant, and one that listens is */
	if (fd < 0 || !ask(fd, &question, sizeof(question), 0))
		return false;
	do
		n = recv(fd, &reply, sizeof(reply), 0);
	while (n < 0 && errno == EINTR);
	return n >= (ssize_t)(sizeof(reply.head) + sizeof(reply.msg)) &&
	       reply.head.nlmsg_type == SOCK_DIAG_BY_FAMILY &&
	       reply.msg.idiag_state == TCP_LISTEN_STATE && reply.msg.id.idiag_sport == htons(port);
}

bool
dm_diag_unix(struct dm_sockets *out)
{
	const struct unix_diag_req question = {.sdiag_family = AF_UNIX,
	    .udiag_states = 1U << TCP_LISTEN_STATE,
	    .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_UID};
	DM_AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return dump(fd, &question, sizeof(question), out);
}
