# SPDX-License-Identifier: MIT
"""A name server of one zone: dns_server.py ADDRESS PORT ZONE ANSWER [LOG]

Every name below ZONE has the IPv4 address ANSWER ("none": it is there, without any), as the zone's
own server says it; all else is refused. What it is asked goes to LOG.
"""
import socket, sys

address, port, zone, answer = sys.argv[1:5]
log = open(sys.argv[5], "a", buffering=1) if len(sys.argv) > 5 else None
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((address, int(port)))
print("ready", flush=True)
while True:
    query, peer = s.recvfrom(4096)
    if len(query) < 17 or query[2] & 0x80:
        continue
    labels, at = [], 12
    while at < len(query) and query[at] != 0:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    question = query[12 : at + 5]
    name = ".".join(labels)
    if log:
        log.write(name + "\n")
    ours = name == zone or name.endswith("." + zone)
    record = b""
    if ours and answer != "none" and question[-4:] == b"\x00\x01\x00\x01":
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04" + socket.inet_aton(answer)
    flags = bytes([0x84 if ours else 0x80, 0 if ours else 5])
    counts = bytes([0, 1, 0, 1 if record else 0, 0, 0, 0, 0])
    s.sendto(query[:2] + flags + counts + question + record, peer)
