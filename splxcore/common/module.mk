# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# L2: what the daemons share.
$(eval $(call library,libsplx,splxcore/common))
SPLX_LIBS = $(call pkg,libconfuse jansson libpcre2-8) $(UTIL_LIBS)
SPLX_A    = $(B)/libsplx.a $(B)/libsplxutil.a
