/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_SCANJOB_H
#define SPLX_COMMON_SCANJOB_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "verdict.h"

/*
 * Scan jobs: a client (splxctl, later the scheduler) opens the files with its
 * own rights and sends their descriptors over SOCK_SEQPACKET to scan.sock.
 * vsapiapp hands the connection itself to its back workers; each takes the
 * next record from it when it is free, so that all of them work and nobody
 * stands between. Answers come in any order on the same connection, by id.
 *
 * What comes over scan-low.sock is of low priority: one worker of its own does
 * it, which gets what CPU and disks have left. Each scan may take longer there,
 * ScanTimeout times SCANJOB_LOW_PATIENCE.
 */
#define SCANJOB_VERSION 2
#define SCANJOB_LOW_PATIENCE 10

enum scanjob_kind {
	SCANJOB_HELLO, /* first record, no descriptor; answered by HELLO; a
			  verdict other than CLEAN there: refused, virus says
			  why. Its source is looked at already */
	SCANJOB_FILE,  /* with one descriptor */
};

#define SCANJOB_IGNORE_KNOWN 1u /* scan it though it is known clean */

struct scanjob_request {
	uint32_t version;
	uint32_t kind;	       /* enum scanjob_kind */
	uint64_t id;	       /* the client's, never 0 */
	uint32_t flags;	       /* SCANJOB_* */
	uint32_t source;       /* SOURCE_MANUAL or one behind it; those behind
				  SOURCE_SCHEDULED are root's alone */
	uint32_t first_action; /* ACTION_NONE: report alone */
	uint32_t second_action;
	uint64_t job;	 /* entity's number of the scan, which its findings
			    carry; 0: the connection's */
	char path[4096]; /* for people */
};

struct scanjob_reply {
	uint32_t version;
	uint32_t kind;
	uint64_t id;
	uint32_t verdict; /* enum verdict */
	uint32_t known;	  /* it was known clean, no scan */
	uint64_t bytes;
	uint64_t scan_ns;
	char virus[256]; /* or what went wrong */
	/* HELLO: */
	uint32_t workers;
	uint32_t pad;
	uint64_t job; /* names the connection */
};

/*
 * A client. open: connects, waits for HELLO at most 10 s; NULL and *err, code
 *   EACCES when the service refuses.
 * put: sends one file; blocks while as many are under way as the service
 *   takes, delivering answers to `fn` meanwhile. The descriptor stays the
 *   caller's and may be closed afterwards.
 * drain: waits until every file is answered.
 * When the service goes away each file that was under way is delivered with
 * VERDICT_ERROR, and put and drain return -1 and *err; the file that put was
 * called for is then not delivered.
 * When a signal handler runs while they wait, put (before it has sent the
 * file) and drain return -1 with EINTR in err->code; nothing is lost, and they
 * may be called again.
 * `fn` must not call back into the client.
 */
struct scanclient;
typedef void (*scanclient_fn)(const struct scanjob_reply *reply,
			      const char *path, void *arg);
struct scanclient *scanclient_open(const char *sock_path,
				   enum scan_source source, int first_action,
				   int second_action, scanclient_fn fn,
				   void *arg, struct err *err);
int scanclient_put(struct scanclient *sc, int fd, const char *path,
		   uint32_t flags, struct err *err);
int scanclient_drain(struct scanclient *sc, struct err *err);
/* How many files are under way. */
unsigned int scanclient_pending(const struct scanclient *sc);
unsigned int scanclient_workers(const struct scanclient *sc);
/* The number of the connection; until scanclient_set_job() findings carry it.
 */
uint64_t scanclient_job(const struct scanclient *sc);
/* The number that findings of the files sent from now on carry. */
void scanclient_set_job(struct scanclient *sc, uint64_t job);
/* At most so many files are under way from now on (1 or more). */
void scanclient_limit(struct scanclient *sc, unsigned int window);
/* The path of the file that is under way for longest; NULL when none is. Valid
 * until the next call. */
const char *scanclient_oldest(const struct scanclient *sc);
/* True once the service went away. */
bool scanclient_broken(const struct scanclient *sc);
/* Files still under way are forgotten, not delivered. */
void scanclient_close(struct scanclient **sc);

#endif
