/* sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Does nothing when that is not set. */
#ifndef LUNETTE_DAEMON_NOTIFY_H
#define LUNETTE_DAEMON_NOTIFY_H

/* state: lines like "READY=1\nSTATUS=...". 0 (also when nobody asked) or negative errno. */
int notify_manager(const char *state);

#endif
