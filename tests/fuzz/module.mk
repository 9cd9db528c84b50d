# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# Every tests/fuzz/NAME_fuzz.c is a fuzz target (fuzz.h), its small hand-made
# inputs lie in tests/fuzz/corpus/NAME, words that help in NAME.dict. What it
# links beyond the two libraries:
FUZZ_EXTRA_seal = $(B)/libentity.a
FUZZ_LIBS_seal  = $(ENTITY_LIBS)
FUZZ_EXTRA_notify = $(B)/libnotify.a
FUZZ_LIBS_notify  = $(NOTIFY_LIBS)
FUZZ_EXTRA_database = $(B)/libvsapi.a
FUZZ_LIBS_database  = $(VSAPI_LIBS)
FUZZ_EXTRA_params = $(B)/libhttpd.a
FUZZ_LIBS_params  = $(HTTPD_LIBS)
FUZZ_EXTRA_api = $(B)/libhttpd.a
FUZZ_LIBS_api  = $(HTTPD_LIBS)
FUZZ_EXTRA_link = $(B)/libhttpd.a
FUZZ_LIBS_link  = $(HTTPD_LIBS)

FUZZ_SECONDS = 60
FUZZERS := $(patsubst tests/fuzz/%_fuzz.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))

# The same source twice: under libFuzzer, and with a main() that replays files.
define fuzzer
$(B)/tests/fuzz/$(1)_fuzz: $(B)/tests/fuzz/$(1)_fuzz.o $$(FUZZ_EXTRA_$(1)) $$(SPLX_A)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -fsanitize=fuzzer -o $$@ $$^ \
		$$(FUZZ_LIBS_$(1)) $$(SPLX_LIBS)
$(B)/tests/fuzz/$(1)_replay: $(B)/tests/fuzz/$(1)_fuzz.o $(B)/tests/fuzz/replay.o \
		$$(FUZZ_EXTRA_$(1)) $$(SPLX_A)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ \
		$$(FUZZ_LIBS_$(1)) $$(SPLX_LIBS)
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzzer,$(f))))

# make fuzz [FUZZERS=NAME] [FUZZ_SECONDS=N]: each target for so long, built by
# clang in build/fuzz; what is found lies there too.
FUZZ_BUILD = B=build/fuzz CC=clang OPT='-O1 -g -fno-omit-frame-pointer' \
	HARDEN=-fPIE SANFLAGS='-fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined'

.PHONY: fuzz fuzz-replay $(FUZZERS:%=fuzz-run-%)
fuzz: $(FUZZERS:%=fuzz-run-%)
$(FUZZERS:%=fuzz-run-%): fuzz-run-%:
	+@$(MAKE) --no-print-directory $(FUZZ_BUILD) build/fuzz/tests/fuzz/$*_fuzz
	@mkdir -p build/fuzz/corpus/$*
	build/fuzz/tests/fuzz/$*_fuzz -max_total_time=$(FUZZ_SECONDS) \
		-timeout=10 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
		-artifact_prefix=build/fuzz/$*- \
		$(addprefix -dict=,$(wildcard tests/fuzz/$*.dict)) \
		build/fuzz/corpus/$* tests/fuzz/corpus/$*

fuzz-replay: $(FUZZERS:%=$(B)/tests/fuzz/%_replay)
	$(Q)set -e; for f in $(FUZZERS); do \
		$(B)/tests/fuzz/$${f}_replay tests/fuzz/corpus/$$f; done
