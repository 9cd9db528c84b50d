# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# make bench: bare, ours and clamd+clamonacc in one run; figures into
# build/bench/, the table into docs/BENCHMARKS.md. BENCH_ARGS: see
# tests/bench/bench.py --help.
BENCH_BIN = $(B)/tests/bench/opens $(B)/tests/bench/scandesc \
            $(B)/tests/bench/answer

$(B)/tests/bench/opens: $(B)/tests/bench/opens.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
$(B)/tests/bench/answer: $(B)/tests/bench/answer.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
$(B)/tests/bench/scandesc: $(B)/tests/bench/scandesc.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(call pkg,libclamav)

.PHONY: bench
bench: all
	@sh tests/build/deps.sh build test bench
	+@$(MAKE) --no-print-directory $(BENCH_BIN)
	@/usr/bin/python3 tests/bench/bench.py \
		--publish docs/BENCHMARKS.md $(BENCH_ARGS)
