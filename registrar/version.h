/* SPDX-License-Identifier: MIT */
#ifndef DEVMESH_VERSION_H
#define DEVMESH_VERSION_H

#define DEVMESH_VERSION "0.1.0"

/* Of every JSON document that devmesh prints; raised when a member changes its meaning. */
#define DEVMESH_SCHEMA_VERSION 1

#endif
