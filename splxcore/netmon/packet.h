/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_PACKET_H
#define SPLX_NETMON_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netjudge.h"

/*
 * Reads a packet's IPv4 or IPv6 header with what stands before TCP's, and the
 * ports; of `len` bytes nothing behind is looked at. `in` tells which end is
 * ours. Sets addresses, ports, v6 and in of *conn_r, leaves the rest. False
 * when it is no first packet of TCP's, or cut off before the ports.
 */
bool packet_read(const uint8_t *data, size_t len, bool in, struct conn *conn_r);

#endif
