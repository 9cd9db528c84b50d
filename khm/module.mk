# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#
# splxmod.ko, the kernel module. Built outside of the sources, for as many
# kernels as you like:
#   make khm [KDIR=/lib/modules/VERSION/build] [KHM_OUT=FOLDER] [KHM_ARGS=]
# `make` builds it when the running kernel's headers are there.

KDIR     = /lib/modules/$(shell uname -r)/build
KHM_RELEASE = $(or $(shell sed -n 's/.*UTS_RELEASE "\(.*\)".*/\1/p' \
              $(KDIR)/include/generated/utsrelease.h 2>/dev/null),unknown)
KHM_OUT  = build/khm/$(KHM_RELEASE)
KHM_ARGS =

.PHONY: khm khm-if-headers
khm:
	@sh khm/build.sh $(KDIR) $(KHM_OUT) $(KHM_ARGS)

all: khm-if-headers
khm-if-headers:
	@if [ -f $(KDIR)/include/generated/autoconf.h ]; then \
		sh khm/build.sh $(KDIR) $(KHM_OUT) $(KHM_ARGS); \
	else \
		echo "  splxmod not built: no headers of Linux $$(uname -r)"; \
	fi

# The sources are installed too: DKMS builds from them.
KHM_VERSION = $(shell sed -n 's/^.define SPLXMOD_VERSION "\(.*\)"/\1/p' \
              khm/splxmod.h)
KHM_SRC = $(DESTDIR)/usr/src/splxmod-$(KHM_VERSION)
install::
	rm -rf $(DESTDIR)/usr/src/splxmod-*
	install -d $(KHM_SRC)/uapi
	install -m 644 khm/Kbuild khm/probe.sh khm/build.sh khm/*.[chS] \
		$(KHM_SRC)
	install -m 644 khm/uapi/*.h $(KHM_SRC)/uapi
	sed 's/@VERSION@/$(KHM_VERSION)/' khm/dkms.conf >$(KHM_SRC)/dkms.conf
	sed 's/^\(.define SPLXMOD_VERSION\) .*/\1 "$(KHM_VERSION)"/' \
		khm/splxmod.h >$(KHM_SRC)/splxmod.h

# Into a DESTDIR only files go: kernels are the system's.
finish-install::
	$(if $(DESTDIR),,sh khm/register install $(KHM_VERSION) $(KHM_OUT))

uninstall::
	$(if $(DESTDIR),,-sh khm/register remove)
	rm -rf $(DESTDIR)/usr/src/splxmod-*
