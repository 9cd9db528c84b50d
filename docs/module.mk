# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# The manuals. Parts of them are made from the tables (verbs, options, codes,
# counters, events):
#   make manuals         fills them anew, after a table has changed
#   make check-manuals   fails when one does not fit the tables, or is not
#                        right as mdoc
MAN5 = docs/splx.conf.5 docs/splx-quarantine.5 docs/splx-network.5
MAN8 = docs/splx.8 docs/splxctl.8 docs/entity.8 docs/vsapiapp.8 \
       docs/splxhttpd.8
MANUALS = $(MAN5) $(MAN8)

$(B)/docs/manual: $(B)/docs/manual.o $(SPLX_A)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(B)/docs/manual.o $(SPLX_A) \
		$(SPLX_LIBS)

.PHONY: manuals check-manuals
manuals: $(B)/docs/manual
	@for page in $(MANUALS); do \
		$(B)/docs/manual <$$page >$(B)/docs/page || exit 1; \
		cmp -s $(B)/docs/page $$page || cp $(B)/docs/page $$page; \
	done

check-tables: check-manuals
check-manuals: $(B)/docs/manual
	@for page in $(MANUALS); do \
		$(B)/docs/manual <$$page | cmp -s - $$page || { \
			echo "$$page does not fit the tables:" \
				"make manuals" >&2; exit 1; }; \
	done
	@mandoc -T lint -W warning $(MANUALS)

install::
	install -d $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man8
	install -m 644 $(MAN5) $(DESTDIR)$(mandir)/man5
	install -m 644 $(MAN8) $(DESTDIR)$(mandir)/man8

uninstall::
	rm -f $(addprefix $(DESTDIR)$(mandir)/man5/,$(notdir $(MAN5))) \
		$(addprefix $(DESTDIR)$(mandir)/man8/,$(notdir $(MAN8)))
