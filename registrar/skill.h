/* SPDX-License-Identifier: MIT */
/* The guide for coding agents: Markdown with a skill's front matter. */
#ifndef DEVMESH_SKILL_H
#define DEVMESH_SKILL_H

/* The guide, with one line for each verb of the table; the caller owns it. */
char *skill_text(void);

/* A line by which a guide that devmesh wrote is known from one that a person wrote. */
#define SKILL_MARK "<!-- written by devmesh: devmesh skill -->"

#endif
