# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# make bench: bare, ours and clamd+clamonacc in one run; ratios into
# build/bench/.
BENCH_BIN = $(B)/tests/bench/opens $(B)/tests/bench/scandesc

$(B)/tests/bench/opens: $(B)/tests/bench/opens.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
$(B)/tests/bench/scandesc: $(B)/tests/bench/scandesc.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(call pkg,libclamav)

.PHONY: bench
bench: all
	@sh tests/build/deps.sh build test bench
	+@$(MAKE) --no-print-directory $(BENCH_BIN)
	@/usr/bin/python3 tests/bench/bench.py
