/*
 * The whole terminal for one program at a time: alternate screen, keys as they are pressed, frames of lines. Whatever ends
 * the process but SIGKILL and SIGSTOP, the terminal is as it was before: signals that end it restore it first, Ctrl-Z
 * restores it while the process is stopped.
 */
#ifndef LUNETTE_CLI_TERMINAL_H
#define LUNETTE_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

enum terminal_key { /* beside the characters themselves */
	KEY_NONE = -1,    /* the time is over */
	KEY_RESIZED = -2, /* draw again: the size changed, or the process was stopped meanwhile */
	KEY_CLOSED = -3,  /* nobody is there any more */
	KEY_UP = 256, KEY_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_HOME, KEY_END,
	KEY_OTHER,        /* one that has no name here */
};

/* Standard input and output are a terminal that knows escape sequences. */
bool terminal_usable(void);
int  terminal_open(void); /* 0 or negative errno */
void terminal_close(void);
void terminal_size(unsigned *ret_rows, unsigned *ret_columns); /* 24, 80 when unknown */
/* A key, or one of the above; timeout_ms -1: for ever. */
int  terminal_wait(int timeout_ms);
/* Lines with '\n' between them, no more and no wider than the terminal. inverse: number of a line to stand out; 0: none.
 * false: nobody is there any more. */
bool terminal_draw(const char *text, unsigned inverse);

/* The key that the bytes (len > 0) begin with; *ret_used: how many belong to it. Pure. */
int terminal_key(const char *bytes, size_t len, size_t *ret_used);

#endif
