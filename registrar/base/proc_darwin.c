/* SPDX-License-Identifier: MIT */
/* Written from Apple's libproc.h and sysctl(3); not yet run on a Mac. */
#include <libproc.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/proc_info.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/proc.h"
#include "base/proc_text.h"
#include "base/str.h"

static bool
bsd_info(pid_t pid, struct proc_bsdinfo *info)
{
	return proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, info, sizeof(*info)) == (int)sizeof(*info) &&
	       info->pbi_status != SZOMB;
}

bool
dm_proc_id(pid_t pid, struct dm_proc_id *out)
{
	struct proc_bsdinfo info;

	if (pid <= 0 || !bsd_info(pid, &info))
		return false;
	*out = (struct dm_proc_id){
	    .pid = pid, .start = info.pbi_start_tvsec * 1000000 + info.pbi_start_tvusec + 1};
	return true;
}

/* Its working directory; false if it is unknown. */
static bool
cwd_info(pid_t pid, struct proc_vnodepathinfo *info)
{
	return proc_pidinfo(pid, PROC_PIDVNODEPATHINFO, 0, info, sizeof(*info)) ==
		   (int)sizeof(*info) &&
	       info->pvi_cdir.vip_path[0] == '/';
}

bool
dm_proc_cwd_text(pid_t pid, char *out, size_t size)
{
	struct proc_vnodepathinfo info;

	return cwd_info(pid, &info) && dm_snprintf(out, size, "%s", info.pvi_cdir.vip_path);
}

/* Whether that directory is still what this path leads to. */
static bool
is_there(const struct proc_vnodepathinfo *info)
{
	const struct vinfo_stat *own = &info->pvi_cdir.vip_vi.vi_stat;
	struct stat here;

	return stat(info->pvi_cdir.vip_path, &here) == 0 && (uint32_t)here.st_dev == own->vst_dev &&
	       here.st_ino == own->vst_ino;
}

char *
dm_proc_cwd(pid_t pid)
{
	struct proc_vnodepathinfo info;

	return cwd_info(pid, &info) && is_there(&info) ? dm_strdup(info.pvi_cdir.vip_path) : NULL;
}

char *
dm_proc_cwd_last(pid_t pid, bool *removed)
{
	struct proc_vnodepathinfo info;

	*removed = false;
	if (!cwd_info(pid, &info))
		return NULL;
	*removed = !is_there(&info);
	return dm_strdup(info.pvi_cdir.vip_path);
}

char *
dm_proc_name(pid_t pid)
{
	char name[2 * MAXCOMLEN + 1];

	return proc_name(pid, name, sizeof(name)) > 0 ? dm_strdup(name) : NULL;
}

char *
dm_proc_program(pid_t pid)
{
	char path[PROC_PIDPATHINFO_MAXSIZE];

	return proc_pidpath(pid, path, sizeof(path)) > 0 ? dm_path_base(path) : NULL;
}

pid_t
dm_proc_parent(pid_t pid)
{
	struct proc_bsdinfo info;

	return bsd_info(pid, &info) ? (pid_t)info.pbi_ppid : 0;
}

/*
 * KERN_PROCARGS2: argc, the program's path, padding, argc arguments, then the environment. What it
 * was started with (owned), where the arguments begin and end; NULL if unknown.
 */
static char *
read_arguments(pid_t pid, const char **first, const char **behind, const char **end)
{
	int mib[3] = {CTL_KERN, KERN_PROCARGS2, (int)pid}, argc;
	size_t size = 1 << 20;
	char *text = dm_calloc(size + 1, 1);
	const char *p;

	if (sysctl(mib, 3, text, &size, NULL, 0) != 0 || size < sizeof(argc)) {
		free(text);
		return NULL;
	}
	*end = text + size;
	memcpy(&argc, text, sizeof(argc));
	p = text + sizeof(argc);
	p += strnlen(p, (size_t)(*end - p));
	while (p < *end && *p == '\0')
		p++;
	*first = p;
	for (; argc > 0 && p < *end; argc--)
		p += strnlen(p, (size_t)(*end - p)) + 1;
	*behind = p < *end ? p : *end;
	return text;
}

char *
dm_proc_command(pid_t pid)
{
	const char *first, *behind, *end;
	DM_AUTO_FREE char *text = read_arguments(pid, &first, &behind, &end);

	return text == NULL ? NULL : dm_text_command(first, (size_t)(behind - first));
}

