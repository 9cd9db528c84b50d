/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_KEEPERS_H
#define SPLX_ENTITY_KEEPERS_H

/*
 * Store, quarantine and findings as parts of core: keepers.c has their
 * X_init() and X_deinit() (store.h, quarantine.h, findings.h) and what is to
 * be done now and then: trying again what failed, purging by age and size.
 */

/* verbs_scan.c: ends the exemption of all scanning clients. */
void scan_clients_end(void);

#endif
