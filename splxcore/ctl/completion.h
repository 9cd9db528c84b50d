/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_COMPLETION_H
#define SPLX_CTL_COMPLETION_H

#include <stdio.h>

/* The completion script for bash, made from the verb table. */
void completion_bash(FILE *f);

#endif
