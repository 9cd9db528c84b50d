/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>

#include "output.h"
#include "render.h"
#include "service.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void section(json_t *data, const char *name, const char *title,
		    const struct output_column *cols, size_t n)
{
	json_t *list = json_object_get(data, name);

	if (json_array_size(list) == 0)
		return;
	puts("");
	output_colour(stdout, OUTPUT_BOLD, T(title));
	puts("");
	output_rows(stdout, list, cols, n, NULL);
}

static void show_processes(json_t *data)
{
	json_t *list = json_object_get(data, "processes");

	if (json_array_size(list) == 0)
		return;
	puts("");
	output_colour(stdout, OUTPUT_BOLD, T("Processes"));
	puts("");
	service_show(list);
}

void health_render(json_t *data)
{
	static const struct output_column state[] = {
		{"overall", "Overall", OUTPUT_WORD},
		{"operational", "Operational", OUTPUT_WORD},
		{"healthy", "Healthy", OUTPUT_TEXT},
		{"generalStatus", "generalStatus", OUTPUT_NUMBER},
		{"antimalwareStatus", "antimalwareStatus", OUTPUT_NUMBER},
		{"kernelStatus", "kernelStatus", OUTPUT_NUMBER},
		{"patternStatus", "patternStatus", OUTPUT_NUMBER},
		{"networkStatus", "networkStatus", OUTPUT_NUMBER},
		{"consoleStatus", "consoleStatus", OUTPUT_NUMBER},
		{"interceptor", "Interceptor", OUTPUT_WORD},
		{"hook.method", "Hook method", OUTPUT_TEXT},
		{"hook.unseen", "Does not see", OUTPUT_SAID},
		{"patterns.engine", "Engine", OUTPUT_TEXT},
		{"patterns.signatures", "Signatures", OUTPUT_COUNT},
		{"settings.origin", "Settings from", OUTPUT_WORD},
		{"settings.broken", "Settings broken", OUTPUT_SAID},
		{"version", "Version", OUTPUT_TEXT},
	};
	static const struct output_column issues[] = {
		{"severity", "SEVERITY", OUTPUT_WORD},
		{"code", "CODE", OUTPUT_NUMBER},
		{"part", "PART", OUTPUT_TEXT},
		{"text", "TEXT", OUTPUT_SAID},
		{"action", "WHAT TO DO", OUTPUT_SAID},
	};
	static const struct output_column reasons[] = {
		{"code", "CODE", OUTPUT_NUMBER},
		{"text", "TEXT", OUTPUT_SAID},
	};
	static const struct output_column conflicts[] = {
		{"name", "NAME", OUTPUT_TEXT},
		{"effect", "EFFECT", OUTPUT_WORD},
		{"text", "TEXT", OUTPUT_SAID},
		{"action", "WHAT TO DO", OUTPUT_SAID},
	};
	static const struct output_column coverage[] = {
		{"covered", "COVERED", OUTPUT_TEXT},
		{"point", "MOUNT POINT", OUTPUT_TEXT},
		{"fstype", "TYPE", OUTPUT_TEXT},
		{"scope", "SCOPE", OUTPUT_WORD},
		{"namespace", "NAMESPACE OF", OUTPUT_NUMBER},
		{"reason", "REASON", OUTPUT_SAID},
	};

	static const struct output_column lock[] = {
		{"kind", "KIND", OUTPUT_WORD},
		{"time", "TIME", OUTPUT_TIME},
		{"age_s", "AGE", OUTPUT_S},
		{"kernel", "KERNEL", OUTPUT_TEXT},
	};

	output_pairs(stdout, data, state, N(state), false);
	section(data, "health_issues", "Issues", issues, N(issues));
	section(data, "conflicting_applications", "Conflicting applications",
		conflicts, N(conflicts));
	section(data, "reasons", "Why no better interceptor", reasons,
		N(reasons));
	section(json_object_get(data, "load_lock"), "entries", "Load lock",
		lock, N(lock));
	section(data, "coverage", "File systems", coverage, N(coverage));
	show_processes(data);
}
