# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# Settings, patterns and what other services need to know. The settings of an
# administrator are never overwritten, nor removed but by purge.

install::
	install -d $(DESTDIR)$(sysconfdir)/splx
	install -d -m 700 $(DESTDIR)$(sysconfdir)/splx/km
	install -d $(DESTDIR)$(sysconfdir)/splx/keys
	install -d $(DESTDIR)$(sysconfdir)/logrotate.d
	[ -e $(DESTDIR)$(sysconfdir)/splx/splx.conf ] || \
		install -m 640 etc/splx.conf $(DESTDIR)$(sysconfdir)/splx
	[ -e $(DESTDIR)$(sysconfdir)/splx/conflicts.conf ] || \
		install -m 644 etc/conflicts.conf $(DESTDIR)$(sysconfdir)/splx
	[ -e $(DESTDIR)$(sysconfdir)/splx/scans.conf ] || \
		install -m 644 etc/scans.conf $(DESTDIR)$(sysconfdir)/splx
	[ -e $(DESTDIR)$(sysconfdir)/splx/notify.conf ] || \
		install -m 600 etc/notify.conf $(DESTDIR)$(sysconfdir)/splx
	[ -e $(DESTDIR)$(sysconfdir)/splx/network.conf ] || \
		install -m 640 etc/network.conf $(DESTDIR)$(sysconfdir)/splx
	$(if $(DESTDIR),,[ ! -e $(datadir)/splx.conf.sample ] || \
		$(B)/splxctl config merge $(datadir)/splx.conf.sample || :)
	install -m 644 etc/logrotate $(DESTDIR)$(sysconfdir)/logrotate.d/splx
	install -d $(DESTDIR)$(datadir)/patterns
	install -m 644 etc/patterns/* $(DESTDIR)$(datadir)/patterns
	install -m 644 etc/splx.conf $(DESTDIR)$(datadir)/splx.conf.sample
	install -m 644 etc/conflicts.conf \
		$(DESTDIR)$(datadir)/conflicts.conf.sample
	install -m 644 etc/scans.conf $(DESTDIR)$(datadir)/scans.conf.sample
	install -m 644 etc/notify.conf $(DESTDIR)$(datadir)/notify.conf.sample
	install -m 644 etc/network.conf $(DESTDIR)$(datadir)/network.conf.sample
	install -d $(DESTDIR)$(datadir)/mibs
	install -m 644 etc/SPLX-MIB.txt $(DESTDIR)$(datadir)/mibs
	install -d -m 755 $(DESTDIR)$(localstatedir)/lib/splx/patterns
	install -d -m 750 $(DESTDIR)$(localstatedir)/log/splx

uninstall::
	rm -f $(DESTDIR)$(sysconfdir)/logrotate.d/splx \
		$(DESTDIR)$(sysconfdir)/cron.d/splx
	rm -rf $(DESTDIR)$(datadir)

# The overrides are of splxctl's making (order apply).
purge::
	rm -f $(DESTDIR)$(sysconfdir)/insserv/overrides/splx \
		$(DESTDIR)$(sysconfdir)/chkconfig.d/splx
	rm -rf $(DESTDIR)$(sysconfdir)/splx $(DESTDIR)$(localstatedir)/lib/splx \
		$(DESTDIR)$(localstatedir)/log/splx

# make etc/splx.conf after a change of options.def; check-tables compares.
$(B)/etc/sample: $(B)/etc/sample.o $(SPLX_A)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(SPLX_LIBS)
etc/splx.conf: $(B)/etc/sample
	$(say) MAKE $@
	$(Q)$< >$@
.PHONY: check-tables
check-tables: $(B)/etc/sample
	@sh tests/build/tables.sh $<
