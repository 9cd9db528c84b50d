/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * certificate.*.
 * certificate.show, certificate.set, certificate.renew {"subject", "issuer",
 *   "names", "not_before", "not_after": ns since 1970, "fingerprint", "key",
 *   "self_made"}
 * What somebody uploads is read by a child, not here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "childjob.h"
#include "common/cert.h"
#include "common/jsontext.h"
#include "common/paths.h"
#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/proc.h"
#include "lib/str.h"

#define TIME_MS 20000
#define S_NS ((int64_t)CLOCK_NS_PER_S)

static json_t *info_json(const struct cert_info *i)
{
	return json_pack("{s:o, s:o, s:s, s:I, s:I, s:s, s:s, s:b}", "subject",
			 jsontext_new(i->subject), "issuer",
			 jsontext_new(i->issuer), "names", i->names,
			 "not_before", (json_int_t)i->not_before_s * S_NS,
			 "not_after", (json_int_t)i->not_after_s * S_NS,
			 "fingerprint", i->fingerprint, "key", i->key,
			 "self_made", i->self_made);
}

static json_t *shown(struct err *err)
{
	struct cert_info info;

	return cert_show(paths()->console_dir, &info, err) < 0
		       ? NULL
		       : info_json(&info);
}

void verb_certificate_show(struct core *core, struct ipc_call *call,
			   json_t *args)
{
	struct err err = {0};
	json_t *data = shown(&err);

	(void)args;
	if (data)
		dispatch_reply(core, call, data);
	else if (err.code == ENOENT)
		dispatch_fail(core, call, "not_found",
			      "there is no certificate yet: the web console "
			      "makes one when it starts first");
	else
		dispatch_fail(core, call, "failed", "%s", err.text);
}

/* ---- another one ---- */

struct renewal {
	struct core *core;
	struct ipc_call *call;
	char *chain, *key; /* NULL: one is made */
	gid_t gid;
	const char *dir;
};

struct outcome {
	bool done;
	struct err err;
};

static void renewal_free(struct renewal *r)
{
	free(r->chain);
	secret_free(&r->key);
	free(r);
}

/* In the child. */
static void renew(void *arg, void *result)
{
	struct renewal *r = arg;
	struct outcome *out = result;
	struct cert *cert = xcalloc(1, sizeof(*cert));

	if ((r->chain ? cert_read(r->chain, r->key, cert, &out->err)
		      : cert_make(cert, &out->err)) == 0 &&
	    cert_install(r->dir, cert, r->gid, &out->err) == 0)
		out->done = true;
	explicit_bzero(cert, sizeof(*cert));
	free(cert);
}

static void renewed(void *arg, const void *result)
{
	struct renewal *r = arg;
	const struct outcome *out = result;
	struct err err;
	json_t *data = NULL;

	if (!out)
		dispatch_fail(r->core, r->call, "failed",
			      "the certificate could not be looked at");
	else if (!out->done)
		dispatch_fail(r->core, r->call,
			      out->err.code ? "failed" : "invalid", "%s",
			      out->err.text);
	else if (!(data = shown(&err)))
		dispatch_fail(r->core, r->call, "failed", "%s", err.text);
	if (data) {
		dispatch_audit_change(r->core, r->call, NULL,
				      json_incref(data));
		dispatch_reply(r->core, r->call, data);
	}
	renewal_free(r);
}

static void begin(struct core *core, struct ipc_call *call, const char *chain,
		  const char *key)
{
	struct renewal *r = xcalloc(1, sizeof(*r));
	struct childjob_work work = {
		.run = renew,
		.done = renewed,
		.arg = r,
		.result_size = sizeof(struct outcome),
		.timeout_ms = TIME_MS,
	};
	struct err err;
	uid_t uid;

	r->core = core;
	r->call = call;
	r->chain = chain ? xstrdup(chain) : NULL;
	r->key = key ? xstrdup(key) : NULL;
	r->dir = paths()->console_dir;
	if (proc_user(core_conf(core)->console_user, &uid, &r->gid, NULL) < 0)
		r->gid = 0;
	if (childjob_start(core->loop, &work, &err))
		return;
	dispatch_fail(core, call, "unavailable", "%s", err.text);
	renewal_free(r);
}

void verb_certificate_set(struct core *core, struct ipc_call *call,
			  json_t *args)
{
	const char *chain = dispatch_arg(args, "certificate");
	const char *key = dispatch_arg(args, "key");

	/* Who it is for is told by what comes of it, not by pages of PEM. */
	dispatch_audit_args(core, call, NULL);
	if (chain && key)
		begin(core, call, chain, key);
	else
		dispatch_fail(core, call, "bad_request",
			      "--certificate and --key are wanted");
}

void verb_certificate_renew(struct core *core, struct ipc_call *call,
			    json_t *args)
{
	(void)args;
	begin(core, call, NULL, NULL);
}
