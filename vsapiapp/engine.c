// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "engine.h"

#include <clamav.h>
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "charsets.h"
#include "common/paths.h"
#include "common/patternlaid.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "patterns.h"

/*
 * The built-in marker in two halves, so that our own binaries do not hold it
 * (etc/patterns/splx.ndb has the whole, in hex).
 */
#define MARKER_HEAD "SPLX-MARKER-7c1f09e3"
#define MARKER_TAIL "-d52b86a4-NOT-A-VIRUS"
/* The name space of our own signatures. */
#define OWN_PREFIX "Splx."
/* What libclamav appends to the name of each signature not in a .cvd. */
#define UNOFFICIAL ".UNOFFICIAL"
/* libclamav takes no larger files whatever it is told (others.c, 2 GiB). */
#define LIBRARY_MAX_SIZE ((uint64_t)INT_MAX - 2)
/*
 * libclamav cuts what it unpacks from some containers at its limits without a
 * word. It therefore gets limits a little higher than ours, and what is larger
 * than ours when it comes out is told to be so (on_layer()).
 */
#define LIMIT_SLACK ((uint64_t)1 << 20)
/* Partitions of a disk image; libclamav passes over more without a word. */
#define MAX_PARTITIONS 1024
/* See engine_is_reviewed(). */
#define REVIEWED "1.4."
/* Files up to this size are read whole before they are scanned. */
#define SMALL_FILE 65536

struct engine {
	struct cl_engine *cl;
	struct cl_scan_options options;
	struct pattern_list patterns;
	uint64_t pattern_id;
	unsigned int signatures;
	uint64_t max_file_size;
	uint64_t scan_timeout_ms;
	bool pua;	   /* loaded with signatures of unwanted programs */
	char *directories; /* PatternDirectory as it was loaded, joined */
	bool builtin;	   /* nothing but what is built in */
	char *set_fault;   /* why it is not the current set; NULL: it is */
};

/* What the callbacks of one scan saw; libclamav hands it to each of them. */
struct scan_context {
	/* The last part of the path alone: libclamav shall open no paths. */
	const char *name_for_rules;
	enum verdict verdict; /* the gravest among the names seen */
	char name[256];
	uint64_t max_file_size;
	uint64_t member_size; /* of the cabinet member that comes next */
	int read_errno;	      /* reading the file itself failed */
	bool shrunk;	      /* it ended earlier than its size said */
	bool scratch_full;
};

/*
 * There is one scan at a time in a process. libclamav's reading callback gets
 * no context but the descriptor, so this says whose reading it is.
 */
static struct scan_context *reading;

/* The first thing that libclamav complained of while a file was loaded. */
static char load_complaint[256];
static bool loading;

/* libclamav's messages --------------------------------------------------- */

/*
 * True for the messages by which libclamav tells that it could not write a
 * scratch file. Its unpackers pass over such a failure and call the rest
 * clean, so the message is the only sign.
 */
static bool tells_scratch_full(const char *msg)
{
	return strstr(msg, strerror(ENOSPC)) || strstr(msg, strerror(EFBIG)) ||
	       str_starts(msg, "cli_writen: write error") ||
	       str_starts(msg, "cli_gentempfd") ||
	       strcasestr(msg, "can't write") ||
	       strcasestr(msg, "write fail") ||
	       strcasestr(msg, "error writing") ||
	       strcasestr(msg, "can't create");
}

static void on_message(enum cl_msg severity, const char *full, const char *msg,
		       void *context)
{
	static struct log_limit limit;
	struct scan_context *sc = context;
	char line[256];

	str_copy(line, sizeof(line), msg);
	str_trim(line);
	if (loading && severity == CL_MSG_ERROR && !load_complaint[0])
		str_copy(load_complaint, sizeof(load_complaint), line);
	if (!loading && !sc)
		sc = reading;
	if (!loading && sc && severity == CL_MSG_ERROR &&
	    tells_scratch_full(line))
		sc->scratch_full = true;
	/* Files make these messages: they are no trouble of ours. */
	log_limited(&limit, 10, 60000,
		    loading && severity == CL_MSG_ERROR ? LOG_LVL_WARN
							: LOG_LVL_DEBUG,
		    "libclamav: %s", line);
}

