/* SPDX-License-Identifier: MIT */
/* QR codes (ISO/IEC 18004), by libqrencode. Pure. */
#ifndef DEVMESH_QR_H
#define DEVMESH_QR_H

#include "base/err.h"

/* The text as an SVG picture of one path, with its quiet zone. The caller owns it. */
char *qr_svg(const char *text, struct dm_err *err) DM_MUST;

#endif
