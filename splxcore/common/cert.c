/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Reading and making certificates; where they lie is cert_install.c's. */
#include "cert_impl.h"

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/str.h"

#define STRENGTH 112 /* bits, as RSA of 2048 has */
#define CHAIN_LEN 16
#define SELF_MADE "splx self-signed"
#define DAY_S 86400l
#define NAMES_MAX 4000

/* ---- what a certificate says ---- */

static void name_text(const X509_NAME *name, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	/* RFC 2253 escapes what is no letter, and what drives a terminal. */
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	n = BIO_get_mem_data(bio, &text);
	snprintf(out, size, "%.*s", (int)(n > 0 ? n : 0), text);
	BIO_free(bio);
}

static void add_name(char *out, size_t size, const char *name)
{
	size_t len = strlen(out);

	/* Nothing hostile gets into a list that people read. */
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789.:*_-") == strlen(name))
		snprintf(out + len, size - len, "%s%s", len ? ", " : "", name);
}

static void alt_name(const GENERAL_NAME *name, char *out, size_t size)
{
	char text[256] = "";
	int type;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

	if (type == GEN_DNS)
		snprintf(text, sizeof(text), "%.*s", ASN1_STRING_length(value),
			 (const char *)ASN1_STRING_get0_data(value));
	else if (type == GEN_IPADD && ASN1_STRING_length(value) == 4)
		inet_ntop(AF_INET, ASN1_STRING_get0_data(value), text,
			  sizeof(text));
	else if (type == GEN_IPADD && ASN1_STRING_length(value) == 16)
		inet_ntop(AF_INET6, ASN1_STRING_get0_data(value), text,
			  sizeof(text));
	if (*text)
		add_name(out, size, text);
}

static void alt_names(X509 *x, char *out, size_t size)
{
	GENERAL_NAMES *names =
		X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int i;

	*out = '\0';
	for (i = 0; i < sk_GENERAL_NAME_num(names); i++)
		alt_name(sk_GENERAL_NAME_value(names, i), out, size);
	GENERAL_NAMES_free(names);
}

static int64_t seconds(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

static void describe(X509 *x, struct cert_info *info)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	const X509_NAME *issuer = X509_get_issuer_name(x);
	const EVP_PKEY *key = X509_get0_pubkey(x);
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0, i;

	memset(info, 0, sizeof(*info));
	name_text(subject, info->subject, sizeof(info->subject));
	name_text(issuer, info->issuer, sizeof(info->issuer));
	alt_names(x, info->names, sizeof(info->names));
	X509_digest(x, EVP_sha256(), hash, &len);
	for (i = 0; i < len && i < 32; i++)
		snprintf(info->fingerprint + 2 * i, 3, "%02x", hash[i]);
	if (key)
		snprintf(info->key, sizeof(info->key), "%.20s %d",
			 EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
	info->not_before_s = seconds(X509_get0_notBefore(x));
	info->not_after_s = seconds(X509_get0_notAfter(x));
	info->self_made = X509_NAME_cmp(subject, issuer) == 0 &&
			  strstr(info->issuer, SELF_MADE);
}

/* ---- reading ---- */

static int no_password(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

static BIO *bio_of(const char *text)
{
	return BIO_new_mem_buf(text, (int)strlen(text));
}

static int read_chain(const char *text, STACK_OF(X509) * chain, struct err *err)
{
	BIO *bio = bio_of(text);
	X509 *x;

	while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
		if (sk_X509_num(chain) >= CHAIN_LEN ||
		    !sk_X509_push(chain, x)) {
			X509_free(x);
			break;
		}
	}
	BIO_free(bio);
	if (sk_X509_num(chain) == 0)
		return err_set(err, 0, "there is no certificate in PEM");
	if (x)
		return err_set(err, 0, "the chain has over %d links",
			       CHAIN_LEN);
	return 0;
}

static int check_strength(X509 *x, struct err *err)
{
	int md, pk, bits = 0;
	uint32_t flags;

	if (!X509_get0_pubkey(x) ||
	    EVP_PKEY_get_security_bits(X509_get0_pubkey(x)) < STRENGTH)
		return err_set(err, 0,
			       "its key is too weak: RSA of 2048 bits or EC of "
			       "256 is the least");
	/* Who signs himself is believed by no signature. */
	if (X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) ==
	    0)
		return 0;
	if (X509_get_signature_info(x, &md, &pk, &bits, &flags) && bits > 0 &&
	    bits < STRENGTH)
		return err_set(err, 0,
			       "its signature is too weak (SHA-1 or MD5)");
	return 0;
}

