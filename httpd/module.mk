# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# The web console. What browsers fetch (console/) is packed into it.
$(eval $(call library,libhttpd,httpd))
httpd_MAIN = $(B)/httpd/main.o
HTTPD_LIBS = $(call pkg,libmicrohttpd) -lm $(SPLX_LIBS)
$(eval $(call program,libexec/splxhttpd,$(httpd_MAIN),$$(B)/libhttpd.a $$(SPLX_A),$$(HTTPD_LIBS)))

$(B)/httpd/assets.o: $(wildcard httpd/console/*)

install::
	install -m 755 $(B)/libexec/splxhttpd $(DESTDIR)$(libexecdir)
