# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# make bench: bare, ours and clamd+clamonacc in one run, and the kernel module
# in virtual machines; figures into build/bench/, the tables into
# docs/BENCHMARKS.md. BENCH_ARGS: see tests/bench/bench.py --help; "--only
# module" measures the kernel module alone.
BENCH_BIN = $(B)/tests/bench/opens $(B)/tests/bench/scandesc \
            $(B)/tests/bench/answer $(B)/tests/bench/vm/rounds

$(B)/tests/bench/opens: $(B)/tests/bench/opens.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
$(B)/tests/bench/answer: $(B)/tests/bench/answer.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
$(B)/tests/bench/scandesc: $(B)/tests/bench/scandesc.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(call pkg,libclamav)

# Runs in the virtual machines, which have no libraries.
$(B)/tests/bench/vm/rounds: tests/bench/vm/rounds.c khm/uapi/splxmod.h
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) -static -o $@ $<

.PHONY: bench
bench: all
	@sh tests/build/deps.sh build test bench
	@$(vm-deps)
	+@$(MAKE) --no-print-directory $(BENCH_BIN)
	@/usr/bin/python3 tests/bench/bench.py \
		--publish docs/BENCHMARKS.md $(BENCH_ARGS)
