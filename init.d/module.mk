# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# The init scripts, and what `make install` does beyond copying files.

install::
	install -d $(DESTDIR)$(sysconfdir)/init.d $(DESTDIR)$(libexecdir)
	install -m 755 init.d/splx init.d/splxcore init.d/splxhttpd \
		$(DESTDIR)$(sysconfdir)/init.d
	install -m 644 init.d/functions init.d/messages_ja \
		$(DESTDIR)$(libexecdir)
	install -m 755 init.d/register $(DESTDIR)$(libexecdir)

# Into a DESTDIR only files go: users, links and services are the system's.
finish-install::
	$(if $(DESTDIR),,sh init.d/register install)

uninstall::
	rm -f $(DESTDIR)$(sysconfdir)/init.d/splx \
		$(DESTDIR)$(sysconfdir)/init.d/splxcore \
		$(DESTDIR)$(sysconfdir)/init.d/splxhttpd

purge::
	$(if $(DESTDIR),,-sh init.d/register purge)
