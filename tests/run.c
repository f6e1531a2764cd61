/* SPDX-License-Identifier: MIT */
/*
 * The suite runner behind `make check`: runs test programs, several at a time, each with a log
 * file and a time limit, and adds up what they say. Knows nothing of devmesh; libc only.
 *
 *   run [-j JOBS] [-l LOGDIR] [MARK | 'PROGRAM [ARG ...]'] ...
 *
 * A MARK holds for the programs behind it:
 *   --cmocka    counts the program's tests (default); a test that did not run has failed
 *   --plain     counts the program as one test: exit 0 passed, 77 skipped, anything else failed
 *   --serial    it runs alone, after the others; --parallel is the default
 *   -t SECONDS  the time limit of the program (300)
 *
 * The last line is always "N passed, N failed, N skipped"; exit 0 only if none failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BEFORE 25   /* lines of a log shown before the one where a test failed */
#define AFTER  10   /* and behind it */
#define TAIL   40   /* lines shown of its end when the program itself went wrong */
#define GRACE  5000 /* ms between SIGTERM and SIGKILL */

struct suite {
	char *argv[16];
	const char *name;
	char log[1024];
	bool plain, serial, done;
	pid_t pid;		      /* 0: not running */
	long limit, started, stopped; /* ms */
	int passed, failed, skipped;
	char why[128];	   /* what went wrong with the program itself: ", text" */
	long lines, first; /* of the log: all, and the one with the first failure (or 0) */
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int signo)
{
	interrupted = signo;
}

static _Noreturn void
die(const char *what, const char *why)
{
	(void)fprintf(stderr, "run: %s: %s\n", what, why);
	exit(2);
}

static long
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
start(struct suite *s)
{
	int log = open(s->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);

	if (log < 0)
		die(s->log, strerror(errno));
	s->started = now_ms();
	s->pid = fork();
	if (s->pid < 0)
		die("fork", strerror(errno));
	if (s->pid == 0) {
		int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

		(void)setpgid(0, 0);
		if (in >= 0 && dup2(in, 0) == 0 && dup2(log, 1) == 1 && dup2(log, 2) == 2 &&
		    setenv("CMOCKA_MESSAGE_OUTPUT", s->plain ? "STDOUT" : "TAP", 1) == 0)
			(void)execvp(s->argv[0], s->argv);
		(void)dprintf(log, "%s: %s\n", s->argv[0], strerror(errno));
		_exit(127);
	}
	(void)setpgid(s->pid, s->pid); /* the child does so too: whoever comes first */
	(void)close(log);
}

/*
 * cmocka's TAP: "1..6" opens a group; "ok 1 - name", "not ok 2 - name", "not ok 3 # SKIP name"
 * follow, perhaps behind an unfinished line of the program's own; "not ok 0" is a failed setup
 * or teardown of the group. Only the number that is due counts, which keeps look-alikes out.
 * Returns how many announced tests did not run.
 */
static int
count_tap(struct suite *s, FILE *log)
{
	int due = 1, last = 0, missing = 0;
	char *line = NULL, want[32];
	size_t cap = 0;

	while (getline(&line, &cap, log) >= 0) {
		bool group = strncmp(line, "not ok 0 ", 9) == 0;
		const char *at;

		s->lines++;
		if (due > last && strncmp(line, "1..", 3) == 0) {
			due = 1;
			last = (int)strtol(line + 3, NULL, 10);
		}
		(void)snprintf(want, sizeof(want), "ok %d ", due);
		at = due <= last ? strstr(line, want) : NULL;
		if (at != NULL)
			due++;
		if (at != NULL && strstr(at, "# SKIP") != NULL) {
			s->skipped++;
		} else if (at != NULL && (at - line < 4 || strncmp(at - 4, "not ", 4) != 0)) {
			s->passed++;
		} else if (at != NULL || group) {
			s->failed++;
			s->first = s->first == 0 ? s->lines : s->first;
		}
		if (group) {
			missing += last - due + 1;
			due = last + 1;
		}
	}
	free(line);
	return missing + last - due + 1;
}

/* Notes something wrong with the program itself. */
static __attribute__((format(printf, 2, 3))) void
blame(struct suite *s, const char *fmt, ...)
{
	size_t used = strlen(s->why);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(s->why + used, sizeof(s->why) - used, fmt, ap);
	va_end(ap);
}

static void
count(struct suite *s, FILE *log, int status)
{
	int missing = count_tap(s, log), code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (s->plain) {
		s->passed = code == 0 && s->why[0] == '\0';
		s->skipped = code == 77 && s->why[0] == '\0';
		s->failed = missing = 0;
	} else if (s->passed + s->failed + s->skipped + missing == 0) {
		blame(s, ", it ran no tests");
	}
	if (WIFSIGNALED(status))
		blame(s, ", ended by signal %d", WTERMSIG(status));
	else if (code != 0 && s->failed == 0 && (!s->plain || code != 77))
		blame(s, ", exit status %d", code);
	if (missing > 0)
		blame(s, ", %d tests did not run", missing);
	s->failed += missing;
	if (s->why[0] != '\0' && s->failed == 0)
		s->failed = 1;
}

