# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#
# make           everything           make run      a private suite, now
# make check     all tests            make install  into the system
# make deb       Debian packages
# make help      the rest
#
# Each folder says in its module.mk what it is made of.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

CC       = gcc
B        = build$(if $(SAN),/san)$(if $(CLANG),/clang)
ifneq ($(CLANG),)
CC       = clang
endif
OPT      = -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wvla -Werror=implicit -Wno-unused-parameter
HARDEN   = -fstack-protector-strong -fPIE
ifneq ($(SAN),)
OPT      = -O1 -g -fno-omit-frame-pointer
HARDEN   = -fPIE
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
HARDEN  += -D_FORTIFY_SOURCE=2
endif
CPPFLAGS = -D_GNU_SOURCE -Isplxcore -I.
CFLAGS   = -std=gnu11 $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) $(EXTRA_CFLAGS)
LDFLAGS  = -pie -Wl,-z,relro,-z,now $(SANFLAGS)

prefix      = /usr
sbindir     = $(prefix)/sbin
libexecdir  = $(prefix)/lib/splx
datadir     = $(prefix)/share/splx
mandir      = $(prefix)/share/man
sysconfdir  = /etc
localstatedir = /var
rundir      = /run/splx
DESTDIR     =

MODULES = splxcore/lib splxcore/common splxcore/entity splxcore/ctl \
          splxcore/fresh splxcore/notify splxcore/netmon vsapiapp httpd \
          khm init.d etc etc/deb docs tests
PROGRAMS :=
TESTS    :=
FUZZERS  :=

# $(call library,NAME,FOLDER): every .c of the folder
define library
$(1)_OBJS := $$(patsubst %.c,$$(B)/%.o,$$(sort $$(wildcard $(2)/*.c)))
$$(B)/$(1).a: $$($(1)_OBJS)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef

# $(call program,PATH,OBJECTS,LIBRARIES,-l FLAGS)
define program
PROGRAMS += $$(B)/$(1)
$$(B)/$(1): $(2) $(3)
	@mkdir -p $$(@D)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $(2) $(3) $(4)
endef

ifeq ($(V),)
Q   = @
say = @printf '  %-5s %s\n'
else
say = @:
endif

pkg = $(shell pkg-config --libs $(1) 2>/dev/null)

# make install [DESTDIR=]: files, scan user, start links. Settings that are
# there are kept. uninstall leaves settings, quarantine and logs; purge nothing.
# Each of these is many rules, run in the order they stand in: before those of
# the folders comes what they build on (programs; a service that is stopped).
.PHONY: install uninstall purge finish-install
install:: all
	install -d $(DESTDIR)$(libexecdir) $(DESTDIR)$(sbindir)
	install -m 755 $(B)/entity $(B)/libexec/vsapiapp \
		$(B)/libexec/splxfresh $(B)/libexec/splxnotify \
		$(B)/libexec/splxnetmon \
		$(DESTDIR)$(libexecdir)
	install -m 755 $(B)/splxctl $(DESTDIR)$(sbindir)
uninstall::
	$(if $(DESTDIR),,-sh init.d/register remove)
	$(if $(DESTDIR),,-$(libexecdir)/splxnetmon -r)
	rm -rf $(DESTDIR)$(libexecdir) $(DESTDIR)$(rundir)
	rm -f $(DESTDIR)$(sbindir)/splxctl
purge:: uninstall

include $(wildcard $(addsuffix /module.mk,$(MODULES)))

install::
	+@$(MAKE) --no-print-directory finish-install

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find build -path '*/stage' -prune -o -type f -name '*.d' -print 2>/dev/null)

.PHONY: all clean help deps
all: deps
	+@$(MAKE) --no-print-directory programs
.PHONY: programs
programs: $(PROGRAMS)

# Installs what is missing; says what it needs where it may not.
deps:
	@sh tests/build/deps.sh build

# make run [PROTECT=DIR]: a private suite below build/stage, in the
# foreground; Ctrl-C ends it.
PROTECT =
.PHONY: run stage
stage: all
	@sh tests/build/stage.sh $(B)/stage $(B)
run: stage
	@exec sh tests/build/run.sh $(B)/stage "$(PROTECT)"

clean:
	rm -rf build

help:
	@sed -n 's/^# *make/make/p' Makefile
	@echo 'uninstall purge check-unit check-system check-vm check-browser'
	@echo 'fuzz bench lint format clean    (SAN=1 sanitizers, CLANG=1 clang)'
