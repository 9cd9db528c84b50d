/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_ENTITY_H
#define SPLX_ENTITY_ENTITY_H

/* The whole program: reads its options and becomes the supervisor, core
 * (--core) or an adopting supervisor (--adopt). Returns the exit status. */
int entity_main(int argc, char **argv);

#endif
