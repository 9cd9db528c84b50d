/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_HTTPD_H
#define SPLX_HTTPD_HTTPD_H

/* The web console's program; returns its exit status (enum lsb_exit). */
int httpd_main(int argc, char **argv);

#endif
