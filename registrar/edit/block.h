/* SPDX-License-Identifier: MIT */
/*
 * Lines of ours in a text file of the user's, between two comments that say so. What stands
 * outside is never changed, and stripping the block gives back the very bytes that were there.
 *
 *     # >>> devmesh init direnv >>>
 *     eval "$(devmesh env)"
 *     # <<< devmesh init direnv <<<
 *
 * A block behind a last line without newline begins with that newline and ends without one: so
 * stripping knows. A file that was made for the block says so in the first comment.
 */
#ifndef DEVMESH_BLOCK_H
#define DEVMESH_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The text with a block at offset `at`, the beginning of a line or the end. `body` is lines, each
 * with its newline; they are written with CR LF where the text has it. The caller owns it.
 */
char *block_insert(const char *text, size_t at, const char *tool, const char *body, bool made);

/* Whether the text holds this very block. */
bool block_has(const char *text, const char *tool, const char *body);

/*
 * The text without the blocks of `tool`; the caller owns it. *count is how many there were, *made
 * whether one says that the file was made for it. A block without its end is left alone.
 */
char *block_strip(const char *text, const char *tool, unsigned *count, bool *made);

/* Behind the first line: a script's block stands before anything that could exit. */
size_t block_after_first_line(const char *text);

#endif
