/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "snmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypt.h"
#include "dgram.h"
#include "lib/clock.h"

/* So that all of it together fits into one datagram. */
#define TEXT_MAX 64
#define VIRUS_MAX 128
#define LONG_TEXT_MAX 300 /* of a path and a message */
#define MAC_LEN 24	  /* HMAC-192-SHA-256 */
#define STRETCH 1048576
#define MSG_MAX 65507

#define FLAG_AUTH 1
#define FLAG_PRIV 2

/* ---- what a trap says ---- */

static const char *trap_of(const char *kind)
{
	static const char *const kinds[] = {"virus",  "scan",	 "update",
					    "system", "network", "audit",
					    "digest", "test"};
	static const char *const oids[] = {SNMP_BASE ".0.1", SNMP_BASE ".0.2",
					   SNMP_BASE ".0.3", SNMP_BASE ".0.4",
					   SNMP_BASE ".0.5", SNMP_BASE ".0.6",
					   SNMP_BASE ".0.7", SNMP_BASE ".0.8"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i], kind) == 0)
			return oids[i];
	return oids[3];
}

static void begin_var(const char *oid, size_t mark, struct ber *b)
{
	ber_oid(b, oid);
	ber_wrap(b, BER_SEQUENCE, mark);
}

static void add_text(struct ber *b, const char *oid, const char *text,
		     size_t max)
{
	size_t mark = ber_mark(b);
	struct str cut = {0};

	str_add(&cut, text);
	job_cut(&cut, max);
	ber_text(b, str_get(&cut));
	str_free(&cut);
	begin_var(oid, mark, b);
}

static void add_number(struct ber *b, const char *oid, int tag, int64_t n)
{
	size_t mark = ber_mark(b);

	ber_number(b, tag, n);
	begin_var(oid, mark, b);
}

static int64_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void add_event(struct ber *b, json_t *event)
{
	if (json_is_integer(json_object_get(event, "code")))
		add_number(b, SNMP_BASE ".1.9.0", BER_UNSIGNED,
			   number(event, "code"));
	if (*job_text(event, "action"))
		add_text(b, SNMP_BASE ".1.8.0", job_text(event, "action"),
			 TEXT_MAX);
	if (*job_text(event, "path"))
		add_text(b, SNMP_BASE ".1.7.0", job_text(event, "path"),
			 LONG_TEXT_MAX);
	if (*job_text(event, "virus"))
		add_text(b, SNMP_BASE ".1.6.0", job_text(event, "virus"),
			 VIRUS_MAX);
	add_number(b, SNMP_BASE ".1.1.0", BER_UNSIGNED,
		   number(event, "id") & 0xffffffff);
}

/* From the last to the first, as all here. */
static void add_vars(const struct job *job, json_t *message,
		     const struct snmp_when *when, struct ber *b)
{
	size_t mark = ber_mark(b), var;
	json_t *digest = json_object_get(message, "digest");
	struct str line = {0};
	char time[40];

	message_line(message, &line);
	if (digest)
		add_number(b, SNMP_BASE ".1.11.0", BER_UNSIGNED,
			   number(digest, "count") & 0xffffffff);
	if (message_event(message))
		add_event(b, message_event(message));
	add_text(b, SNMP_BASE ".1.10.0", job->host, TEXT_MAX);
	add_text(b, SNMP_BASE ".1.5.0", str_get(&line), LONG_TEXT_MAX);
	add_number(b, SNMP_BASE ".1.4.0", BER_INTEGER,
		   message_severity(message));
	add_text(b, SNMP_BASE ".1.3.0", message_kind(message), TEXT_MAX);
	add_text(b, SNMP_BASE ".1.2.0", job_time(time, message_time(message)),
		 TEXT_MAX);
	var = ber_mark(b);
	ber_oid(b, trap_of(message_kind(message)));
	begin_var("1.3.6.1.6.3.1.1.4.1.0", var, b);
	add_number(b, "1.3.6.1.2.1.1.3.0", BER_TICKS, when->ticks);
	ber_wrap(b, BER_SEQUENCE, mark);
	str_free(&line);
}

