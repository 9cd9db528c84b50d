# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
$(eval $(call library,libctl,splxcore/ctl))
ctl_MAIN = $(B)/splxcore/ctl/main.o
CTL_LIBS = $(call pkg,zlib libcurl) $(SPLX_LIBS)
$(eval $(call program,splxctl,$(ctl_MAIN),$$(B)/libctl.a $$(SPLX_A),$$(CTL_LIBS)))

compdir = $(prefix)/share/bash-completion/completions
install::
	install -d $(DESTDIR)$(compdir)
	$(B)/splxctl completion bash >$(DESTDIR)$(compdir)/splxctl
	chmod 644 $(DESTDIR)$(compdir)/splxctl

uninstall::
	rm -f $(DESTDIR)$(compdir)/splxctl
