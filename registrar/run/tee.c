/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700 /* posix_openpt(3) */
#include "run/tee.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	STREAMS = 2,
	ROWS = 50, /* of a terminal that nobody sees */
	COLUMNS = 120,
	BITE = 4096,	 /* PIPE_BUF: a pipe that takes anything takes as much (POSIX write()) */
	PROMPT_MS = 300, /* after which what has no newline counts as a line */
};

/* One stream of the command, or both where they lead to the same place. */
struct channel {
	struct tee *tee;
	int to;	  /* where it would have gone; borrowed. -1: nowhere */
	int from; /* what the command has written comes here; -1: no channel */
	int end;  /* the command's; -1 once it has it */
	bool is_tty;
	enum output_stream stream;
	pthread_t thread;
	bool running;
	atomic_bool ended;
};

struct tee {
	struct output_log *log;
	struct channel channels[STREAMS];
	struct channel *of_stdout, *of_stderr;
	int stop[2];	  /* a pipe; closed at one end to stop the threads */
	int64_t deadline; /* once all is to stop */
	struct winsize size;
};

/* ---- making the ends ---------------------------------------------------------------------- */

/* Lets everything through as it is: our own terminal does what is to be done to it. */
static bool
make_transparent(int fd)
{
	struct termios modes;

	if (tcgetattr(fd, &modes) != 0)
		return false;
	modes.c_oflag &= (tcflag_t)~OPOST;
	modes.c_lflag &= (tcflag_t) ~(ECHO | ECHONL);
	return tcsetattr(fd, TCSANOW, &modes) == 0;
}

static bool
open_pty(struct channel *c)
{
	const char *name;

	c->from = posix_openpt(O_RDWR | O_NOCTTY);
	if (c->from < 0 || grantpt(c->from) != 0 || unlockpt(c->from) != 0 ||
	    (name = ptsname(c->from)) == NULL)
		return false;
	c->end = open(name, O_RDWR | O_NOCTTY);
	return c->end >= 0 && make_transparent(c->end);
}

static bool
open_pipe(struct channel *c)
{
	int ends[2];

	if (pipe(ends) != 0)
		return false;
	c->from = ends[0];
	c->end = ends[1];
	return true;
}

static bool
open_channel(struct channel *c)
{
	c->is_tty = c->to < 0 || isatty(c->to) == 1;
	if (!(c->is_tty ? open_pty(c) : open_pipe(c)))
		return false;
	(void)fcntl(c->from, F_SETFD, FD_CLOEXEC);
	(void)fcntl(c->end, F_SETFD, FD_CLOEXEC);
	(void)fcntl(c->from, F_SETFL, fcntl(c->from, F_GETFL) | O_NONBLOCK);
	return true;
}

/* Whether both lead to the same place: then one channel keeps what they write in order. */
static bool
same_place(int a, int b)
{
	struct stat one, two;

	return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_dev == two.st_dev &&
	       one.st_ino == two.st_ino && one.st_rdev == two.st_rdev;
}

static void
copy_size(const struct tee *tee)
{
	for (size_t i = 0; i < STREAMS; i++) {
		const struct channel *c = &tee->channels[i];

		if (c->from >= 0 && c->is_tty && !atomic_load(&c->ended))
			(void)ioctl(c->from, TIOCSWINSZ, &tee->size);
	}
}

static bool
get_size(const struct tee *tee, struct winsize *size)
{
	for (size_t i = 0; i < STREAMS; i++) {
		const struct channel *c = &tee->channels[i];

		if (c->from >= 0 && c->is_tty && c->to >= 0 && ioctl(c->to, TIOCGWINSZ, size) == 0)
			return true;
	}
	return false;
}

static void
set_up_channel(struct tee *tee, size_t i, int to, enum output_stream stream)
{
	tee->channels[i].tee = tee;
	tee->channels[i].to = to;
	tee->channels[i].stream = stream;
}

