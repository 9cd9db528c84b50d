/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_SNMP_H
#define SPLX_NOTIFY_SNMP_H

#include "ber.h"
#include "job.h"

/*
 * Traps, by SPLX-MIB: SNMPv2-Trap-PDUs with the community (v2c), or of a user
 * with SHA-256 and AES-128 (v3; RFC 3412, 3414, 3826, 7860). We are the engine
 * that is authoritative for them; its time is that of the clock, so that it
 * goes on after every start.
 */
#define SNMP_BASE "1.3.6.1.4.1.8072.9999.9999.7533"
#define SNMP_ENGINE_MAX 32

/* The engine's name, made of the host's. Returns its length. */
size_t snmp_engine(const char *host, uint8_t out[SNMP_ENGINE_MAX]);
/* The key of a password for an engine (RFC 3414, 2.6). */
int snmp_key(const char *password, const uint8_t *engine, size_t engine_len,
	     uint8_t out[32], struct err *err);

struct snmp_when {
	uint32_t boots, seconds; /* of the engine */
	uint32_t ticks;		 /* of the machine: hundredths */
	int32_t id;
	uint8_t salt[8];
};
/* One datagram; -1 and *err. */
int snmp_encode(const struct job *job, json_t *message,
		const struct snmp_when *when, struct ber *out, struct err *err);

#endif
