/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzzer's inputs once, without libFuzzer: every file named, and every file of every
 * directory named. An input that breaks something aborts, with its name said before.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	INPUT_MAX = 1 << 22
};

/* What is being run, for the message of on_abort(). */
static char current[4096];

static void
on_abort(int signo)
{
	static const char words[] = "replay: broken by this input: ";

	(void)signo;
	if (write(2, words, sizeof(words) - 1) < 0 || write(2, current, strlen(current)) < 0 ||
	    write(2, "\n", 1) < 0)
		_exit(2);
	/* the handler was reset on entry: now the default action */
	(void)raise(signo);
}

static bool
fail(const char *path)
{
	(void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	return false;
}

static bool
run_file(const char *path, size_t size, unsigned *count)
{
	FILE *in = fopen(path, "rb");
	/* exactly as large as the input: a sanitizer sees one byte too far */
	uint8_t *data = malloc(size > 0 ? size : 1);
	bool ok = in != NULL && data != NULL && fread(data, 1, size, in) == size;

	if (ok) {
		(void)snprintf(current, sizeof(current), "%s", path);
		(void)LLVMFuzzerTestOneInput(data, size);
		(*count)++;
	}
	free(data);
	if (in != NULL)
		(void)fclose(in);
	return ok ? true : fail(path);
}

static bool run(const char *path, unsigned *count);

static bool
run_directory(const char *path, unsigned *count)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	bool ok = d != NULL;

	while (ok && (e = readdir(d)) != NULL) {
		char file[4096];

		if (e->d_name[0] == '.')
			continue;
		errno = ENAMETOOLONG;
		if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, e->d_name) >= sizeof(file))
			ok = fail(path);
		else
			ok = run(file, count);
	}
	if (d == NULL)
		return fail(path);
	(void)closedir(d);
	return ok;
}

static bool
run(const char *path, unsigned *count)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return fail(path);
	if (S_ISDIR(st.st_mode))
		return run_directory(path, count);
	errno = EFBIG;
	if (st.st_size > INPUT_MAX)
		return fail(path);
	return run_file(path, (size_t)st.st_size, count);
}

int
main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
	unsigned count = 0;

	(void)sigaction(SIGABRT, &sa, NULL);
	(void)sigaction(SIGSEGV, &sa, NULL);
	for (int i = 1; i < argc; i++) {
		if (!run(argv[i], &count))
			return 1;
	}
	(void)printf("%u inputs\n", count);
	if (count == 0)
		(void)fputs("replay: there were no inputs\n", stderr);
	return count > 0 ? 0 : 1;
}