struct tee *
tee_open(struct output_log *log, enum tee_way way, struct dm_err *err)
{
	struct tee *tee = dm_calloc(1, sizeof(*tee));
	bool one = way == TEE_STDOUT_TO_STDERR ||
		   (way == TEE_STREAMS && same_place(STDOUT_FILENO, STDERR_FILENO));
	bool ok;

	tee->log = log;
	tee->stop[0] = tee->stop[1] = -1;
	for (size_t i = 0; i < STREAMS; i++)
		tee->channels[i].from = tee->channels[i].end = -1;
	set_up_channel(tee, 0,
	    way == TEE_KEEP		  ? -1
	    : way == TEE_STDOUT_TO_STDERR ? STDERR_FILENO
					  : STDOUT_FILENO,
	    OUTPUT_STDOUT);
	set_up_channel(tee, 1, way == TEE_KEEP ? -1 : STDERR_FILENO, OUTPUT_STDERR);
	tee->of_stdout = &tee->channels[0];
	tee->of_stderr = &tee->channels[one ? 0 : 1];
	ok = pipe(tee->stop) == 0 && open_channel(&tee->channels[0]) &&
	     (one || open_channel(&tee->channels[1]));
	if (!ok) {
		(void)dm_fail_errno(err, errno, "making a way for what the command writes");
		(void)tee_end(tee, 0);
		return NULL;
	}
	(void)fcntl(tee->stop[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(tee->stop[1], F_SETFD, FD_CLOEXEC);
	if (!get_size(tee, &tee->size))
		tee->size = (struct winsize){.ws_row = ROWS, .ws_col = COLUMNS};
	copy_size(tee);
	return tee;
}

int
tee_stdout(const struct tee *tee)
{
	return tee->of_stdout->end;
}

int
tee_stderr(const struct tee *tee)
{
	return tee->of_stderr->end;
}

/* ---- passing on --------------------------------------------------------------------------- */

/* Waits until one can be read or written, or all is to stop, or the time is over. */
static short
wait_for(const struct channel *c, int fd, short what, int ms)
{
	struct pollfd fds[] = {{.fd = fd, .events = what}, {.fd = c->tee->stop[0]}};

	if (poll(fds, 2, ms) <= 0)
		return 0;
	return fds[0].revents;
}

static bool
is_stopped(const struct channel *c)
{
	struct pollfd fd = {.fd = c->tee->stop[0]};

	return poll(&fd, 1, 0) > 0;
}

/*
 * Writes all of it; false: there is nobody to take it, or, once all is to stop, nobody who takes it
 * now. Never more than can be had without waiting, since then nobody could stop us.
 */
static bool
pass_on(const struct channel *c, const char *bytes, size_t len)
{
	while (len > 0 && c->to >= 0) {
		short events = wait_for(c, c->to, POLLOUT, -1);
		ssize_t n;

		if ((events & POLLOUT) == 0) {
			if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0 || is_stopped(c))
				return false;
			continue;
		}
		n = write(c->to, bytes, len);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* One turn; false: the command, and all who have its end, are gone, or we are to stop. */
static bool
turn(struct channel *c, bool *waits)
{
	char buffer[BITE];
	ssize_t n = read(c->from, buffer, sizeof(buffer));

	if (n > 0) {
		*waits = output_log_add(c->tee->log, c->stream, buffer, (size_t)n);
		return pass_on(c, buffer, (size_t)n);
	}
	/* a pty(7) whose other end was closed says EIO on Linux */
	if (n == 0 || (errno != EAGAIN && errno != EINTR) || is_stopped(c))
		return false;
	if (wait_for(c, c->from, POLLIN, *waits ? PROMPT_MS : -1) == 0 && !is_stopped(c)) {
		output_log_flush(c->tee->log, c->stream);
		*waits = false;
	}
	return true;
}

static void *
work(void *user)
{
	struct channel *c = user;
	bool waits = false;

	/* one that is left over may write on and on */
	while (turn(c, &waits) && !(is_stopped(c) && dm_now_ms() > c->tee->deadline))
		continue;
	output_log_flush(c->tee->log, c->stream);
	atomic_store(&c->ended, true);
	/* who writes to nobody is to notice (SIGPIPE), as if we were not between */
	(void)close(c->from);
	return NULL;
}

bool
tee_begin(struct tee *tee, struct dm_err *err)
{
	sigset_t all, before;
	int error = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; i < STREAMS; i++) {
		struct channel *c = &tee->channels[i];

		if (c->end < 0)
			continue;
		(void)close(c->end);
		c->end = -1;
		if (error == 0)
			error = pthread_create(&c->thread, NULL, work, c);
		c->running = error == 0;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0 || dm_fail_errno(err, error, "starting a thread");
}

bool
tee_has_terminal(const struct tee *tee)
{
	struct winsize size;

	return get_size(tee, &size);
}

bool
tee_resize(struct tee *tee)
{
	struct winsize size;

	if (!get_size(tee, &size) || memcmp(&size, &tee->size, sizeof(size)) == 0)
		return false;
	tee->size = size;
	copy_size(tee);
	return true;
}

static bool
have_ended(struct tee *tee)
{
	for (size_t i = 0; i < STREAMS; i++) {
		if (tee->channels[i].running && !atomic_load(&tee->channels[i].ended))
			return false;
	}
	return true;
}

bool
tee_end(struct tee *tee, int64_t wait_ms)
{
	enum {
		POLL_MS = 2
	};
	int64_t deadline = dm_now_ms() + wait_ms;

	if (tee == NULL)
		return true;
	tee->deadline = deadline - wait_ms / 2;
	if (tee->stop[1] >= 0)
		(void)close(tee->stop[1]);
	while (!have_ended(tee) && dm_now_ms() < deadline)
		dm_pause_ms(POLL_MS);
	/* stuck in a terminal that takes nothing */
	if (!have_ended(tee))
		return false;
	for (size_t i = 0; i < STREAMS; i++) {
		struct channel *c = &tee->channels[i];

		if (c->running)
			(void)pthread_join(c->thread, NULL);
		else if (c->from >= 0)
			(void)close(c->from);
		if (c->end >= 0)
			(void)close(c->end);
	}
	if (tee->stop[0] >= 0)
		(void)close(tee->stop[0]);
	free(tee);
	return true;
}
