# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# Every tests/unit/FOLDER_NAME_test.c is one cmocka program. What it links
# beyond the two libraries follows from its prefix: lib_, common_, entity_,
# vsapi_, ctl_, httpd_.
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c))
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(UNIT_SRC))
UNIT_EXTRA_entity = $(B)/libentity.a
UNIT_EXTRA_vsapi  = $(B)/libvsapi.a
UNIT_EXTRA_ctl    = $(B)/libctl.a
UNIT_EXTRA_notify = $(B)/libnotify.a
UNIT_EXTRA_netmon = $(B)/libnetmon.a
UNIT_EXTRA_httpd = $(B)/libhttpd.a
UNIT_LIBS_httpd  = $(HTTPD_LIBS)
UNIT_LIBS_entity  = $(ENTITY_LIBS)
UNIT_LIBS_vsapi   = $(VSAPI_LIBS)
UNIT_LIBS_ctl     = $(CTL_LIBS)
UNIT_LIBS_notify  = $(NOTIFY_LIBS)
UNIT_LIBS_netmon  = $(NETMON_LIBS)

define unit
$(B)/tests/unit/$(1): $(B)/tests/unit/$(1).o $$(UNIT_EXTRA_$(2)) $$(SPLX_A)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(UNIT_LIBS_$(2)) \
		$$(SPLX_LIBS) $$(call pkg,cmocka)
endef
$(foreach t,$(notdir $(UNIT_BIN)),$(eval $(call unit,$(t),$(firstword $(subst _, ,$(t))))))

.PHONY: unit-programs
unit-programs: $(UNIT_BIN)
