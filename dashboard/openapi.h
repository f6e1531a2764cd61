/* SPDX-License-Identifier: MIT */
/* dashboard/openapi.json, which the Makefile puts into the program. */
#ifndef DEVMESH_OPENAPI_H
#define DEVMESH_OPENAPI_H

#include <stddef.h>

extern const char openapi_json[];
extern const size_t openapi_json_len;

#endif
