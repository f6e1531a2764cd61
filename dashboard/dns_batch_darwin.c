/* SPDX-License-Identifier: MIT */
#include "dns_batch.h"

size_t
dns_batch_read(int fd, struct dns_packet packets[DNS_BATCH])
{
	size_t n;

	for (n = 0; n < DNS_BATCH; n++) {
		struct dns_packet *p = &packets[n];
		ssize_t len;

		p->from_len = sizeof(p->from);
		len = recvfrom(fd, p->bytes, sizeof(p->bytes), MSG_DONTWAIT,
		    (struct sockaddr *)&p->from, &p->from_len);
		if (len < 0)
			break;
		p->len = (size_t)len;
		p->reply_len = 0;
	}
	return n;
}

void
dns_batch_send(int fd, struct dns_packet *packets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct dns_packet *p = &packets[i];

		if (p->reply_len > 0)
			(void)!sendto(fd, p->reply, p->reply_len, MSG_DONTWAIT,
			    (const struct sockaddr *)&p->from, p->from_len);
	}
}