/* Names -------------------------------------------------------------------- */

/*
 * What a name stands for. Exceeded limits and passwords come from libclamav
 * as if they were findings; they never are.
 */
static enum verdict verdict_of(const char *name)
{
	if (!strcmp(name, "Heuristics.Limits.Exceeded.MaxScanTime"))
		return VERDICT_TIMEOUT;
	if (str_starts(name, "Heuristics.Limits.Exceeded") ||
	    !strcmp(name, "Heuristics.XZ.DicSizeLimit"))
		return VERDICT_OVERSIZE;
	if (str_starts(name, "Heuristics.Encrypted."))
		return VERDICT_ENCRYPTED;
	return VERDICT_INFECTED;
}

/* The order among verdicts: a finding beats whatever else there was. */
static int gravity(enum verdict v)
{
	switch (v) {
	case VERDICT_INFECTED:
		return 5;
	case VERDICT_TIMEOUT:
		return 4;
	case VERDICT_OVERSIZE:
		return 3;
	case VERDICT_ERROR:
		return 2;
	case VERDICT_ENCRYPTED:
		return 1;
	case VERDICT_CLEAN:
		break;
	}
	return 0;
}

static void note_name(struct scan_context *sc, const char *name)
{
	enum verdict v;
	size_t len;

	if (!sc || !name || !*name)
		return;
	v = verdict_of(name);
	if (gravity(v) <= gravity(sc->verdict))
		return;
	sc->verdict = v;
	str_copy(sc->name, sizeof(sc->name), name);
	len = strlen(sc->name);
	if (str_starts(sc->name, OWN_PREFIX) && str_ends(sc->name, UNOFFICIAL))
		sc->name[len - strlen(UNOFFICIAL)] = '\0';
}

static void note_verdict(struct scan_context *sc, enum verdict v,
			 const char *why)
{
	if (gravity(v) <= gravity(sc->verdict))
		return;
	sc->verdict = v;
	str_copy(sc->name, sizeof(sc->name), why);
}

static void on_found(int fd, const char *name, void *context)
{
	note_name(context, name);
}

/*
 * After each layer: the name that stands at that moment. At the end libclamav
 * tells only the last of several heuristic names, so that a limit exceeded
 * later would hide a finding in a layer before.
 */
static cl_error_t on_layer_end(int fd, int result, const char *name,
			       void *context)
{
	if (result == CL_VIRUS)
		note_name(context, name);
	return CL_CLEAN;
}

/*
 * Cabinets and help files alone are cut at what is left of the scan size; the
 * size that they tell for a member shows it.
 */
static cl_error_t on_member(const char *container, unsigned long packed,
			    const char *name, unsigned long size, int encrypted,
			    unsigned int index, void *context)
{
	struct scan_context *sc = context;

	if (sc && (str_starts(container, "CL_TYPE_MSCAB") ||
		   str_starts(container, "CL_TYPE_MSCHM")))
		sc->member_size = size;
	return CL_CLEAN;
}

/* Before each layer, which may be a scratch file with what was unpacked. */
static cl_error_t on_layer(int fd, const char *type, void *context)
{
	struct scan_context *sc = context;
	struct stat st;

	if (!sc)
		return CL_CLEAN;
	if (fd >= 0 && fstat(fd, &st) == 0 &&
	    ((uint64_t)st.st_size > sc->max_file_size ||
	     (uint64_t)st.st_size < sc->member_size))
		note_verdict(sc, VERDICT_OVERSIZE,
			     "a part is larger than the limits");
	sc->member_size = 0;
	return CL_CLEAN;
}

