# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# L1: generic, knows nothing of the product.
$(eval $(call library,libsplxutil,splxcore/lib))
UTIL_LIBS = $(call pkg,libevent_core libseccomp)