static void add_pdu(const struct job *job, json_t *message,
		    const struct snmp_when *when, struct ber *b)
{
	size_t mark = ber_mark(b);

	add_vars(job, message, when, b);
	ber_number(b, BER_INTEGER, 0);
	ber_number(b, BER_INTEGER, 0);
	ber_number(b, BER_INTEGER, when->id);
	ber_wrap(b, BER_TRAP, mark);
}

/* ---- v2c ---- */

static void encode_v2c(const struct job *job, json_t *message,
		       const struct snmp_when *when, struct ber *b)
{
	const char *community = job_get(job, "password");
	size_t mark = ber_mark(b);

	add_pdu(job, message, when, b);
	ber_text(b, community ? community : "public");
	ber_number(b, BER_INTEGER, 1);
	ber_wrap(b, BER_SEQUENCE, mark);
}

/* ---- v3 ---- */

size_t snmp_engine(const char *host, uint8_t out[SNMP_ENGINE_MAX])
{
	/* RFC 3411, SnmpEngineID: whose number, 4: text follows. */
	static const uint8_t head[] = {0x80, 0x00, 0x1f, 0x88, 0x04};
	size_t n = sizeof(head);

	memcpy(out, head, sizeof(head));
	/* No text with an end, but bytes. */
	while (n < SNMP_ENGINE_MAX && *host)
		out[n++] = (uint8_t)*host++;
	return n;
}

int snmp_key(const char *password, const uint8_t *engine, size_t engine_len,
	     uint8_t out[32], struct err *err)
{
	uint8_t ku[32];
	int rc = crypt_stretch(password, STRETCH, ku, err);

	if (rc == 0)
		rc = crypt_hash3(ku, sizeof(ku), engine, engine_len, ku,
				 sizeof(ku), out, err);
	explicit_bzero(ku, sizeof(ku));
	return rc;
}

struct usm {
	uint8_t engine[SNMP_ENGINE_MAX];
	size_t engine_len;
	uint8_t auth[32], priv[32];
	int flags;
};

static int usm_make(const struct job *job, struct usm *u, struct err *err)
{
	const char *password = job_get(job, "password");
	const char *key = job_get(job, "key");

	memset(u, 0, sizeof(*u));
	u->engine_len = snmp_engine(job->host, u->engine);
	if (!password)
		return 0;
	u->flags = FLAG_AUTH;
	if (snmp_key(password, u->engine, u->engine_len, u->auth, err) < 0)
		return -1;
	if (!key)
		return 0;
	u->flags |= FLAG_PRIV;
	return snmp_key(key, u->engine, u->engine_len, u->priv, err);
}

static void put32(uint8_t *out, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(n >> (24 - 8 * i));
}

/* Enciphers what was written since the mark, and makes it one string. */
static int add_privacy(const struct usm *u, const struct snmp_when *when,
		       size_t mark, struct ber *b, struct err *err)
{
	uint8_t iv[16];

	if (b->full)
		return 0;
	put32(iv, when->boots);
	put32(iv + 4, when->seconds);
	memcpy(iv + 8, when->salt, 8);
	if (crypt_aes_cfb(u->priv, iv, b->buf + b->at, mark - b->at, err) < 0)
		return -1;
	ber_wrap(b, BER_OCTETS, mark);
	return 0;
}

/* Returns where the place for the code of authenticity begins. */
static size_t add_security(const struct job *job, const struct usm *u,
			   const struct snmp_when *when, struct ber *b)
{
	static const uint8_t none[MAC_LEN];
	size_t mark = ber_mark(b), place;

	ber_bytes(b, BER_OCTETS, when->salt,
		  u->flags & FLAG_PRIV ? sizeof(when->salt) : 0);
	place = ber_mark(b) - MAC_LEN;
	ber_bytes(b, BER_OCTETS, none, u->flags & FLAG_AUTH ? MAC_LEN : 0);
	ber_text(b, job_get(job, "user") ? job_get(job, "user") : "");
	ber_number(b, BER_INTEGER, when->seconds);
	ber_number(b, BER_INTEGER, when->boots);
	ber_bytes(b, BER_OCTETS, u->engine, u->engine_len);
	ber_wrap(b, BER_SEQUENCE, mark);
	ber_wrap(b, BER_OCTETS, mark);
	return place;
}