/* Making an engine --------------------------------------------------------- */

static int start_library(struct err *err)
{
	static bool started;
	cl_error_t rc;

	if (started)
		return 0;
	cl_set_clcb_msg(on_message);
	rc = cl_init(CL_INIT_DEFAULT);
	if (rc != CL_SUCCESS)
		return err_set(err, 0, "libclamav: %s", cl_strerror(rc));
	charsets_keep();
	started = true;
	return 0;
}

static int set_num(struct engine *e, enum cl_engine_field field, uint64_t value,
		   const char *what, struct err *err)
{
	cl_error_t rc = cl_engine_set_num(e->cl, field, (long long)value);

	if (rc != CL_SUCCESS)
		return err_set(err, 0, "libclamav refuses %s %" PRIu64 ": %s",
			       what, value, cl_strerror(rc));
	return 0;
}

static uint64_t at_most(uint64_t value, uint64_t max)
{
	return value < max ? value : max;
}

static int set_limits(struct engine *e, const struct conf *conf,
		      struct err *err)
{
	uint64_t size =
		at_most(conf->max_file_size + LIMIT_SLACK, LIBRARY_MAX_SIZE);
	const struct {
		enum cl_engine_field field;
		uint64_t value;
		const char *what;
	} limits[] = {
		{CL_ENGINE_MAX_FILESIZE, size, "MaxFileSize"},
		{CL_ENGINE_MAX_SCANSIZE, conf->max_scan_size + LIMIT_SLACK,
		 "MaxScanSize"},
		{CL_ENGINE_MAX_RECURSION, (uint64_t)conf->max_recursion,
		 "MaxRecursion"},
		{CL_ENGINE_MAX_FILES, (uint64_t)conf->max_files, "MaxFiles"},
		{CL_ENGINE_MAX_SCANTIME, conf->scan_timeout, "ScanTimeout"},
		/* Beyond these two libclamav passes over HTML without a word,
		 * and over PE files inside others; so our limit is theirs. */
		{CL_ENGINE_MAX_HTMLNORMALIZE, size, "HTML size"},
		{CL_ENGINE_MAX_EMBEDDEDPE, size, "embedded PE size"},
		{CL_ENGINE_PCRE_MAX_FILESIZE, size, "PCRE size"},
		{CL_ENGINE_MAX_PARTITIONS, MAX_PARTITIONS, "partitions"},
		/* Our table of known files does that job, by better rules. */
		{CL_ENGINE_DISABLE_CACHE, 1, "no cache"},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (set_num(e, limits[i].field, limits[i].value, limits[i].what,
			    err) < 0)
			return -1;
	e->max_file_size = size - LIMIT_SLACK;
	e->scan_timeout_ms = conf->scan_timeout;
	return 0;
}

static void set_options(struct engine *e, const struct conf *conf)
{
	struct cl_scan_options *o = &e->options;

	memset(o, 0, sizeof(*o));
	if (conf->heuristics)
		o->general |= CL_SCAN_GENERAL_HEURISTICS;
	o->parse = CL_SCAN_PARSE_ELF | CL_SCAN_PARSE_PE | CL_SCAN_PARSE_IMAGE |
		   CL_SCAN_PARSE_IMAGE_FUZZY_HASH;
	if (conf->scan_archives)
		o->parse |= CL_SCAN_PARSE_ARCHIVE;
	if (conf->scan_documents)
		o->parse |= CL_SCAN_PARSE_PDF | CL_SCAN_PARSE_SWF |
			    CL_SCAN_PARSE_HWP3 | CL_SCAN_PARSE_XMLDOCS |
			    CL_SCAN_PARSE_MAIL | CL_SCAN_PARSE_OLE2 |
			    CL_SCAN_PARSE_HTML | CL_SCAN_PARSE_ONENOTE;
	/* Without these a scan that was cut short ends as clean. */
	o->heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX |
		       CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE |
		       CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
}

/* The value of PatternDirectory in one string, to see later if it changed. */
static char *join_directories(const struct conf *conf)
{
	struct str b = {0};

	for (size_t i = 0; i < conf->pattern_directory.len; i++)
		str_addf(&b, "%s\n", conf->pattern_directory.items[i]);
	str_add(&b, "");
	return b.s ? str_take(&b) : xstrdup("");
}

/* What lies in ours beside the sets was tried by nobody: see patternlaid.h. */
static int collect_directories(struct engine *e, const struct conf *conf,
			       struct err *err)
{
	for (size_t i = 0; i < conf->pattern_directory.len; i++) {
		const char *dir = conf->pattern_directory.items[i];

		if (!patternlaid_is_place(dir) &&
		    patterns_add(&e->patterns, dir, false, err) < 0)
			return -1;
	}
	return 0;
}

static int collect(struct engine *e, const struct conf *conf,
		   const char *set_dir, struct err *err)
{
	size_t builtin;

	if (patterns_add(&e->patterns, paths()->builtin_dir, true, err) < 0)
		return -1;
	builtin = e->patterns.len;
	if (builtin == 0)
		return err_set(err, 0, "%s: the built-in patterns are missing",
			       paths()->builtin_dir);
	if (e->builtin)
		return 0;
	if (patterns_add_set(&e->patterns, set_dir, &e->set_fault, err) < 0 ||
	    collect_directories(e, conf, err) < 0)
		return -1;
	/* What is built in stands first, whatever its kind: settings in a
	 * database of others then win over ours. */
	for (size_t i = 0; i < builtin; i++)
		e->patterns.items[i].order = -1;
	return 0;
}

static bool is_container(const struct pattern_file *f)
{
	return !strcmp(f->kind, "cvd") || !strcmp(f->kind, "cld") ||
	       !strcmp(f->kind, "cud");
}

/* Version and time of ClamAV's signed containers. */
static int read_headers(struct engine *e, struct err *err)
{
	struct pattern_file *f;

	vec_each (f, &e->patterns) {
		struct cl_cvd *head;

		if (!is_container(f))
			continue;
		head = cl_cvdhead(f->path);
		if (!head)
			return err_set(err, 0, "%s: not a ClamAV database",
				       f->path);
		f->version = head->version;
		f->time = head->stime;
		cl_cvdfree(head);
	}
	return 0;
}

int engine_verify(const char *path, struct err *err)
{
	cl_error_t rc;

	if (start_library(err) < 0)
		return -1;
	load_complaint[0] = '\0';
	loading = true;
	rc = cl_cvdverify(path);
	loading = false;
	if (rc == CL_SUCCESS)
		return 0;
	return err_set(err, 0, "ClamAV did not sign it as it is: %s%s%s",
		       cl_strerror(rc), load_complaint[0] ? ": " : "",
		       load_complaint);
}

/* True when both are the same database in two containers, as freshclam leaves
 * them: main.cvd as it was fetched, main.cld with the differences put in. */
static bool same_database(const struct pattern_file *a,
			  const struct pattern_file *b)
{
	size_t dir = (size_t)(strrchr(a->path, '/') - a->path);
	size_t stem = strcspn(a->name, ".");

	return is_container(a) && is_container(b) &&
	       !strncmp(a->path, b->path, dir + 1 + stem) &&
	       b->path[dir + 1 + stem] == '.';
}

static void drop_older(struct engine *e)
{
	struct pattern_list *list = &e->patterns;

	for (size_t i = 0; i < list->len; i++)
		for (size_t j = i + 1; j < list->len; j++) {
			if (!same_database(&list->items[i], &list->items[j]))
				continue;
			if (list->items[i].version >= list->items[j].version) {
				patterns_drop(list, j--);
				continue;
			}
			patterns_drop(list, i--);
			break;
		}
}

static int load_files(struct engine *e, struct err *err)
{
	unsigned int options = CL_DB_STDOPT | (e->pua ? CL_DB_PUA : 0);
	struct pattern_file *f;

	vec_each (f, &e->patterns) {
		unsigned int n = 0;
		cl_error_t rc;

		load_complaint[0] = '\0';
		loading = true;
		rc = cl_load(f->path, e->cl, &n, options);
		loading = false;
		/* It calls a file malformed that it has no room for. */
		if (rc == CL_EMEM || strstr(load_complaint, "allocate memory"))
			return err_set(err, ENOMEM, "%s", f->path);
		if (rc != CL_SUCCESS)
			return err_set(
				err, 0, "%s: %s%s%s", f->path, cl_strerror(rc),
				load_complaint[0] ? ": " : "", load_complaint);
		f->signatures = n;
		e->signatures += n;
	}
	return 0;
}

static enum verdict scan_memory(struct engine *e, const void *data, size_t len)
{
	struct scan_context sc = {.max_file_size = e->max_file_size};
	const char *name = NULL;
	unsigned long scanned = 0;
	cl_fmap_t *map = cl_fmap_open_memory(data, len);
	cl_error_t rc;

