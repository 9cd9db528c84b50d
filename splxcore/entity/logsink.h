/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_LOGSINK_H
#define SPLX_ENTITY_LOGSINK_H

#include "core.h"

/*
 * Takes the log records of all processes from INHERIT_LOG_RX and writes them,
 * and our own lines, into paths()->log_file (and to syslog by LogSyslog, and
 * to standard error in the foreground). A log file that was moved or removed
 * is begun anew within seconds; one that cannot be written costs lines, never
 * time. Records that came while no core was there are taken at the start.
 */
int logsink_init(struct core *core, struct err *err);
/* Takes what still waits. */
void logsink_deinit(struct core *core);

/* Takes LogLevel and LogSyslog from the settings in force. */
void logsink_configure(struct core *core);
/* Opens the file anew: it was rotated. */
void logsink_reopen(struct core *core);

#endif
