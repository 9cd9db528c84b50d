# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# L2: what the daemons share.
$(eval $(call library,libsplx,splxcore/common))
SPLX_LIBS = $(call pkg,libconfuse jansson libpcre2-8 libcrypto) $(UTIL_LIBS)
SPLX_A    = $(B)/libsplx.a $(B)/libsplxutil.a

# When one of the headers changes this object is made anew (its .d), and so
# with the new number.
SCOREBOARD_LAYOUT = 0x$(shell sh splxcore/common/layout.sh $(CC) $(CPPFLAGS) \
                      -std=gnu11)
$(B)/splxcore/common/scoreboard.o: splxcore/common/layout.sh
$(B)/splxcore/common/scoreboard.o: override CFLAGS += \
	-DSCOREBOARD_LAYOUT=$(SCOREBOARD_LAYOUT)