	if (!map)
		return VERDICT_ERROR;
	rc = cl_scanmap_callback(map, NULL, &name, &scanned, e->cl, &e->options,
				 &sc);
	cl_fmap_close(map);
	if (rc == CL_VIRUS)
		note_name(&sc, name);
	else if (rc != CL_CLEAN)
		note_verdict(&sc, VERDICT_ERROR, cl_strerror(rc));
	return sc.verdict;
}

/* An engine that misses the marker, or finds it everywhere, serves nobody. */
static int try_engine(struct engine *e, struct err *err)
{
	static const char clean[] = "Nothing but a few words, to see that the "
				    "engine lets them be.\n";
	char marker[128];
	enum verdict v;

	snprintf(marker, sizeof(marker), "some bytes before %s%s and after\n",
		 MARKER_HEAD, MARKER_TAIL);
	v = scan_memory(e, marker, strlen(marker));
	memset(marker, 0, sizeof(marker));
	if (v != VERDICT_INFECTED)
		return err_set(err, 0, "trial: the built-in marker is %s",
			       verdict_name(v));
	v = scan_memory(e, clean, sizeof(clean) - 1);
	if (v != VERDICT_CLEAN)
		return err_set(err, 0, "trial: a clean text is %s",
			       verdict_name(v));
	return 0;
}

static int build(struct engine *e, const struct conf *conf, const char *set_dir,
		 struct err *err)
{
	cl_error_t rc;

