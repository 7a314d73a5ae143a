/*
 * What a REST client is told when a request is refused: RFC 9457, with a stable code and JSON pointers into the body.
 * Produced by the pure change functions of cluster/config.h and by api/, rendered by api/ alone.
 */
#ifndef LUNETTE_PROBLEM_H
#define LUNETTE_PROBLEM_H

struct problem {
	int  status;       /* HTTP status; 0: no problem */
	char code[48];     /* stable, lower case with dashes: "lun-in-use", "validation-failed" */
	char pointer[160]; /* RFC 6901 pointer to the offending member of the request body; "" when none */
	char detail[512];  /* a sentence for a person: what is wrong and what to do */
};

/* Fills in the first problem met (a later call is ignored once status is set); returns -1, so that
 * `return problem_set(p, 422, "validation-failed", "/size_bytes", "...")` reads well. */
int problem_set(struct problem *p, int status, const char *code, const char *pointer, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
