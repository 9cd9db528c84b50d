# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# make deb [DEB_VERSION=]: Debian packages in build/deb: splx, and splx-dkms
# with the sources of the kernel module.
SPLX_VERSION = $(shell sed -n 's/^.define SPLX_VERSION "\(.*\)"/\1/p' \
               splxcore/common/version.h)
DEB_VERSION  = $(SPLX_VERSION)

.PHONY: deb
deb: all
	@sh tests/build/deps.sh deb
	@sh etc/deb/build.sh $(B)/deb $(DEB_VERSION) $(KHM_VERSION)