	e->cl = cl_engine_new();
	if (!e->cl)
		return err_set(err, ENOMEM, "libclamav: engine");
	e->pua = conf->detect_pua;
	e->directories = join_directories(conf);
	set_options(e, conf);
	if (set_limits(e, conf, err) < 0)
		return -1;
	cl_engine_set_clcb_virus_found(e->cl, on_found);
	cl_engine_set_clcb_pre_cache(e->cl, on_layer);
	cl_engine_set_clcb_post_scan(e->cl, on_layer_end);
	cl_engine_set_clcb_meta(e->cl, on_member);
	if (collect(e, conf, set_dir, err) < 0 || read_headers(e, err) < 0)
		return -1;
	drop_older(e);
	patterns_order(&e->patterns);
	e->pattern_id = patterns_hash(&e->patterns, cl_retver(), err);
	if (e->pattern_id == 0 || load_files(e, err) < 0)
		return -1;
	rc = cl_engine_compile(e->cl);
	if (rc != CL_SUCCESS)
		return err_set(err, rc == CL_EMEM ? ENOMEM : 0,
			       "patterns do not compile: %s", cl_strerror(rc));
	return try_engine(e, err);
}

struct engine *engine_new(const struct conf *conf, struct err *err)
{
	return engine_new_of(conf, NULL, err);
}

struct engine *engine_new_of(const struct conf *conf, const char *set_dir,
			     struct err *err)
{
	struct engine *e;

