/* SPDX-License-Identifier: MIT */
/*
 * The files in launchd/ and systemd/ as strings; the Makefile makes the .c file from them. How
 * they are filled in: setup_plan.c.
 */
#ifndef DEVMESH_SETUP_TEMPLATES_H
#define DEVMESH_SETUP_TEMPLATES_H

extern const char template_caddy_dropin_conf[];
extern const char template_devmesh_caddy_service[];
extern const char template_devmesh_tmpfiles_conf[];
extern const char template_com_devmesh_caddy_plist[];
extern const char template_com_devmesh_devmeshd_plist[];
extern const char template_devmeshd_service[];
extern const char template_caddy_sh[];
extern const char template_devmesh_dns_service[];
extern const char template_devmesh_dns_network[];
extern const char template_resolver[];

#endif
