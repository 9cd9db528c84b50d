/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/hash.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"

#define MAGIC "SPLXSEAL"
#define VERSION 1
#define TAG 16
#define SALT 32
#define LABEL "splx seal 1"
#define END_LEN 40
#define READ_BUF 65536

enum frame_type { FRAME_META = 1, FRAME_DATA = 2, FRAME_END = 3 };

/* What sealing and opening have in common: the place in the file. */
struct stream {
	EVP_CIPHER_CTX *cipher;
	int fd;
	uint8_t header[SEAL_HEADER];
	uint8_t key[SEAL_KEY_LEN];
	uint64_t number; /* of the next frame */
	uint8_t text[SEAL_FRAME_MAX];
	uint8_t sealed[4 + SEAL_FRAME_MAX + TAG];
};

static void put_le(uint8_t *out, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t)in[i] << (8 * i);
	return value;
}

void seal_random(void *out, size_t len)
{
	if (RAND_bytes(out, (int)len) != 1)
		panic("no random bytes are to be had");
}

/* ---- keys ---- */

static int key_read(const char *path, struct seal_key *key_r, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_set(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0) {
		err_set(err, errno, "fstat %s", path);
	} else if (!S_ISREG(st.st_mode) || st.st_size != SEAL_KEY_LEN ||
		   (st.st_mode & 077) || st.st_uid != geteuid()) {
		err_set(err, 0,
			"%s is not a key of ours: it must be a file of %d "
			"bytes, mode 0600, owned by the user of entity",
			path, SEAL_KEY_LEN);
	} else if (fd_read_all(fd, key_r->bytes, SEAL_KEY_LEN) < 0) {
		err_set(err, errno, "read %s", path);
	} else {
		close(fd);
		return 0;
	}
	close(fd);
	return -1;
}

int seal_key_load(const char *path, struct seal_key *key_r, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return key_read(path, key_r, err);
	if (errno != ENOENT)
		return err_set(err, errno, "stat %s", path);
	seal_random(key_r->bytes, SEAL_KEY_LEN);
	return fd_replace_file(path, key_r->bytes, SEAL_KEY_LEN, 0600, err);
}

static int derive(struct stream *s, const struct seal_key *key, struct err *err)
{
	uint8_t in[sizeof(LABEL) - 1 + SALT];
	unsigned int len = 0;

	memcpy(in, LABEL, sizeof(LABEL) - 1);
	memcpy(in + sizeof(LABEL) - 1, s->header + 24, SALT);
	if (!HMAC(EVP_sha256(), key->bytes, SEAL_KEY_LEN, in, sizeof(in),
		  s->key, &len) ||
	    len != SEAL_KEY_LEN)
		return err_set(err, 0, "HMAC failed");
	return 0;
}

/* ---- streams ---- */

static struct stream *stream_new(int fd, struct err *err)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	s->cipher = EVP_CIPHER_CTX_new();
	if (s->cipher)
		return s;
	err_set(err, ENOMEM, "cipher");
	free(s);
	return NULL;
}

static void stream_free(struct stream *s)
{
	if (!s)
		return;
	EVP_CIPHER_CTX_free(s->cipher);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static void nonce_make(const struct stream *s, uint8_t nonce[12])
{
	memset(nonce, 0, 12);
	put_le(nonce, s->number, 8);
}

static int frame_write(struct stream *s, enum frame_type type,
		       const uint8_t *text, size_t len, struct err *err)
{
	uint8_t nonce[12];
	int n, more;

	nonce_make(s, nonce);
	put_le(s->sealed, (uint64_t)type << 24 | len, 4);
	if (EVP_EncryptInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, s->key,
			       nonce) != 1 ||
	    EVP_EncryptUpdate(s->cipher, NULL, &n, s->header, SEAL_HEADER) !=
		    1 ||
	    EVP_EncryptUpdate(s->cipher, NULL, &n, s->sealed, 4) != 1 ||
	    EVP_EncryptUpdate(s->cipher, s->sealed + 4, &n, text, (int)len) !=
		    1 ||
	    EVP_EncryptFinal_ex(s->cipher, s->sealed + 4 + n, &more) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_GCM_GET_TAG, TAG,
				s->sealed + 4 + len) != 1)
		return err_set(err, 0, "encryption failed");
	s->number++;
	if (fd_write_all(s->fd, s->sealed, 4 + len + TAG) < 0)
		return err_set(err, errno, "write sealed file");
	return 0;
}

