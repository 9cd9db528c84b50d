# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# make check-browser [CHECK_BROWSER=FILE...]: the web console in Chromium, on a
# suite of its own; pictures of every page into build/screenshots.
# Where the packages cannot be installed the tests are skipped, with that reason
# (in CI they must be); npm, which brings axe-core, may be missing.
browser-deps = { sh tests/build/deps.sh browser || [ "$$CI" != true ]; } && \
	{ command -v npm >/dev/null || sh tests/build/deps.sh npm || :; }

.PHONY: check-browser
check-browser: all
	@sh tests/build/deps.sh test
	@$(browser-deps)
	@sh tests/build/check.sh browser
