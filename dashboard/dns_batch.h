/* SPDX-License-Identifier: MIT */
/*
 * Packets of UDP, some at a time: with one call for all of them where the kernel has that
 * (dns_batch_linux.c; recvmmsg(2)), else one by one (dns_batch_darwin.c).
 */
#ifndef DEVMESH_DNS_BATCH_H
#define DEVMESH_DNS_BATCH_H

#include <sys/socket.h>

#include "dns_answer.h"

enum {
	DNS_BATCH = 16,
	DNS_PACKET_MAX = 4097, /* one more than dns_answer() takes: what is longer is cut */
};

/* A question, and the reply to it. */
struct dns_packet {
	struct sockaddr_storage from;
	socklen_t from_len;
	size_t len;
	size_t reply_len; /* 0: none is to be sent */
	uint8_t bytes[DNS_PACKET_MAX];
	uint8_t reply[DNS_REPLY_MAX];
};

/* What has come, without waiting: how many, at most DNS_BATCH. */
size_t dns_batch_read(int fd, struct dns_packet packets[DNS_BATCH]) DM_MUST;

/* Sends the replies. What cannot be sent at once is lost, as any packet may be. */
void dns_batch_send(int fd, struct dns_packet *packets, size_t count);

#endif
