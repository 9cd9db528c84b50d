# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
