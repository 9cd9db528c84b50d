/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_PATTERN_H
#define SPLX_CTL_PATTERN_H

#include "common/conf.h"
#include "common/cvd.h"
#include "common/patternset.h"
#include "ctl.h"

/* What the verbs of `splxctl pattern` share. */

/* A change of the patterns that is under way. */
struct pattern_change {
	struct ctl *ctl;
	struct conf *conf;
	int lock;
	struct patternset_stage stage;
	bool unloaded;	   /* the service has none loaded, for our sake */
	bool only_look;	   /* nothing is taken into use */
	struct err missed; /* what could not be had although the rest could */
	struct {
		VEC(struct manifest_file);
	} laid; /* what pattern_from_laid() took */
};
/* With the lock held; -1 and *err. */
int pattern_change_lock(struct pattern_change *c, struct ctl *ctl,
			struct err *err);
/* And with a set in the making. */
int pattern_change_begin(struct pattern_change *c, struct ctl *ctl,
			 struct err *err);
void pattern_change_end(struct pattern_change *c);
/*
 * Tries the set that was made, puts it in its place, has the service load it,
 * and goes back when that fails. Prints how it went. -1 and *err.
 */
int pattern_change_commit(struct pattern_change *c, struct err *err);
/* Makes a set that is there already the current one, in the same manner. */
int pattern_change_to(struct pattern_change *c, const struct patternset *from,
		      uint64_t number, struct err *err);

/* A bundle in a directory, its signature checked. */
struct pattern_bundle {
	struct manifest m;
	char signed_by[SIGNING_ID_LEN + 1];
	bool known; /* the current set has just this */
};
/*
 * Reads manifest and signature, not trusted, and checks all that can be
 * checked without the files: signature by a trusted key, not past its time,
 * not older than what was there, not taken back (not that, when `now` is
 * NULL). -1 and *err.
 * pattern_bundle_free() afterwards.
 */
int pattern_bundle_read(struct pattern_bundle *b, const char *dir,
			const struct patternset *now, struct err *err);
void pattern_bundle_free(struct pattern_bundle *b);
/* Whether the manifest there has a good signature by a key that is trusted
 * now; the key's name in id_r. -1 and *err. */
int pattern_bundle_signer(const char *dir, char id_r[SIGNING_ID_LEN + 1],
			  struct err *err);

/*
 * Takes the patterns of a source into the set in the making: 1, 0 when there
 * is nothing new, -1 and *err. `origin` is told to people.
 */
int pattern_from_dir(struct pattern_change *c, const char *dir,
		     const char *origin, struct err *err);
int pattern_from_file(struct pattern_change *c, const char *file,
		      struct err *err);
/* What lies by hand in the directory of the sets (common/patternlaid.h). */
int pattern_from_laid(struct pattern_change *c, struct err *err);
int pattern_from_url(struct pattern_change *c, const char *url,
		     struct err *err);

/* When what pattern_from_laid() took is in: removes it there. */
void pattern_laid_done(struct pattern_change *c);

/* ---- ClamAV's own databases ---- */

/* Whether that source means them: "clamav", "clamav:http://…". */
bool pattern_is_clamav(const char *source);
/* Whether a part is one of them. */
bool pattern_part_is_clamav(const char *part);
/* As the three above; c->missed may tell of some that could not be had. */
int pattern_from_clamav(struct pattern_change *c, const char *source,
			struct err *err);
/* Whether a file, which nobody else may change, is such a database and signed
 * by ClamAV as it is; its signed header in *head_r. Needs root. -1 and *err. */
int pattern_clamav_check(const char *file, struct cvd_head *head_r,
			 struct err *err);

#endif
