# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
$(eval $(call library,libvsapi,vsapiapp))
vsapiapp_MAIN = $(B)/vsapiapp/main.o
VSAPI_LIBS = $(call pkg,libclamav zlib) $(SPLX_LIBS)
# Not build/vsapiapp: there lie the objects of this folder.
$(eval $(call program,libexec/vsapiapp,$(vsapiapp_MAIN),$$(B)/libvsapi.a $$(SPLX_A),$$(VSAPI_LIBS)))
$(B)/tests/unit/vsapi_master_test: | $(B)/libexec/vsapiapp
$(B)/tests/unit/vsapi_longscan_test: | $(B)/libexec/vsapiapp
