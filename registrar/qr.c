/* SPDX-License-Identifier: MIT */
#include "qr.h"

#include <errno.h>
#include <qrencode.h>
#include <string.h>

#include "base/str.h"

enum {
	QUIET = 4, /* modules around it: ISO/IEC 18004 §5.3.8 */
	SVG_MAX = 256 << 10
};

/* Each run of dark modules in a row is a rectangle. */
static void
add_row(struct dm_str *out, const unsigned char *row, int width, int y)
{
	for (int x = 0, n; x < width; x += n) {
		for (n = 0; x + n < width && (row[x + n] & 1) != 0; n++)
			continue;
		if (n > 0)
			(void)dm_str_addf(out, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, n, n);
		else
			n = 1;
	}
}

char *
qr_svg(const char *text, struct dm_err *err)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	DM_AUTO_STR struct dm_str out = dm_str_make(SVG_MAX);
	int side;

	if (code == NULL) {
		(void)dm_fail(
		    err, DM_FAILED, "making a QR code of %.200s: %s", text, strerror(errno));
		return NULL;
	}
	side = code->width + 2 * QUIET;
	(void)dm_str_addf(&out,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
	    "shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h%dv%dh-%dz\"/><path d=\"",
	    side, side, side, side, side);
	for (int y = 0; y < code->width; y++)
		add_row(&out, code->data + (size_t)y * (size_t)code->width, code->width, y);
	(void)dm_str_addf(&out, "\"/></svg>\n");
	QRcode_free(code);
	return dm_str_take(&out);
}
