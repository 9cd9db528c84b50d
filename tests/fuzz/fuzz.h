/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_FUZZ_H
#define SPLX_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * One hostile input; called again and again in one process. Ends the process
 * (abort, sanitizer) when a promise is broken. Returns 0.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
