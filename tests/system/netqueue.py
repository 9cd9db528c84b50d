#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""netqueue.py NUMBER: has that packet queue until it is killed, and answers
nothing: another program that uses NFQUEUE."""

import socket
import struct
import sys
import time

NETLINK_NETFILTER, SUBSYS_QUEUE, CONFIG = 12, 3, 2
REQUEST_ACK = 1 | 4
CFG_CMD, BIND = 1, 1


def main(number):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    s.bind((0, 0))
    attr = struct.pack("=HHBBH", 8, CFG_CMD, BIND, 0, 0)
    body = struct.pack("=BBH", 0, 0, socket.htons(number)) + attr
    s.send(struct.pack("=IHHII", 16 + len(body),
                       SUBSYS_QUEUE << 8 | CONFIG, REQUEST_ACK, 1, 0) + body)
    error = struct.unpack("=i", s.recv(4096)[16:20])[0]
    if error:
        sys.exit(f"queue {number}: {error}")
    time.sleep(60)


if __name__ == "__main__":
    main(int(sys.argv[1]))
