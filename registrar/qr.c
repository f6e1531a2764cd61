/* SPDX-License-Identifier: MIT */
#include "qr.h"

#include <errno.h>
#include <qrencode.h>
#include <string.h>

#include "base/str.h"

enum {
	QUIET = 4, /* modules around it: ISO/IEC 18004 §5.3.8 */
	SVG_MAX = 256 << 10,
	BLOCKS_MAX = 256 << 10,
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

/* NULL: *err says why. To be freed by QRcode_free(). */
static QRcode *
encode(const char *text, struct dm_err *err)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);

	if (code == NULL)
		(void)dm_fail(
		    err, DM_FAILED, "making a QR code of %.200s: %s", text, strerror(errno));
	return code;
}

char *
qr_svg(const char *text, struct dm_err *err)
{
	QRcode *code = encode(text, err);
	DM_AUTO_STR struct dm_str out = dm_str_make(SVG_MAX);
	int side;

	if (code == NULL)
		return NULL;
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

/* Counted from the corner of the quiet zone, which is light, as is all beyond it. */
static bool
is_dark(const QRcode *code, int x, int y)
{
	x -= QUIET;
	y -= QUIET;
	return x >= 0 && y >= 0 && x < code->width && y < code->width &&
	       (code->data[(size_t)y * (size_t)code->width + (size_t)x] & 1) != 0;
}

char *
qr_blocks(const char *text, bool colours, bool invert, struct dm_err *err)
{
	static const char *const blocks[] = {" ", "\u2580", "\u2584", "\u2588"};
	QRcode *code = encode(text, err);
	DM_AUTO_STR struct dm_str out = dm_str_make(BLOCKS_MAX);
	bool draw_dark = colours != invert;
	int side;

	if (code == NULL)
		return NULL;
	side = code->width + 2 * QUIET;
	for (int y = 0; y < side; y += 2) {
		/* of the 256 colours these two are the same everywhere; of the first 16 none is */
		(void)dm_str_addf(&out, "%s", colours ? "\033[38;5;16;48;5;231m" : "");
		for (int x = 0; x < side; x++) {
			int upper = is_dark(code, x, y) == draw_dark;
			int lower = is_dark(code, x, y + 1) == draw_dark;

			(void)dm_str_addf(&out, "%s", blocks[upper + 2 * lower]);
		}
		(void)dm_str_addf(&out, "%s\n", colours ? "\033[0m" : "");
	}
	QRcode_free(code);
	return dm_str_take(&out);
}
