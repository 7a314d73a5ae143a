/*
 * Errors of the control path: a negative errno for the program and words for the person, which gain context on the way
 * up ("cannot create lun "vol1": cannot create object 3: No space left on device"). The data path does not use this.
 */
#ifndef LUNETTE_ERR_H
#define LUNETTE_ERR_H

struct err {
	int  code;      /* negative errno; 0: no error yet */
	char text[512]; /* no newline at the end */
};

/* Sets code and words; returns `code` (negative), so that `return err_set(err, -EINVAL, "...")` reads well.
 * A NULL err is allowed: the words are lost. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, with ": " and strerror(-code) behind the words. */
int err_errno(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the words; returns err->code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
