# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# make check [CHECK_SYSTEM=FILE...]: all tests; check-unit, check-system,
# check-browser and check-vm a part. Unit tests run twice: as built, and with the
# sanitizers.
# make lint [LINT="layers tidy ..."]: all static checks, or those named
# (lint.sh); all of them means the generated tables too.
# make format: brings the C sources into our form.
LINT =
CHECK_UNIT = unit build/tests/unit unit build/san/tests/unit \
             fuzz build/san/tests/fuzz

.PHONY: check check-unit check-system check-programs fuzz-programs
.PHONY: lint format
check: check-programs
	@$(vm-deps)
	@$(browser-deps)
	+@$(MAKE) --no-print-directory vm-programs
	+@$(MAKE) --no-print-directory SAN=1 programs
	@VM_MINUTES=$(VM_MINUTES) $(vm-settings) \
		sh tests/build/check.sh $(CHECK_UNIT) system browser \
		sanitized vm

check-unit: check-programs
	@sh tests/build/check.sh $(CHECK_UNIT)

check-system: all
	@sh tests/build/deps.sh test
	@sh tests/build/check.sh system

# After `all`: two installations of packages do not go side by side.
check-programs: all
	@sh tests/build/deps.sh test
	+@$(MAKE) --no-print-directory unit-programs
	+@$(MAKE) --no-print-directory SAN=1 unit-programs fuzz-programs

fuzz-programs: $(patsubst tests/fuzz/%_fuzz.c,$(B)/tests/fuzz/%_replay,\
		$(wildcard tests/fuzz/*_fuzz.c))

lint:
	@sh tests/build/deps.sh build test
	+@status=0; sh tests/build/lint.sh $(LINT) || status=1; \
	$(if $(LINT),,$(MAKE) --no-print-directory check-tables || status=1;) \
	exit $$status

format:
	@sh tests/build/deps.sh test
	@git ls-files -co --exclude-standard '*.[ch]' | xargs -r clang-format -i