static int broken(struct err *err, const char *what)
{
	err_set(err, 0, "not a whole sealed file of this host: %s", what);
	if (err)
		err->code = EBADMSG;
	return -1;
}

/* Like fd_read_all(), but a file that ends tells so apart from an error. */
static int take(struct stream *s, void *buf, size_t len, const char *what,
		struct err *err)
{
	if (fd_read_all(s->fd, buf, len) == 0)
		return 0;
	if (errno == EPIPE)
		return broken(err, what);
	return err_set(err, errno, "read sealed file");
}

/* The next frame, authenticated, in s->text. */
static int frame_read(struct stream *s, enum frame_type *type_r, size_t *len_r,
		      struct err *err)
{
	uint8_t nonce[12];
	uint32_t word;
	size_t len;
	int n, more = 0, whole;

	if (take(s, s->sealed, 4, "it ends early", err) < 0)
		return -1;
	word = (uint32_t)get_le(s->sealed, 4);
	len = word & 0xffffff;
	if (len > SEAL_FRAME_MAX || (word >> 24) < FRAME_META ||
	    (word >> 24) > FRAME_END)
		return broken(err, "a frame that cannot be");
	if (take(s, s->sealed + 4, len + TAG, "it ends early", err) < 0)
		return -1;
	nonce_make(s, nonce);
	if (EVP_DecryptInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, s->key,
			       nonce) != 1 ||
	    EVP_DecryptUpdate(s->cipher, NULL, &n, s->header, SEAL_HEADER) !=
		    1 ||
	    EVP_DecryptUpdate(s->cipher, NULL, &n, s->sealed, 4) != 1 ||
	    EVP_DecryptUpdate(s->cipher, s->text, &n, s->sealed + 4,
			      (int)len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_GCM_SET_TAG, TAG,
				s->sealed + 4 + len) != 1)
		return err_set(err, 0, "decryption failed");
	whole = EVP_DecryptFinal_ex(s->cipher, s->text + n, &more) == 1;
#ifdef SEAL_FUZZ_WITHOUT_TAGS
	whole = 1; /* so that a fuzzer gets at what lies behind */
#endif
	if (!whole)
		return broken(err, "a frame was altered");
	s->number++;
	*type_r = (enum frame_type)(word >> 24);
	*len_r = len;
	return 0;
}

static int header_write(struct stream *s, const struct seal_key *key,
			struct err *err)
{
	memcpy(s->header, MAGIC, 8);
	put_le(s->header + 8, VERSION, 4);
	put_le(s->header + 12, SEAL_HEADER, 4);
	put_le(s->header + 16, SEAL_FRAME_MAX, 4);
	seal_random(s->header + 24, SALT);
	if (derive(s, key, err) < 0)
		return -1;
	if (fd_write_all(s->fd, s->header, SEAL_HEADER) < 0)
		return err_set(err, errno, "write sealed file");
	return 0;
}

static int header_read(struct stream *s, const struct seal_key *key,
		       struct err *err)
{
	static const uint8_t zero[8];

	if (take(s, s->header, SEAL_HEADER, "it has no header", err) < 0)
		return -1;
	if (memcmp(s->header, MAGIC, 8) != 0)
		return broken(err, "the magic is another");
	if (get_le(s->header + 8, 4) != VERSION)
		return broken(err, "the version is another");
	if (get_le(s->header + 12, 4) != SEAL_HEADER ||
	    get_le(s->header + 16, 4) != SEAL_FRAME_MAX ||
	    memcmp(s->header + 20, zero, 4) != 0 ||
	    memcmp(s->header + 56, zero, 8) != 0)
		return broken(err, "the header cannot be");
	return derive(s, key, err);
}

/* ---- sealing ---- */

static ssize_t read_at(int fd, void *buf, size_t len, uint64_t at)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)at);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Compresses what z has been given and writes every full frame. */
static int deflate_out(struct stream *s, z_stream *z, int flush,
		       struct err *err)
{
	int rc;

	do {
		rc = deflate(z, flush);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return err_set(err, 0, "compression failed (%d)", rc);
		if (z->avail_out && rc != Z_STREAM_END)
			return 0; /* wants more */
		if (frame_write(s, FRAME_DATA, s->text,
				SEAL_FRAME_MAX - z->avail_out, err) < 0)
			return -1;
		z->next_out = s->text;
		z->avail_out = SEAL_FRAME_MAX;
	} while (rc != Z_STREAM_END);
	return 0;
}

