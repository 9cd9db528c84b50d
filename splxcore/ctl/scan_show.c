/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scan_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "common/jsontext.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "output.h"

#define DRAW_NS (CLOCK_NS_PER_S / 5)
/* Opening, sending and answering a small file take as long as scanning this
 * many bytes more. */
#define FILE_COST 32768

void scan_show_begin(struct scan_show *show, bool json, bool quiet)
{
	const char *term = getenv("TERM");

	memset(show, 0, sizeof(*show));
	show->json = json;
	show->quiet = quiet;
	show->progress =
		isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
	show->began_ns = clock_mono_ns();
}

/* Takes the progress line away before something else is printed. */
static void wipe(struct scan_show *show)
{
	if (show->drawn)
		fputs("\r\033[K", stderr);
	show->drawn = false;
}

static char *escaped(const char *text)
{
	size_t size = strlen(text) * 4 + 1;

	return log_escape(xmalloc(size), size, text);
}

static void finding_json(const struct scanjob_reply *reply, const char *path,
			 const char *action)
{
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("finding"));
	json_object_set_new(o, "path", jsontext_new(path));
	json_object_set_new(o, "virus", jsontext_new(reply->virus));
	json_object_set_new(o, "action", json_string(action));
	json_object_set_new(o, "bytes", json_integer((json_int_t)reply->bytes));
	output_json_line(stdout, o);
	json_decref(o);
}

void scan_show_finding(struct scan_show *show,
		       const struct scanjob_reply *reply, const char *path,
		       const char *action)
{
	char *p, *v;

	if (show->no_findings)
		return;
	wipe(show);
	if (show->json) {
		finding_json(reply, path, action);
	} else {
		p = escaped(path);
		v = escaped(reply->virus);
		printf("%s: %s ", p, v);
		output_colour(stdout, OUTPUT_RED, "FOUND");
		printf(" (%s)\n", action);
		free(p);
		free(v);
	}
	/* Whoever reads this along wants a finding now, not at 4096 bytes. */
	fflush(stdout);
}

void scan_show_error(struct scan_show *show, const char *path,
		     const char *reason)
{
	char *p, *r, *said;

	if (show->no_errors)
		return;
	p = escaped(path);
	said = output_said(reason);
	r = escaped(said);
	free(said);
	wipe(show);
	fprintf(stderr, "%s: %s\n", p, r);
	free(p);
	free(r);
}

int64_t scan_show_eta(const struct scan_tally *t, uint64_t all_files,
		      uint64_t all_bytes, uint64_t elapsed_ns)
{
	double done = (double)t->sent_bytes + (double)t->sent * FILE_COST;
	double all = (double)all_bytes + (double)all_files * FILE_COST;

	if (t->sent == 0 || elapsed_ns < 2 * CLOCK_NS_PER_S)
		return -1;
	if (all <= done)
		return 0;
	return (int64_t)((all - done) / done * (double)elapsed_ns / 1e9);
}

static void add_rest(struct scan_show *show, const struct scan_tally *t,
		     uint64_t elapsed, struct str *line)
{
	uint64_t files, bytes;
	int64_t eta;
	char text[64];

	if (!scan_count_done(show->count, &files, &bytes))
		return;
	eta = scan_show_eta(t, files, bytes, elapsed);
	str_addf(line, T(" of %llu"), (unsigned long long)files);
	if (eta >= 0)
		str_addf(line, T(", %s left"),
			 output_duration(text, sizeof(text),
					 (uint64_t)eta * 1000));
}

void scan_show_progress(struct scan_show *show, const struct scan_tally *t)
{
	uint64_t now, elapsed;
	struct str line = {0};

	if (!show->progress)
		return;
	now = clock_mono_ns();
	if (show->drawn_ns && now - show->drawn_ns < DRAW_NS)
		return;
	show->drawn_ns = now;
	elapsed = now - show->began_ns;
	str_addf(&line, T("%llu files"), (unsigned long long)t->files);
	add_rest(show, t, elapsed, &line);
	str_addf(&line, ", %.1f MB/s",
		 (double)t->bytes / 1e6 / ((double)elapsed / 1e9 + 0.001));
	if (t->infected)
		str_addf(&line, T(", %llu infected"),
			 (unsigned long long)t->infected);
	fprintf(stderr, "\r\033[K%s", str_get(&line));
	fflush(stderr);
	show->drawn = true;
	str_free(&line);
}

static void set_count(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, json_integer((json_int_t)v));
}

static void summary_json(const struct scan_tally *t, uint64_t elapsed)
{
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("summary"));
	json_object_set_new(o, "interrupted", json_boolean(t->interrupted));
	set_count(o, "files", t->files);
	set_count(o, "bytes", t->bytes);
	set_count(o, "known", t->known);
	set_count(o, "infected", t->infected);
	set_count(o, "partly", t->partly);
	set_count(o, "errors", t->errors);
	set_count(o, "excluded", t->excluded);
	set_count(o, "skipped", t->skipped);
	set_count(o, "unfinished", t->sent - t->files);
	set_count(o, "job", t->job);
	set_count(o, "duration_ms", elapsed / CLOCK_NS_PER_MS);
	output_json_line(stdout, o);
	json_decref(o);
}

/* A line of the summary, but for counts of nothing. */
static void count_line(const char *title, uint64_t n, const char *what,
		       enum output_colour colour)
{
	struct str line = {0};

	if (n == 0)
		return;
	output_title(stdout, title, 12);
	str_addf(&line, T(what), (unsigned long long)n);
	output_colour(stdout, colour, str_get(&line));
	fputc('\n', stdout);
	str_free(&line);
}

void scan_show_summary(struct scan_show *show, const struct scan_tally *t)
{
	uint64_t elapsed = clock_mono_ns() - show->began_ns;
	char size[32], time[64];

	wipe(show);
	if (show->json)
		summary_json(t, elapsed);
	if (show->json || (show->quiet && !t->interrupted))
		return;
	if (t->interrupted)
		puts(T("Interrupted: this is what has been done."));
	output_title(stdout, "Scanned:", 12);
	printf(T("%llu files, %s in %s\n"), (unsigned long long)t->files,
	       str_size(size, sizeof(size), t->bytes),
	       output_duration(time, sizeof(time), elapsed / CLOCK_NS_PER_MS));
	count_line("Known clean:", t->known, "%llu of them, not scanned again",
		   OUTPUT_PLAIN);
	output_title(stdout, "Infected:", 12);
	printf("%" PRIu64 "\n", t->infected);
	count_line("Partly:", t->partly,
		   "%llu too large or encrypted, not seen in full",
		   OUTPUT_YELLOW);
	count_line("Errors:", t->errors, "%llu could not be examined",
		   OUTPUT_YELLOW);
	count_line("Excluded:", t->excluded, "%llu files and directories",
		   OUTPUT_PLAIN);
	count_line("Left out:", t->skipped, "%llu file systems", OUTPUT_PLAIN);
	count_line("Unfinished:", t->sent - t->files, "%llu files",
		   OUTPUT_YELLOW);
}
