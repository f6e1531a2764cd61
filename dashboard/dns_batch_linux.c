/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* recvmmsg */
#include "dns_batch.h"

#include <string.h>

size_t
dns_batch_read(int fd, struct dns_packet packets[DNS_BATCH])
{
	struct mmsghdr heads[DNS_BATCH];
	struct iovec parts[DNS_BATCH];
	int n;

	memset(heads, 0, sizeof(heads));
	for (size_t i = 0; i < DNS_BATCH; i++) {
		parts[i] = (struct iovec){packets[i].bytes, sizeof(packets[i].bytes)};
		heads[i].msg_hdr.msg_iov = &parts[i];
		heads[i].msg_hdr.msg_iovlen = 1;
		heads[i].msg_hdr.msg_name = &packets[i].from;
		heads[i].msg_hdr.msg_namelen = sizeof(packets[i].from);
	}
	n = recvmmsg(fd, heads, DNS_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		packets[i].len = heads[i].msg_len;
		packets[i].from_len = heads[i].msg_hdr.msg_namelen;
		packets[i].reply_len = 0;
	}
	return n > 0 ? (size_t)n : 0;
}

void
dns_batch_send(int fd, struct dns_packet *packets, size_t count)
{
	struct mmsghdr heads[DNS_BATCH];
	struct iovec parts[DNS_BATCH];
	unsigned n = 0, at = 0;

	memset(heads, 0, sizeof(heads));
	for (size_t i = 0; i < count; i++) {
		if (packets[i].reply_len == 0)
			continue;
		parts[n] = (struct iovec){packets[i].reply, packets[i].reply_len};
		heads[n].msg_hdr.msg_iov = &parts[n];
		heads[n].msg_hdr.msg_iovlen = 1;
		heads[n].msg_hdr.msg_name = &packets[i].from;
		heads[n].msg_hdr.msg_namelen = packets[i].from_len;
		n++;
	}
	/* it ends at the first that cannot be sent, for a reason that may be that one's alone */
	while (at < n) {
		int sent = sendmmsg(fd, heads + at, n - at, MSG_DONTWAIT);

		at += sent > 0 ? (unsigned)sent : 1;
	}
}