	if (start_library(err) < 0)
		return NULL;
	e = xcalloc(1, sizeof(*e));
	if (build(e, conf, set_dir, err) < 0)
		engine_free(&e);
	return e;
}

struct engine *engine_new_builtin(const struct conf *conf, const char *why,
				  struct err *err)
{
	struct engine *e;

	if (start_library(err) < 0)
		return NULL;
	e = xcalloc(1, sizeof(*e));
	e->builtin = true;
	e->set_fault =
		xasprintf("only the built-in patterns are loaded: %s", why);
	if (build(e, conf, NULL, err) < 0)
		engine_free(&e);
	return e;
}

void engine_free(struct engine **engine)
{
	struct engine *e = *engine;

	if (!e)
		return;
	if (e->cl)
		cl_engine_free(e->cl);
	patterns_free(&e->patterns);
	xfree(&e->directories);
	xfree(&e->set_fault);
	xfree(engine);
}

int engine_configure(struct engine *engine, const struct conf *conf,
		     struct err *err)
{
	char *directories = join_directories(conf);
	bool reload = conf->detect_pua != engine->pua ||
		      strcmp(directories, engine->directories) != 0;

	xfree(&directories);
	if (set_limits(engine, conf, err) < 0)
		return -1;
	set_options(engine, conf);
	return reload ? 1 : 0;
}

/* What is loaded ------------------------------------------------------------
 */

static json_t *describe_file(const struct pattern_file *f)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "file", f->path, "kind",
			 f->kind, "version", (json_int_t)f->version,
			 "signatures", (json_int_t)f->signatures, "time",
			 (json_int_t)f->time);
}

/*
 * RAR is unpacked by a module that libclamav loads at its initialization where
 * there is one; without it an archive is scanned as the plain file that it is,
 * and called clean. The library tells by no function: only by what it keeps of
 * it for its own use (have_rar in its others.c). NULL: a library that does not
 * show even that.
 */
static json_t *unpacks_rar(void)
{
	const int *have = dlsym(RTLD_DEFAULT, "have_rar");

	return have ? json_boolean(*have) : NULL;
}

json_t *engine_describe(const struct engine *engine)
{
	const struct pattern_file *f;
	json_t *files = json_array();
	int64_t newest = 0;
	bool builtin_only = true;
	char id[17];

	vec_each (f, &engine->patterns) {
		json_array_append_new(files, describe_file(f));
		if (f->builtin)
			continue;
		builtin_only = false;
		if (f->time > newest)
			newest = f->time;
	}
	snprintf(id, sizeof(id), "%016" PRIx64, engine->pattern_id);
	return json_pack("{s:s, s:I, s:s, s:I, s:b, s:o, s:o*, s:s*}", "engine",
			 cl_retver(), "signatures",
			 (json_int_t)engine->signatures, "pattern_id", id,
			 "pattern_time", (json_int_t)newest, "builtin_only",
			 (int)builtin_only, "patterns", files, "rar",
			 unpacks_rar(), "set_fault", engine->set_fault);
}

uint64_t engine_pattern_id(const struct engine *engine)
{
	return engine->pattern_id;
}

int engine_tmpdir(struct engine *engine, const char *dir, struct err *err)
{
	cl_error_t rc = cl_engine_set_str(engine->cl, CL_ENGINE_TMPDIR, dir);

	if (rc != CL_SUCCESS)
		return err_set(err, 0, "%s: scratch directory: %s", dir,
			       cl_strerror(rc));
	return 0;
}

bool engine_is_reviewed(void)
{
	return str_starts(cl_retver(), REVIEWED);
}

