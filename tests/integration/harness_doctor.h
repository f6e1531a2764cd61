/* SPDX-License-Identifier: MIT */
/* devmesh doctor's report, and words to look into it. */
#ifndef DEVMESH_HARNESS_DOCTOR_H
#define DEVMESH_HARNESS_DOCTOR_H

#include "harness.h"

/* How many failures it tells of; without those of the check `except`. */
int failures(const cJSON *o, const char *except);
/*
 * The report on `dir`, whose exit status must be `code`. That dev.test, the domain of most tests,
 * does not resolve is true on most machines, and does not count.
 */
cJSON *report(struct world *w, const char *dir, int code);
/* A finding of the check whose text holds `text`; NULL if there is none. */
cJSON *find(const cJSON *o, const char *check, const char *level, const char *text);
/* It is there, says why, and its fix holds `fix`. */
void assert_found(
    const cJSON *o, const char *check, const char *level, const char *text, const char *fix);
/* The check was made, and nothing but good came of it. */
void assert_fine(const cJSON *o, const char *check);
bool was_skipped(const cJSON *o, const char *check);
void need_root(struct world *w); /* else the test is skipped */

#endif