/* What was waited for has used so far, in seconds of a processor. */
static double
processor_time(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_CHILDREN, &u) != 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
finish(struct suite *s, int status, double used)
{
	FILE *log = fopen(s->log, "re");
	char *line = NULL;
	size_t cap = 0;

	if (log == NULL)
		die(s->log, strerror(errno));
	s->done = true;
	s->pid = 0;
	count(s, log, status);
	printf("%s %-28s %3d passed, %d failed, %d skipped  (%.1f s, cpu %.1f s%s)\n",
	    s->failed > 0 ? "FAIL" : "ok  ", s->name, s->passed, s->failed, s->skipped,
	    (double)(now_ms() - s->started) / 1000, used, s->why);
	rewind(log);
	for (long n = 1; s->failed + s->skipped > 0 && getline(&line, &cap, log) >= 0; n++)
		if (strstr(line, "not ok ") != NULL || strstr(line, "# SKIP") != NULL ||
		    (s->first > 0 && n > s->first - BEFORE && n < s->first + AFTER) ||
		    ((s->plain || s->why[0] != '\0') && n > s->lines - TAIL))
			printf("    | %.*s\n", (int)strcspn(line, "\n"), line);
	if (s->failed > 0)
		printf("    | (all of it: %s)\n", s->log);
	free(line);
	(void)fclose(log);
	(void)fflush(stdout);
}

/* Ends what ran too long, and notices what has ended. Returns how many still run. */
static int
watch(struct suite *suite, int suites)
{
	int running = 0;

	for (struct suite *s = suite; s < suite + suites; s++) {
		siginfo_t info = {.si_pid = 0};
		double before;
		int status;

		if (s->pid == 0)
			continue;
		if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid != 0) {
			(void)kill(-s->pid, SIGKILL); /* what it left behind */
			before = processor_time();
			if (waitpid(s->pid, &status, 0) != s->pid)
				die(s->name, strerror(errno));
			finish(s, status, processor_time() - before);
			continue;
		}
		running++;
		if (s->stopped == 0 && (interrupted || now_ms() - s->started > s->limit)) {
			blame(s, ", %s after %ld s", interrupted ? "interrupted" : "still running",
			    (now_ms() - s->started) / 1000);
			s->stopped = now_ms();
			(void)kill(-s->pid, SIGTERM);
		} else if (s->stopped != 0 && now_ms() - s->stopped > GRACE) {
			(void)kill(-s->pid, SIGKILL);
		}
	}
	return running;
}

static void
run_all(struct suite *suite, int suites, int jobs)
{
	const struct timespec nap = {.tv_nsec = 10L * 1000 * 1000};

	for (int serial = 0; serial < 2; serial++) {
		int next = 0, running = 0;

		do {
			for (; next < suites && running < (serial ? 1 : jobs) && !interrupted;
			     next++)
				if (suite[next].serial == (serial == 1)) {
					start(&suite[next]);
					running++;
				}
			(void)nanosleep(&nap, NULL);
			running = watch(suite, suites);
		} while (running > 0 || (next < suites && !interrupted));
	}
}

/* Takes the words of one argument apart; the log is called after the program. */
static void
add(struct suite *all, int nr, char *words, const char *logdir)
{
	struct suite *s = &all[nr];
	size_t n = 0, most = sizeof(s->argv) / sizeof(s->argv[0]) - 1;
	char *save = NULL;

	for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		if (n == most)
			die(s->argv[0], "too many arguments");
		s->argv[n++] = w;
	}
	if (n == 0)
		die("empty argument", "no program to run");
	s->name = strrchr(s->argv[0], '/') == NULL ? s->argv[0] : strrchr(s->argv[0], '/') + 1;
	/* of a make it is the target that tells one from another */
	if (strcmp(s->name, "make") == 0)
		s->name = s->argv[n - 1];
	n = (size_t)snprintf(s->log, sizeof(s->log), "%s/%02d-%s.log", logdir, nr + 1, s->name);
	if (n >= sizeof(s->log))
		die(s->name, "name too long");
}

static long
number(const char *s)
{
	char *end = NULL;
	long n = s == NULL ? 0 : strtol(s, &end, 10);

	if (n < 1 || n > 1000000 || *end != '\0')
		die(s == NULL ? "missing value" : s, "not a number above 0");
	return n;
}

int
main(int argc, char **argv)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct suite *all = calloc((size_t)argc + 1, sizeof(*all));
	struct suite mark = {.limit = 300 * 1000L};
	struct sigaction sa = {.sa_handler = on_signal};
	int passed = 0, failed = 0, skipped = 0, suites = 0;
	long jobs = sysconf(_SC_NPROCESSORS_ONLN);
	const char *logdir = ".";

	if (all == NULL)
		die("memory", strerror(errno));
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--plain") == 0 || strcmp(argv[i], "--cmocka") == 0)
			mark.plain = argv[i][2] == 'p';
		else if (strcmp(argv[i], "--serial") == 0 || strcmp(argv[i], "--parallel") == 0)
			mark.serial = argv[i][2] == 's';
		else if (strcmp(argv[i], "-t") == 0)
			mark.limit = number(argv[++i]) * 1000;
		else if (strcmp(argv[i], "-j") == 0)
			jobs = number(argv[++i]);
		else if (strcmp(argv[i], "-l") == 0 && argv[i + 1] != NULL)
			logdir = argv[++i];
		else if (argv[i][0] == '-')
			die(argv[i], "unknown mark or missing value");
		else {
			all[suites] = mark;
			add(all, suites++, argv[i], logdir);
		}
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &sa, NULL);
	run_all(all, suites, (int)jobs);
	for (const struct suite *s = all; s < all + suites; s++) {
		if (!s->done)
			printf("FAIL %s: not started\n", s->name);
		passed += s->passed;
		failed += s->failed + !s->done;
		skipped += s->skipped;
	}
	free(all);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed == 0 && suites > 0 ? 0 : 1;
}
