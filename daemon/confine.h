/*
 * What control and the workers cannot do any more even when an attacker's code runs in them. Two layers, both laid on after the
 * change of user and before the first byte of a peer is read, and never lifted:
 *
 * seccomp: only the system calls that stand in syscalls.def. Any other one ends the process by SIGSYS; it tells the supervisor
 * which it was (message FORBIDDEN), which logs that and starts it again after the back-off.
 *
 * Landlock (kernel 5.19; more of it from 6.7 and 6.12 on): nothing is executed but what is installed under /usr, and by a
 * worker nothing at all; no device nodes, sockets, pipes or symbolic links are made; no TCP connection is opened, and by a
 * worker no address is bound; no other process is traced, read or sent a signal, not even one of the same user.
 *
 * Neither can name directories: a store may lie in any, and may be configured later. Which files are reached is a
 * matter of the user that we run as (privilege.h).
 */
#ifndef LUNETTE_DAEMON_CONFINE_H
#define LUNETTE_DAEMON_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LUNETTE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LUNETTE_SANITIZED 1
#endif
#endif

enum confined_role { CONFINED_WORKER = 1, CONFINED_CONTROL = 2 };

/* Says what of it this system does not have, or was told to do without; the supervisor does, once. */
void confine_report(bool seccomp, bool landlock);

/* For ever, for this process and what it starts. supervisor_fd: where FORBIDDEN goes. A layer that the system refuses is left out:
 * confine_report() has said so. Only one thread runs yet. */
void confine(enum confined_role role, bool seccomp, bool landlock, int supervisor_fd);

/* The layers. 0 or negative errno. */
int seccomp_install(enum confined_role role, int supervisor_fd);
int landlock_install(enum confined_role role);
bool seccomp_available(void);
int landlock_version(void); /* of its interface; 0: none */

#endif
