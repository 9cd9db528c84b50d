# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# make check-vm [KERNELS="6.1 ..."|all] [SMOKE="5.10 ..."] [VM="FILE ..."]: tests
# in virtual machines; the named kernels in full. Else 6.1, and of the others a
# smoke test. make check-kasan: the module's tests on a kernel with KASAN,
# lockdep and leak checks, built when missing (long).
# `make check` begins none after VM_MINUTES (told as skipped); make check-vm
# takes as long as it needs.
KERNELS    =
SMOKE      =
VM         =
VM_MINUTES = 40
KASAN_TESTS = $(patsubst %,tests/vm/test_%.py,hook module questions rivals \
		seen unasked unload)

# Run inside: static, so that they run in any of the machines.
VM_PROG = $(patsubst tests/vm/prog/%.c,$(B)/tests/vm/%,\
		$(sort $(wildcard tests/vm/prog/*.c)))
$(B)/tests/vm/%: tests/vm/prog/%.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) -static -pthread \
		-MMD -MP -o $@ $<

# Where they cannot be installed the tests are skipped, with that reason.
vm-deps     = sh tests/build/deps.sh vm || [ "$$CI" != true ]
vm-settings = KERNELS="$(KERNELS)" SMOKE="$(SMOKE)" CHECK_VM="$(VM)"

.PHONY: check-vm check-kasan vm-programs
vm-programs: $(VM_PROG)

check-vm: all
	@sh tests/build/deps.sh test
	@$(vm-deps)
	+@$(MAKE) --no-print-directory vm-programs
	@$(vm-settings) sh tests/build/check.sh vm

check-kasan: all
	@sh tests/build/deps.sh test kasan
	@$(vm-deps)
	+@$(MAKE) --no-print-directory vm-programs
	@KERNELS=kasan CHECK_VM="$(or $(VM),$(KASAN_TESTS))" \
		sh tests/build/check.sh vm
