# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
$(eval $(call library,libentity,splxcore/entity))
entity_MAIN = $(B)/splxcore/entity/main.o
ENTITY_LIBS = $(call pkg,sqlite3 libcrypto zlib) $(SPLX_LIBS)
$(eval $(call program,entity,$(entity_MAIN),$$(B)/libentity.a $$(SPLX_A),$$(ENTITY_LIBS)))
