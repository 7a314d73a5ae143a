/* Threads of our own. */
#ifndef LUNETTE_THREAD_H
#define LUNETTE_THREAD_H

#include <pthread.h>

/* pthread_create() of a thread that takes no signals, for those are the main thread's; except SIGSYS, with which a forbidden
 * system call names itself (daemon/confine.h). 0 or a negative errno. */
int thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg);

#endif