static int check_one(X509 *x, struct err *err)
{
	if (X509_cmp_current_time(X509_get0_notBefore(x)) >= 0)
		return err_set(err, 0, "it is not valid yet");
	if (X509_cmp_current_time(X509_get0_notAfter(x)) <= 0)
		return err_set(err, 0, "it has expired");
	return check_strength(x, err);
}

static int check_chain(const STACK_OF(X509) * chain, struct err *err)
{
	X509 *own = sk_X509_value(chain, 0);
	const EVP_PKEY *key = X509_get0_pubkey(own);
	int i;

	if (!key || (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "EC")))
		return err_set(err, 0,
			       "its key is neither RSA nor EC: browsers take "
			       "no others");
	if (X509_check_purpose(own, X509_PURPOSE_SSL_SERVER, 0) != 1)
		return err_set(err, 0, "it is not for a server");
	for (i = 0; i < sk_X509_num(chain); i++)
		if (check_one(sk_X509_value(chain, i), err) < 0)
			return err_add(err, "certificate %d", i + 1);
	for (i = 1; i < sk_X509_num(chain); i++)
		if (X509_check_issued(sk_X509_value(chain, i),
				      sk_X509_value(chain, i - 1)) != X509_V_OK)
			return err_set(err, 0,
				       "certificate %d was not issued by "
				       "certificate %d: the chain begins with "
				       "the server's own",
				       i, i + 1);
	return 0;
}

static EVP_PKEY *read_key(const char *text, X509 *own, struct err *err)
{
	BIO *bio = bio_of(text);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);

	BIO_free(bio);
	if (!key) {
		err_set(err, 0,
			"there is no private key in PEM, or it has a password");
		return NULL;
	}
	if (X509_check_private_key(own, key) == 1)
		return key;
	EVP_PKEY_free(key);
	err_set(err, 0, "the key is not that of the certificate");
	return NULL;
}

/* What was written, as text; false when it is too long. */
static bool take_text(BIO *bio, char *out, size_t size)
{
	char *text;
	long n = BIO_get_mem_data(bio, &text);

	if (n <= 0 || (size_t)n >= size)
		return false;
	memcpy(out, text, (size_t)n);
	out[n] = '\0';
	return true;
}

static int write_out(const STACK_OF(X509) * chain, EVP_PKEY *key,
		     struct cert *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	BIO *secret = BIO_new(BIO_s_secmem());
	bool ok = true;
	int i;

	for (i = 0; i < sk_X509_num(chain); i++)
		ok = ok && PEM_write_bio_X509(bio, sk_X509_value(chain, i));
	ok = ok &&
	     PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) &&
	     take_text(bio, out->chain, sizeof(out->chain)) &&
	     take_text(secret, out->key, sizeof(out->key));
	BIO_free(bio);
	BIO_free(secret);
	if (!ok)
		return err_set(err, 0, "it cannot be written anew");
	describe(sk_X509_value(chain, 0), &out->info);
	return 0;
}

int cert_read(const char *chain, const char *key, struct cert *out,
	      struct err *err)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	EVP_PKEY *pkey = NULL;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (strlen(chain) >= CERT_CHAIN_MAX || strlen(key) >= CERT_KEY_MAX)
		err_set(err, 0, "it is too long");
	else if (read_chain(chain, certs, err) == 0 &&
		 check_chain(certs, err) == 0)
		pkey = read_key(key, sk_X509_value(certs, 0), err);
	if (pkey)
		rc = write_out(certs, pkey, out, err);
	EVP_PKEY_free(pkey);
	sk_X509_pop_free(certs, X509_free);
	return rc;
}

