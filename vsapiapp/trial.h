/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_TRIAL_H
#define SPLX_VSAPIAPP_TRIAL_H

/*
 * `vsapiapp --trial DIR`: tries a set of patterns that is not in use. In the
 * jail of a generation, as the scan user, with limits of its own, the engine
 * is loaded with it as it would be to serve; it has to find the marker, to
 * pass a clean text, and to pass programs and libraries of the system, for a
 * pattern that calls these infected would stop the machine.
 *
 * Prints one JSON object on standard output: {"ok": true, "signatures",
 * "pattern_time", "files": how many of the system were passed, "load_ms"}, or
 * {"ok": false, "why": text}. Ends the process with status 0 or 1; whoever runs
 * it takes a signal for a failure too.
 *
 * Changes nothing. Needs root, but not the running service.
 */
struct trial_limits {
	unsigned int seconds;	   /* 0: TRIAL_SECONDS */
	unsigned long long memory; /* bytes; 0: TRIAL_SHARE of the free */
};
#define TRIAL_SECONDS 600
#define TRIAL_SHARE 80 /* percent */
void trial_run(const char *dir, const struct trial_limits *limits)
	__attribute__((noreturn));
/*
 * `vsapiapp -c FILE`: the same place and limits for database_check(). Prints
 * {"ok": true, "version", "signatures", "time"} or {"ok": false, "why": text}.
 */
void trial_check(const char *file, const struct trial_limits *limits)
	__attribute__((noreturn));

#endif
