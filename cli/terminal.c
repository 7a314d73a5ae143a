/* Full-screen terminal by ECMA-48 sequences and termios: see terminal.h. */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l\033[2J" /* alternate screen, no cursor, empty */
#define LEAVE "\033[0m\033[?2026l\033[?25h\033[?1049l"
#define FRAME "\033[?2026h\033[H" /* shown as one where the terminal knows how, from the first line on */
#define SHOW  "\033[?2026l"

static const int fatal_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
#define FATAL_SIGNALS (sizeof fatal_signals / sizeof fatal_signals[0])

static struct {
	volatile sig_atomic_t open;
	struct termios before, raw;
	sigset_t mask; /* as it was before */
	char keys[64];
	size_t key_bytes;
} terminal;
static volatile sig_atomic_t resized, stopped;

/* --- in and out of the mode; also from signal handlers --- */

static bool write_all(const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static void enter(void)
{
	terminal.open = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal.raw);
	write_all(ENTER, strlen(ENTER));
}

static void leave(void)
{
	if (!terminal.open)
		return;
	terminal.open = 0;
	write_all(LEAVE, strlen(LEAVE));
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

static void on_fatal(int number)
{
	leave();
	signal(number, SIG_DFL);
	raise(number);
}

static void on_note(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else
		stopped = 1;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigfillset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

bool terminal_usable(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && kind[0] && strcmp(kind, "dumb") != 0;
}

int terminal_open(void)
{
	sigset_t notes;

	if (tcgetattr(STDIN_FILENO, &terminal.before) < 0)
		return -errno;
	terminal.raw = terminal.before;
	terminal.raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	terminal.raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
	terminal.raw.c_cc[VMIN] = 1;
	terminal.raw.c_cc[VTIME] = 0;
	for (size_t i = 0; i < FATAL_SIGNALS; i++)
		handle(fatal_signals[i], on_fatal);
	signal(SIGPIPE, SIG_IGN); /* of a connection: it is an error of that */
	sigemptyset(&notes);
	sigaddset(&notes, SIGWINCH);
	sigaddset(&notes, SIGTSTP);
	sigprocmask(SIG_BLOCK, &notes, &terminal.mask); /* they come in terminal_wait */
	handle(SIGWINCH, on_note);
	handle(SIGTSTP, on_note);
	terminal.key_bytes = 0;
	enter();
	return 0;
}

void terminal_close(void)
{
	leave();
	for (size_t i = 0; i < FATAL_SIGNALS; i++)
		signal(fatal_signals[i], SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGWINCH, SIG_DFL);
	signal(SIGTSTP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &terminal.mask, NULL);
}

void terminal_size(unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;

	*ret_rows = known ? size.ws_row : 24;
	*ret_columns = known ? size.ws_col : 80;
}

/* --- keys --- */

int terminal_key(const char *bytes, size_t len, size_t *ret_used)
{
	static const struct {
		const char *bytes;
		enum terminal_key key;
	} sequences[] = {
		{ "\033[A", KEY_UP },      { "\033OA", KEY_UP },   { "\033[B", KEY_DOWN },  { "\033OB", KEY_DOWN },
		{ "\033[5~", KEY_PAGE_UP }, { "\033[6~", KEY_PAGE_DOWN }, { "\033[H", KEY_HOME }, { "\033OH", KEY_HOME },
		{ "\033[1~", KEY_HOME },   { "\033[F", KEY_END },  { "\033OF", KEY_END },   { "\033[4~", KEY_END },
	};

	*ret_used = 1;
	if (bytes[0] != '\033')
		return (unsigned char)bytes[0];
	for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
		if (len >= strlen(sequences[i].bytes) && memcmp(bytes, sequences[i].bytes, strlen(sequences[i].bytes)) == 0) {
			*ret_used = strlen(sequences[i].bytes);
			return sequences[i].key;
		}
	/* ECMA-48 section 5.4: parameters, then one byte from '@' to '~' */
	if (len > 1 && (bytes[1] == '[' || bytes[1] == 'O'))
		for (*ret_used = 2; *ret_used < len;)
			if (bytes[(*ret_used)++] >= '@')
				break;
	return KEY_OTHER;
}

static int next_key(void)
{
	size_t used;
	int key = terminal_key(terminal.keys, terminal.key_bytes, &used);

	terminal.key_bytes -= used;
	memmove(terminal.keys, terminal.keys + used, terminal.key_bytes);
	return key;
}

/* Stopped by Ctrl-Z: gives the terminal back until the process goes on. */
static void stop(void)
{
	stopped = 0;
	leave();
	raise(SIGSTOP);
	enter();
}

int terminal_wait(int timeout_ms)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	ssize_t n;
	int ready;

	if (terminal.key_bytes)
		return next_key();
	ready = ppoll(&keys, 1, timeout_ms < 0 ? NULL : &timeout, &terminal.mask);
	if (stopped)
		stop();
	else if (!resized && ready == 0)
		return KEY_NONE;
	if (resized || ready <= 0) {
		resized = 0;
		return KEY_RESIZED;
	}
	n = read(STDIN_FILENO, terminal.keys, sizeof terminal.keys);
	if (n <= 0)
		return n < 0 && errno == EINTR ? KEY_RESIZED : KEY_CLOSED;
	terminal.key_bytes = (size_t)n;
	return next_key();
}

/* --- frames --- */

bool terminal_draw(const char *text, unsigned inverse)
{
	unsigned rows, columns, line = 0;
	char *frame = NULL;
	size_t size;
	FILE *out = open_memstream(&frame, &size);
	bool written;

	if (!out)
		return true;
	terminal_size(&rows, &columns);
	fputs(FRAME, out);
	/* a line is cleared before it is written: behind its last column the cursor stands on that */
	for (const char *at = text;; line++) {
		size_t len = strcspn(at, "\n");

		fprintf(out, "\033[K%s%.*s%s", inverse && line == inverse ? "\033[7m" : "", (int)len, at,
			inverse && line == inverse ? "\033[0m" : "");
		at += len;
		if (*at++ == '\0')
			break;
		fputs("\r\n", out);
	}
	if (line + 1 < rows)
		fputs("\r\n\033[J", out);
	fputs(SHOW, out);
	written = fclose(out) == 0 && write_all(frame, size);
	free(frame);
	return written;
}