/* Scanning ------------------------------------------------------------------
 */

/* libclamav reads the file through this, so that no failed read is lost. */
static off_t on_read(void *handle, void *buf, size_t count, off_t offset)
{
	int fd = (int)(intptr_t)handle;
	size_t got = 0;

	while (got < count) {
		ssize_t n = pread(fd, (char *)buf + got, count - got,
				  offset + (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (reading)
				reading->read_errno = errno;
			return -1;
		}
		if (n == 0) {
			if (reading)
				reading->shrunk = true;
			break;
		}
		got += (size_t)n;
	}
	return (off_t)got;
}

/*
 * A small file is read whole, which costs one call; a larger one page by page
 * as it is needed. The descriptor serves as the handle: libclamav hands it to
 * those of its parsers that want one.
 */
static cl_fmap_t *open_map(int fd, size_t size, char *small)
{
	if (size > SMALL_FILE)
		return cl_fmap_open_handle((void *)(intptr_t)fd, 0, size,
					   on_read, 1);
	if (on_read((void *)(intptr_t)fd, small, size, 0) != (off_t)size)
		return NULL;
	return cl_fmap_open_memory(small, size);
}

static void scan_map(struct engine *e, int fd, size_t size,
		     struct scan_context *sc)
{
	static char small[SMALL_FILE];
	uint64_t start = clock_mono_ns();
	const char *name = NULL;
	unsigned long scanned = 0;
	cl_error_t rc = CL_EMEM;
	cl_fmap_t *map;

	reading = sc;
	map = open_map(fd, size, small);
	if (map) {
		rc = cl_scanmap_callback(map, sc->name_for_rules, &name,
					 &scanned, e->cl, &e->options, sc);
		cl_fmap_close(map);
	}
	reading = NULL;
	if (rc == CL_VIRUS)
		note_name(sc, name);
	/* What follows can only make worse what would have been clean. */
	if (sc->scratch_full)
		note_verdict(sc, VERDICT_OVERSIZE, "scratch space is full");
	if (clock_mono_ns() - start >= e->scan_timeout_ms * CLOCK_NS_PER_MS)
		note_verdict(sc, VERDICT_TIMEOUT, "scan time is over");
	if (sc->read_errno)
		note_verdict(sc, VERDICT_ERROR, strerror(sc->read_errno));
	else if (sc->shrunk)
		note_verdict(sc, VERDICT_ERROR, "shrank while it was read");
	else if (rc == CL_ETIMEOUT)
		note_verdict(sc, VERDICT_TIMEOUT, "scan time is over");
	else if (rc != CL_CLEAN && rc != CL_VIRUS)
		note_verdict(sc, VERDICT_ERROR, cl_strerror(rc));
}

void engine_scan(struct engine *engine, int fd, const char *path_for_people,
		 struct engine_result *result_r)
{
	const char *slash =
		strrchr(path_for_people ? path_for_people : "", '/');
	const char *name = slash ? slash + 1 : path_for_people;
	struct scan_context sc;
	struct stat st;
	int tries = 0;

	/* A file cut short while it is read is tried once more as it is now. */
	do {
		sc = (struct scan_context){
			.name_for_rules = name,
			.max_file_size = engine->max_file_size,
		};
		if (fstat(fd, &st) < 0) {
			note_verdict(&sc, VERDICT_ERROR, strerror(errno));
			break;
		}
		if (st.st_size == 0)
			break;
		if ((uint64_t)st.st_size > engine->max_file_size) {
			note_verdict(&sc, VERDICT_OVERSIZE,
				     "larger than MaxFileSize");
			break;
		}
		scan_map(engine, fd, (size_t)st.st_size, &sc);
	} while (sc.shrunk && sc.verdict == VERDICT_ERROR && ++tries < 2);

	result_r->verdict = sc.verdict;
	str_copy(result_r->name, sizeof(result_r->name), sc.name);
}
