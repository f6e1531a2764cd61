/* SPDX-License-Identifier: MIT */
/* QR codes (ISO/IEC 18004), by libqrencode. Pure. */
#ifndef DEVMESH_QR_H
#define DEVMESH_QR_H

#include <stdbool.h>

#include "base/err.h"

/* The text as an SVG picture of one path, with its quiet zone. The caller owns it. */
char *qr_svg(const char *text, struct dm_err *err) DM_MUST;

/*
 * The text for a terminal: lines of half blocks (U+2580, U+2584, U+2588), two rows of modules in
 * each, with the quiet zone. With `colours` black on white, whatever the terminal's own are;
 * without, what is drawn is light, as suits a dark terminal. `invert` draws the other modules. The
 * caller owns it.
 */
char *qr_blocks(const char *text, bool colours, bool invert, struct dm_err *err) DM_MUST;

#endif