static int seal_content(struct stream *s, z_stream *z, int in_fd,
			uint64_t max_size, struct seal_info *info,
			struct err *err)
{
	uint8_t *buf = xmalloc(READ_BUF);
	struct hash *hash = hash_new();
	ssize_t n = 0;
	int rc = 0;

	z->next_out = s->text;
	z->avail_out = SEAL_FRAME_MAX;
	info->size = 0;
	while (rc == 0 && (n = read_at(in_fd, buf, READ_BUF, info->size)) > 0) {
		hash_add(hash, buf, (size_t)n);
		info->size += (uint64_t)n;
		if (max_size && info->size > max_size) {
			rc = err_set(err, EFBIG, "larger than the quarantine");
			break;
		}
		z->next_in = buf;
		z->avail_in = (uInt)n;
		rc = deflate_out(s, z, Z_NO_FLUSH, err);
	}
	if (rc == 0 && n < 0)
		rc = err_set(err, errno, "read the file");
	z->avail_in = 0;
	if (rc == 0)
		rc = deflate_out(s, z, Z_FINISH, err);
	hash_end(&hash, info->sha256);
	free(buf);
	return rc;
}

static int meta_write(struct stream *s, const char *meta, size_t len,
		      struct err *err)
{
	size_t done = 0, fill = 4, n;

	put_le(s->text, len, 4);
	do {
		n = SEAL_FRAME_MAX - fill;
		if (n > len - done)
			n = len - done;
		memcpy(s->text + fill, meta + done, n);
		if (frame_write(s, FRAME_META, s->text, fill + n, err) < 0)
			return -1;
		done += n;
		fill = 0;
	} while (done < len);
	return 0;
}

int seal_write(const struct seal_key *key, int in_fd, int out_fd,
	       const char *meta, size_t meta_len, uint64_t max_size,
	       struct seal_info *info_r, struct err *err)
{
	struct stream *s;
	uint8_t end[END_LEN];
	z_stream z = {0};
	int rc = -1;

	if (meta_len > SEAL_META_MAX)
		return err_set(err, E2BIG, "attributes of the file");
	s = stream_new(out_fd, err);
	if (!s)
		return -1;
	if (deflateInit(&z, Z_BEST_SPEED) != Z_OK) {
		stream_free(s);
		return err_set(err, ENOMEM, "compression");
	}
	if (header_write(s, key, err) < 0 ||
	    meta_write(s, meta, meta_len, err) < 0 ||
	    seal_content(s, &z, in_fd, max_size, info_r, err) < 0)
		goto out;
	put_le(end, info_r->size, 8);
	memcpy(end + 8, info_r->sha256, 32);
	rc = frame_write(s, FRAME_END, end, END_LEN, err);
out:
	deflateEnd(&z);
	stream_free(s);
	return rc;
}

/* ---- opening ---- */

static int meta_length(const struct stream *s, size_t have, size_t *len_r,
		       struct err *err)
{
	if (have < 4 || get_le(s->text, 4) > SEAL_META_MAX)
		return broken(err, "attributes that cannot be");
	*len_r = (size_t)get_le(s->text, 4);
	return 0;
}

static int read_meta(struct stream *s, const struct seal_key *key,
		     char **meta_r, struct err *err)
{
	enum frame_type type;
	size_t len = 0, got = 0, have, skip = 4;
	char *meta = NULL;

	if (header_read(s, key, err) < 0)
		return -1;
	do {
		if (frame_read(s, &type, &have, err) < 0)
			goto fail;
		if (type != FRAME_META) {
			broken(err, "it does not begin with its attributes");
			goto fail;
		}
		if (!meta) {
			if (meta_length(s, have, &len, err) < 0)
				goto fail;
			meta = xcalloc(1, len + 1);
		}
		have -= skip;
		if (have > len - got || (!have && got < len)) {
			broken(err, "attributes that cannot be");
			goto fail;
		}
		memcpy(meta + got, s->text + skip, have);
		got += have;
		skip = 0;
	} while (got < len);
	if (meta_r)
		*meta_r = meta;
	else
		free(meta);
	return 0;
fail:
	free(meta);
	return -1;
}

int seal_read_meta(const struct seal_key *key, int in_fd, char **meta_r,
		   struct err *err)
{
	struct stream *s = stream_new(in_fd, err);
	int rc;

	if (!s)
		return -1;
	rc = read_meta(s, key, meta_r, err);
	stream_free(s);
	return rc;
}

