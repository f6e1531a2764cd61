/* SPDX-License-Identifier: MIT */
/* libproc.h, sysctl(3) and host_statistics64(), as Apple's headers have them; not run on a Mac yet.
 */
#include <libproc.h>
#include <mach/mach.h>
#include <mach/mach_time.h>
#include <stdlib.h>
#include <sys/proc_info.h>
#include <sys/sysctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "usage_os.h"

enum {
	PROCESSES_MAX = 65536
};

/* Mach's unit of time, which times of tasks are in. */
static int64_t
microseconds(uint64_t mach)
{
	static mach_timebase_info_data_t base;

	if (base.denom == 0)
		(void)mach_timebase_info(&base);
	return (int64_t)(mach / 1000 * base.numer / base.denom);
}

bool
usage_read_processes(struct usage_snapshot *out, const struct usage_snapshot *known, unsigned turn)
{
	int n = proc_listallpids(NULL, 0);
	DM_AUTO_FREE pid_t *pids = NULL;

	(void)known;
	(void)turn;
	if (n <= 0 || n > PROCESSES_MAX)
		return false;
	pids = dm_calloc((size_t)n + 64, sizeof(*pids));
	n = proc_listallpids(pids, (n + 64) * (int)sizeof(*pids));
	for (int i = 0; i < n; i++) {
		struct proc_taskallinfo info;
		struct usage_process p = {.id.pid = pids[i]};

		/* those of other users are not told */
		if (proc_pidinfo(pids[i], PROC_PIDTASKALLINFO, 0, &info, sizeof(info)) !=
		    (int)sizeof(info))
			continue;
		/* as dm_proc_id() has it */
		p.id.start = info.pbsd.pbi_start_tvsec * 1000000 + info.pbsd.pbi_start_tvusec + 1;
		p.parent = (pid_t)info.pbsd.pbi_ppid;
		p.own = microseconds(info.ptinfo.pti_total_user + info.ptinfo.pti_total_system);
		p.rss = (int64_t)info.ptinfo.pti_resident_size;
		usage_add(out, &p);
	}
	return out->count > 0;
}

void
usage_read_machine(struct usage_machine *out)
{
	host_cpu_load_info_data_t cpu;
	vm_statistics64_data_t vm;
	mach_msg_type_number_t cpu_count = HOST_CPU_LOAD_INFO_COUNT;
	mach_msg_type_number_t vm_count = HOST_VM_INFO64_COUNT;
	mach_port_t host = mach_host_self();
	uint64_t memory = 0;
	struct timeval boot;
	size_t size = sizeof(memory);

	*out = (struct usage_machine){.busy = -1,
	    .total = -1,
	    .cores = (int)sysconf(_SC_NPROCESSORS_ONLN),
	    .load1 = -1,
	    .memory_total = -1,
	    .memory_available = -1,
	    .uptime_s = -1};
	if (host_statistics(host, HOST_CPU_LOAD_INFO, (host_info_t)&cpu, &cpu_count) ==
	    KERN_SUCCESS) {
		out->total = 0;
		for (int i = 0; i < CPU_STATE_MAX; i++)
			out->total += cpu.cpu_ticks[i];
		out->busy = out->total - (int64_t)cpu.cpu_ticks[CPU_STATE_IDLE];
	}
	if (sysctlbyname("hw.memsize", &memory, &size, NULL, 0) == 0)
		out->memory_total = (int64_t)memory;
	if (host_statistics64(host, HOST_VM_INFO64, (host_info64_t)&vm, &vm_count) == KERN_SUCCESS)
		out->memory_available =
		    ((int64_t)vm.free_count + vm.inactive_count) * (int64_t)sysconf(_SC_PAGESIZE);
	size = sizeof(boot);
	if (sysctlbyname("kern.boottime", &boot, &size, NULL, 0) == 0)
		out->uptime_s = dm_wall_seconds() - boot.tv_sec;
	(void)getloadavg(&out->load1, 1);
	(void)mach_port_deallocate(mach_task_self(), host);
}
