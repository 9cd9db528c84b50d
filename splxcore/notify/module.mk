# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# splxnotify: tells others of events, for core.
$(eval $(call library,libnotify,splxcore/notify))
notify_MAIN = $(B)/splxcore/notify/main.o
NOTIFY_LIBS = $(call pkg,libcurl libcrypto) $(SPLX_LIBS)
$(eval $(call program,libexec/splxnotify,$(notify_MAIN),$$(B)/libnotify.a $$(SPLX_A),$$(NOTIFY_LIBS)))