int cert_describe(const char *chain, struct cert_info *info_r, struct err *err)
{
	BIO *bio = bio_of(chain);
	X509 *x = PEM_read_bio_X509(bio, NULL, no_password, NULL);

	BIO_free(bio);
	if (!x)
		return err_set(err, 0, "there is no certificate in PEM");
	describe(x, info_r);
	X509_free(x);
	return 0;
}

/* ---- making ---- */

static void add_alt(struct str *list, const char *kind, const char *name)
{
	char item[300], *all = xasprintf("%s,", str_get(list));

	snprintf(item, sizeof(item), "%s:%s,", kind, name);
	if (list->len < NAMES_MAX && !strchr(name, ',') && !strstr(all, item))
		str_addf(list, "%s%s:%s", list->len ? "," : "", kind, name);
	free(all);
}

static void add_addresses(struct str *list)
{
	struct ifaddrs *all = NULL, *a;
	char text[NI_MAXHOST];
	socklen_t len;

	if (getifaddrs(&all) < 0)
		return;
	for (a = all; a; a = a->ifa_next) {
		int family = a->ifa_addr ? a->ifa_addr->sa_family : 0;

		if (family != AF_INET && family != AF_INET6)
			continue;
		len = family == AF_INET ? sizeof(struct sockaddr_in)
					: sizeof(struct sockaddr_in6);
		/* Link-local ones have a scope, which no certificate knows. */
		if (getnameinfo(a->ifa_addr, len, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) == 0 &&
		    !strchr(text, '%'))
			add_alt(list, "IP", text);
	}
	freeifaddrs(all);
}

static bool is_host(const char *name)
{
	return *name && strlen(name) <= 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
			    "YZ0123456789.-") == strlen(name);
}

static int add_extension(X509 *x, int nid, const char *value, struct err *err)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok ? 0 : err_set(err, 0, "extension %s", OBJ_nid2sn(nid));
}

static int fill(X509 *x, EVP_PKEY *key, struct err *err)
{
	struct str names = {0};
	char host[HOST_NAME_MAX + 1] = "";
	unsigned char serial[16];
	BIGNUM *number;
	int rc;

	gethostname(host, sizeof(host) - 1);
	if (!is_host(host))
		str_copy(host, sizeof(host), "localhost");
	add_alt(&names, "DNS", host);
	add_alt(&names, "DNS", "localhost");
	add_addresses(&names);
	RAND_bytes(serial, sizeof(serial));
	serial[0] &= 0x7f;
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
	BN_free(number);
	X509_set_version(x, X509_VERSION_3);
	/* A clock that is a little behind believes it, too. */
	X509_gmtime_adj(X509_getm_notBefore(x), -DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(x), (CERT_DAYS - 1) * DAY_S);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "O", MBSTRING_ASC,
				   (const unsigned char *)SELF_MADE, -1, -1, 0);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)host, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	rc = add_extension(x, NID_subject_alt_name, str_get(&names), err) < 0 ||
			     add_extension(x, NID_basic_constraints,
					   "critical,CA:FALSE", err) < 0 ||
			     add_extension(x, NID_key_usage,
					   "critical,digitalSignature",
					   err) < 0 ||
			     add_extension(x, NID_ext_key_usage, "serverAuth",
					   err) < 0
		     ? -1
		     : 0;
	str_free(&names);
	return rc;
}

int cert_make(struct cert *out, struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *x = X509_new();
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (!key || !x || !sk_X509_push(chain, x))
		err_set(err, 0, "no key can be made");
	else if (fill(x, key, err) == 0 && X509_sign(x, key, EVP_sha256()))
		rc = write_out(chain, key, out, err);
	EVP_PKEY_free(key);
	sk_X509_pop_free(chain, X509_free);
	return rc < 0 ? err_add(err, "certificate") : 0;
}
