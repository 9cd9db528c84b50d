/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "signing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"

#define KIND "ed25519"
#define PUBLIC_LEN 32
#define SIGNATURE_LEN 64
#define BASE64_LEN 88 /* of a signature */
#define KEY_FILE_MAX 16384
/* Nothing else that is signed with such a key can pass for a manifest. */
#define CONTEXT "splx signed text 1\n"

/* ---- keys ---- */

/* 0, or -1 for a key that is not of ours. */
static int key_id(EVP_PKEY *key, char id_r[SIGNING_ID_LEN + 1])
{
	struct hash *hash = NULL;
	uint8_t public[PUBLIC_LEN], bytes[HASH_LEN];
	char hex[HASH_HEX_LEN + 1];
	size_t len = sizeof(public);

	if (EVP_PKEY_id(key) != EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_raw_public_key(key, public, &len) != 1)
		return -1;
	hash = hash_new();
	hash_add(hash, public, len);
	hash_end(&hash, bytes);
	str_copy(id_r, SIGNING_ID_LEN + 1, hash_hex(hex, bytes));
	return 0;
}

/* NULL and *err when there is none in the file. */
static EVP_PKEY *key_read(const char *path, bool private,
			  char id_r[SIGNING_ID_LEN + 1], struct err *err)
{
	const char *kind = private ? "private" : "public";
	EVP_PKEY *key;
	char *text;
	size_t len;
	BIO *bio;

	if (fd_read_file(path, KEY_FILE_MAX, &text, &len, err) < 0)
		return NULL;
	bio = BIO_new_mem_buf(text, (int)len);
	key = private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, "")
		      : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	BIO_free(bio);
	explicit_bzero(text, len);
	free(text);
	if (!key || key_id(key, id_r) < 0) {
		err_set(err, 0, "%s: no Ed25519 %s key in PEM form", path,
			kind);
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static int is_pem(const struct dirent *de)
{
	return de->d_name[0] != '.' && str_ends(de->d_name, ".pem");
}

void signing_keys_read(const char *dir, struct signing_keys *keys_r)
{
	struct signing_key key = {0};
	struct dirent **names;
	struct err err = {0};
	int n;

	memset(keys_r, 0, sizeof(*keys_r));
	n = scandir(dir, &names, is_pem, alphasort);
	if (n < 0 && errno != ENOENT) {
		err_set(&err, errno, "%s", dir);
		vec_push(&keys_r->problems, err);
	}
	for (int i = 0; i < n; i++) {
		key.file = xasprintf("%s/%s", dir, names[i]->d_name);
		key.key = key_read(key.file, false, key.id, &err);
		if (key.key) {
			vec_push(keys_r, key);
		} else {
			vec_push(&keys_r->problems, err);
			free(key.file);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

void signing_keys_free(struct signing_keys *keys)
{
	struct signing_key *k;

	vec_each (k, keys) {
		free(k->file);
		EVP_PKEY_free(k->key);
	}
	vec_free(keys);
	vec_free(&keys->problems);
}

/* Into a file that was not there before. */
static int key_write(EVP_PKEY *key, const char *path, bool private,
		     struct err *err)
{
	int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		     private ? 0600 : 0644);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;
	int rc;

	if (fd < 0) {
		BIO_free(bio);
		return err_set(err, errno, "%s", path);
	}
	rc = private ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0,
						     NULL, NULL)
		     : PEM_write_bio_PUBKEY(bio, key);
	len = BIO_get_mem_data(bio, &text);
	if (rc != 1)
		rc = err_set(err, 0, "%s: the key cannot be written", path);
	else if (fd_write_all(fd, text, (size_t)len) < 0 || fsync(fd) < 0)
		rc = err_set(err, errno, "%s", path);
	else
		rc = 0;
	BIO_free(bio);
	close(fd);
	if (rc < 0)
		unlink(path);
	return rc;
}

int signing_key_make(const char *private_path, const char *public_path,
		     char id_r[SIGNING_ID_LEN + 1], struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	int rc;

	if (!key || key_id(key, id_r) < 0)
		panic("no Ed25519 in this OpenSSL");
	rc = key_write(key, private_path, true, err);
	if (rc == 0) {
		rc = key_write(key, public_path, false, err);
		if (rc < 0)
			unlink(private_path);
	}
	EVP_PKEY_free(key);
	return rc;
}

/* ---- signatures ---- */

/* What is really signed; the caller frees it. */
static uint8_t *in_context(const void *text, size_t len, size_t *all_r)
{
	size_t head = sizeof(CONTEXT) - 1;
	uint8_t *all = xmalloc(head + len);

	memcpy(all, CONTEXT, head);
	memcpy(all + head, text, len);
	*all_r = head + len;
	return all;
}

int signing_sign(const char *private_path, const void *text, size_t len,
		 char **line_r, struct err *err)
{
	uint8_t signature[SIGNATURE_LEN];
	char id[SIGNING_ID_LEN + 1], base64[BASE64_LEN + 1];
	EVP_PKEY *key = key_read(private_path, true, id, err);
	size_t all_len, signed_len = sizeof(signature);
	EVP_MD_CTX *md;
	uint8_t *all;
	bool ok;

	if (!key)
		return -1;
	all = in_context(text, len, &all_len);
	md = EVP_MD_CTX_new();
	ok = EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
	     EVP_DigestSign(md, signature, &signed_len, all, all_len) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	free(all);
	if (!ok)
		return err_set(err, 0, "%s: signing failed", private_path);
	EVP_EncodeBlock((uint8_t *)base64, signature, sizeof(signature));
	*line_r = xasprintf(KIND " %s %s\n", id, base64);
	return 0;
}

static bool is_good(const struct signing_key *key, const uint8_t *all,
		    size_t len, const char *base64)
{
	uint8_t signature[SIGNATURE_LEN + 2]; /* decoded with its padding */
	EVP_MD_CTX *md;
	bool good;

	if (strlen(base64) != BASE64_LEN ||
	    EVP_DecodeBlock(signature, (const uint8_t *)base64, BASE64_LEN) !=
		    (int)sizeof(signature))
		return false;
	md = EVP_MD_CTX_new();
	good = EVP_DigestVerifyInit(md, NULL, NULL, NULL, key->key) == 1 &&
	       EVP_DigestVerify(md, signature, SIGNATURE_LEN, all, len) == 1;
	EVP_MD_CTX_free(md);
	return good;
}

static const struct signing_key *find_key(const struct signing_keys *keys,
					  const char *id)
{
	const struct signing_key *k;

	vec_each (k, keys)
		if (strcmp(k->id, id) == 0)
			return k;
	return NULL;
}

/* What the lines came to. */
struct search {
	const struct signing_key *good, *wrong;
	struct str strangers;
};

static void look_at(const struct signing_keys *keys, const char *line,
		    const uint8_t *all, size_t len, struct search *s)
{
	char kind[16], id[SIGNING_ID_LEN + 2], base64[BASE64_LEN + 2];
	const struct signing_key *key;

	if (sscanf(line, "%15s %17s %89s", kind, id, base64) != 3 ||
	    strcmp(kind, KIND) != 0 ||
	    strspn(id, "0123456789abcdef") != SIGNING_ID_LEN ||
	    id[SIGNING_ID_LEN])
		return;
	key = find_key(keys, id);
	if (!key && s->strangers.len < 200)
		str_addf(&s->strangers, "%s%s", s->strangers.len ? ", " : "",
			 id);
	else if (key && is_good(key, all, len, base64))
		s->good = key;
	else if (key)
		s->wrong = key;
}

int signing_check(const struct signing_keys *keys, const void *text, size_t len,
		  const char *lines, char id_r[SIGNING_ID_LEN + 1],
		  struct err *err)
{
	char *copy = xstrdup(lines), *save, *line;
	struct search s = {0};
	size_t all_len;
	uint8_t *all = in_context(text, len, &all_len);
	int rc = 0;

	for (line = strtok_r(copy, "\r\n", &save); line && !s.good;
	     line = strtok_r(NULL, "\r\n", &save))
		look_at(keys, line, all, all_len, &s);
	if (s.good)
		str_copy(id_r, SIGNING_ID_LEN + 1, s.good->id);
	else if (s.wrong)
		rc = err_set(err, 0,
			     "the signature by key %s (%s) is wrong: what was "
			     "signed has been changed",
			     s.wrong->id, s.wrong->file);
	else if (s.strangers.len)
		rc = err_set(err, 0, "it is signed by %s, which is not trusted",
			     str_get(&s.strangers));
	else
		rc = err_set(err, 0, "there is no signature in it");
	str_free(&s.strangers);
	free(all);
	free(copy);
	return rc;
}