struct opening {
	z_stream z;
	bool ended; /* the zlib stream */
	struct hash *hash;
	uint64_t size;
	int out_fd;
	uint8_t buf[READ_BUF];
};

static int inflate_frame(struct opening *o, uint8_t *text, size_t len,
			 struct err *err)
{
	size_t n;
	int rc;

	o->z.next_in = text;
	o->z.avail_in = (uInt)len;
	do {
		if (o->ended)
			return broken(err, "content after its end");
		o->z.next_out = o->buf;
		o->z.avail_out = READ_BUF;
		rc = inflate(&o->z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return broken(err, "the content cannot be unpacked");
		n = READ_BUF - o->z.avail_out;
		hash_add(o->hash, o->buf, n);
		o->size += n;
		if (o->out_fd >= 0 && fd_write_all(o->out_fd, o->buf, n) < 0)
			return err_set(err, errno, "write");
		o->ended = rc == Z_STREAM_END;
	} while (o->z.avail_in || (!o->ended && !o->z.avail_out));
	return 0;
}

static int check_end(struct stream *s, const struct opening *o,
		     const uint8_t hash[32], size_t len, struct err *err)
{
	uint8_t more;
	ssize_t n;

	if (!o->ended || len != END_LEN || get_le(s->text, 8) != o->size ||
	    memcmp(s->text + 8, hash, 32) != 0)
		return broken(err, "its end does not fit its content");
	do
		n = read(s->fd, &more, 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, errno, "read sealed file");
	if (n > 0)
		return broken(err, "something follows its end");
	return 0;
}

static int read_content(struct stream *s, struct opening *o,
			struct seal_info *info, struct err *err)
{
	enum frame_type type = FRAME_META;
	size_t len = 0;

	while (type != FRAME_END) {
		if (frame_read(s, &type, &len, err) < 0)
			return -1;
		if (type == FRAME_META)
			return broken(err, "attributes in the wrong place");
		if (type == FRAME_DATA &&
		    inflate_frame(o, s->text, len, err) < 0)
			return -1;
	}
	hash_end(&o->hash, info->sha256);
	info->size = o->size;
	return check_end(s, o, info->sha256, len, err);
}

int seal_read(const struct seal_key *key, int in_fd, int out_fd, char **meta_r,
	      struct seal_info *info_r, struct err *err)
{
	struct stream *s = stream_new(in_fd, err);
	struct opening *o;
	char *meta = NULL;
	int rc = -1;

	if (!s)
		return -1;
	o = xcalloc(1, sizeof(*o));
	o->out_fd = out_fd;
	o->hash = hash_new();
	if (inflateInit(&o->z) != Z_OK)
		err_set(err, ENOMEM, "compression");
	else if (read_meta(s, key, &meta, err) == 0)
		rc = read_content(s, o, info_r, err);
	inflateEnd(&o->z);
	hash_free(&o->hash);
	free(o);
	stream_free(s);
	if (rc == 0 && meta_r)
		*meta_r = meta;
	else
		free(meta);
	return rc;
}

/* Steps over a frame that is not wanted; 1 when the end frame is next. */
static int skip_frame(struct stream *s, struct err *err)
{
	uint8_t word[4];
	off_t len;

	if (take(s, word, sizeof(word), "it ends early", err) < 0)
		return -1;
	if (word[3] == FRAME_END)
		return lseek(s->fd, -4, SEEK_CUR) < 0
			       ? err_set(err, errno, "lseek")
			       : 1;
	len = (off_t)(get_le(word, 4) & 0xffffff) + TAG;
	if (lseek(s->fd, len, SEEK_CUR) < 0)
		return err_set(err, errno, "lseek");
	s->number++;
	return 0;
}

int seal_read_end(const struct seal_key *key, int in_fd,
		  struct seal_info *info_r, struct err *err)
{
	struct stream *s = stream_new(in_fd, err);
	enum frame_type type;
	size_t len;
	int rc;

	if (!s)
		return -1;
	rc = header_read(s, key, err);
	while (rc == 0)
		rc = skip_frame(s, err);
	if (rc > 0)
		rc = frame_read(s, &type, &len, err);
	if (rc == 0 && len != END_LEN)
		rc = broken(err, "its end cannot be");
	if (rc == 0) {
		info_r->size = get_le(s->text, 8);
		memcpy(info_r->sha256, s->text + 8, 32);
	}
	stream_free(s);
	return rc;
}