char *
dm_proc_env(pid_t pid, const char *name)
{
	const char *first, *p, *end;
	DM_AUTO_FREE char *text = read_arguments(pid, &first, &p, &end);
	size_t length = strlen(name);

	if (text == NULL)
		return NULL;
	for (; p < end && *p != '\0'; p += strnlen(p, (size_t)(end - p)) + 1) {
		if (strncmp(p, name, length) == 0 && p[length] == '=')
			return dm_strdup(p + length + 1);
	}
	return NULL;
}

/* Processes of a kind (libproc.h: PROC_ALL_PIDS, PROC_PGRP_ONLY, PROC_PPID_ONLY). */
static void
add_processes(uint32_t kind, uint32_t of, struct dm_pids *out)
{
	int bytes = proc_listpids(kind, of, NULL, 0);
	DM_AUTO_FREE pid_t *list = NULL;
	struct proc_bsdinfo info;

	if (bytes <= 0)
		return;
	list = dm_calloc((size_t)bytes + 64 * sizeof(*list), 1);
	bytes = proc_listpids(kind, of, list, bytes + (int)(64 * sizeof(*list)));
	for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof(*list); i++) {
		if (list[i] > 0 && bsd_info(list[i], &info))
			dm_pids_add(out, list[i]);
	}
}

void
dm_proc_all(struct dm_pids *out)
{
	add_processes(PROC_ALL_PIDS, 0, out);
}

void
dm_proc_descendants(pid_t root, struct dm_pids *out)
{
	size_t next = out->count;

	for (pid_t parent = root; parent != 0; parent = next < out->count ? out->list[next++] : 0)
		add_processes(PROC_PPID_ONLY, (uint32_t)parent, out);
}

void
dm_proc_group(pid_t group, struct dm_pids *out)
{
	add_processes(PROC_PGRP_ONLY, (uint32_t)group, out);
}

static void
add_socket(pid_t pid, int fd, struct dm_listeners *out)
{
	struct socket_fdinfo info;
	const struct in_sockinfo *in = &info.psi.soi_proto.pri_tcp.tcpsi_ini;
	struct dm_listener one = {.pid = pid};
	struct proc_bsdinfo owner;

	if (!bsd_info(pid, &owner) ||
	    proc_pidfdinfo(pid, fd, PROC_PIDFDSOCKETINFO, &info, sizeof(info)) !=
		(int)sizeof(info) ||
	    info.psi.soi_kind != SOCKINFO_TCP ||
	    info.psi.soi_proto.pri_tcp.tcpsi_state != TSI_S_LISTEN)
		return;
	one.uid = owner.pbi_uid;
	one.port = ntohs((uint16_t)in->insi_lport);
	one.ipv6 = (in->insi_vflag & INI_IPV6) != 0;
	if (one.ipv6)
		memcpy(one.address, &in->insi_laddr.ina_6, 16);
	else
		memcpy(one.address, &in->insi_laddr.ina_46.i46a_addr4, 4);
	dm_listeners_add(out, &one);
}

static void
add_listeners(pid_t pid, struct dm_listeners *out)
{
	int bytes = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, NULL, 0);
	DM_AUTO_FREE struct proc_fdinfo *fds = NULL;

	if (bytes <= 0)
		return;
	fds = dm_calloc((size_t)bytes, 1);
	bytes = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, fds, bytes);
	for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof(*fds); i++) {
		if (fds[i].proc_fdtype == PROX_FDTYPE_SOCKET)
			add_socket(pid, fds[i].proc_fd, out);
	}
}

void
dm_proc_listeners(const struct dm_pids *pids, struct dm_listeners *out)
{
	for (size_t i = 0; i < pids->count; i++)
		add_listeners(pids->list[i], out);
}

void
dm_proc_of_ports(const uint16_t *ports, size_t count, struct dm_listeners *out)
{
	struct dm_pids all = {.count = 0};
	struct dm_listeners found = {.count = 0};

	dm_proc_all(&all);
	dm_proc_listeners(&all, &found);
	for (size_t i = 0; i < found.count; i++) {
		for (size_t j = 0; j < count; j++) {
			if (found.list[i].port == ports[j]) {
				dm_listeners_add(out, &found.list[i]);
				break;
			}
		}
	}
	dm_listeners_release(&found);
	dm_pids_release(&all);
}

void
dm_proc_of_udp_port(uint16_t port, struct dm_listeners *out)
{
	/* proc_pidfdinfo(2) would tell; nobody has needed it */
	(void)port;
	(void)out;
}

bool
dm_proc_adopt_orphans(void)
{
	return false;
}
