# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# splxnetmon: the network monitor.
$(eval $(call library,libnetmon,splxcore/netmon))
netmon_MAIN = $(B)/splxcore/netmon/main.o
NETMON_LIBS = $(call pkg,libmnl) $(SPLX_LIBS)
$(eval $(call program,libexec/splxnetmon,$(netmon_MAIN),$$(B)/libnetmon.a $$(SPLX_A),$$(NETMON_LIBS)))
