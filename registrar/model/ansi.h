/* SPDX-License-Identifier: MIT */
/*
 * What programs write to terminals, made safe to show again: text and its colours, nothing that
 * moves a cursor, sets a title, or asks the terminal for something. Pure.
 */
#ifndef DEVMESH_ANSI_H
#define DEVMESH_ANSI_H

#include <stdbool.h>
#include <stddef.h>

struct dm_str;

/*
 * Appends one line. What becomes of it is valid UTF-8 without control characters, but for SGR
 * sequences (ECMA-48 §8.3.117, "ESC [ ... m") where `colours`, ended by one that resets if any
 * came. All other sequences of ECMA-48 are left out, also one that does not end. A carriage return
 * begins the line anew, as it looks on a terminal.
 */
void ansi_clean(const char *line, size_t len, bool colours, struct dm_str *out);

#endif