static void add_head(const struct usm *u, const struct snmp_when *when,
		     struct ber *b)
{
	uint8_t flags = (uint8_t)u->flags;
	size_t mark = ber_mark(b);

	ber_number(b, BER_INTEGER, 3); /* USM */
	ber_bytes(b, BER_OCTETS, &flags, 1);
	ber_number(b, BER_INTEGER, MSG_MAX);
	ber_number(b, BER_INTEGER, when->id);
	ber_wrap(b, BER_SEQUENCE, mark);
}

static int authenticate(const struct usm *u, size_t place, struct ber *b,
			struct err *err)
{
	uint8_t mac[CRYPT_SHA256];
	const uint8_t *data;
	size_t len;

	if (!(u->flags & FLAG_AUTH) || b->full)
		return 0;
	data = ber_data(b, &len);
	if (crypt_hmac(u->auth, sizeof(u->auth), data, len, mac, err) < 0)
		return -1;
	memcpy(b->buf + place, mac, MAC_LEN);
	return 0;
}

static int encode_v3(const struct job *job, json_t *message,
		     const struct snmp_when *when, struct ber *b,
		     struct err *err)
{
	size_t mark = ber_mark(b), place;
	struct usm u;
	int rc = usm_make(job, &u, err);

	add_pdu(job, message, when, b);
	ber_bytes(b, BER_OCTETS, "", 0);
	ber_bytes(b, BER_OCTETS, u.engine, u.engine_len);
	ber_wrap(b, BER_SEQUENCE, mark);
	if (rc == 0 && u.flags & FLAG_PRIV)
		rc = add_privacy(&u, when, mark, b, err);
	place = add_security(job, &u, when, b);
	add_head(&u, when, b);
	ber_number(b, BER_INTEGER, 3);
	ber_wrap(b, BER_SEQUENCE, mark);
	if (rc == 0)
		rc = authenticate(&u, place, b, err);
	explicit_bzero(&u, sizeof(u));
	return rc;
}

int snmp_encode(const struct job *job, json_t *message,
		const struct snmp_when *when, struct ber *out, struct err *err)
{
	int rc = 0;

	ber_begin(out);
	if (job_is(job, "protocol", "v3"))
		rc = encode_v3(job, message, when, out, err);
	else
		encode_v2c(job, message, when, out);
	if (rc == 0 && out->full)
		return err_set(err, 0, "the trap gets too long");
	return rc;
}

/* ---- sending ---- */

static int when_now(struct snmp_when *when, struct err *err)
{
	uint64_t s = (uint64_t)clock_real_ns() / CLOCK_NS_PER_S;
	struct timespec up;
	uint32_t id;

	clock_gettime(CLOCK_BOOTTIME, &up);
	when->boots = 1 + (uint32_t)(s >> 31);
	when->seconds = (uint32_t)(s & 0x7fffffff);
	when->ticks = (uint32_t)((uint64_t)up.tv_sec * 100 +
				 (uint64_t)up.tv_nsec / 10000000);
	if (crypt_random(&id, sizeof(id), err) < 0 ||
	    crypt_random(when->salt, sizeof(when->salt), err) < 0)
		return -1;
	when->id = (int32_t)(id & 0x7fffffff);
	return 0;
}

int send_snmp(struct job *job, struct outcome *out, struct err *err)
{
	struct dgram *d = dgram_open(job, "162", err);
	int rc = d ? 0 : -1;
	struct snmp_when when;
	const uint8_t *data;
	json_t *message;
	size_t i, len, n = 0;
	struct ber b;

	json_array_foreach (job->messages, i, message) {
		if (rc < 0)
			break;
		rc = when_now(&when, err);
		if (rc == 0)
			rc = snmp_encode(job, message, &when, &b, err);
		if (rc < 0)
			break;
		data = ber_data(&b, &len);
		rc = dgram_send(d, data, len, err);
		n++;
	}
	/* Which one did not arrive nobody tells. */
	if (rc == 0)
		rc = dgram_end(d, err);
	if (rc == 0) {
		out->sent = n;
		snprintf(out->answer, sizeof(out->answer),
			 "sent; whether it arrived nobody tells (udp)");
	}
	dgram_free(&d);
	return rc;
}
