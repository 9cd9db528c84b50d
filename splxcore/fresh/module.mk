# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# splxfresh: ClamAV's own databases, for splxctl pattern update.
fresh_OBJS := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard splxcore/fresh/*.c)))
FRESH_LIBS = -lfreshclam $(call pkg,libclamav libcurl) $(SPLX_LIBS)
$(eval $(call program,libexec/splxfresh,$(fresh_OBJS),$$(SPLX_A),$$(FRESH_LIBS)))
