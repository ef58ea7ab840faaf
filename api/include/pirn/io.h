/*
 * The system calls that can wait: sockets, pipes, files, terminals. (More of files is in
 * pirn/file.h, of names, addresses and datagrams in pirn/net.h, with a buffer in pirn/stream.h.)
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_IO_H
#define PIRN_IO_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/*
 * As the calls of the same name, with a deadline; on sockets, pipes, files, terminals. [anywhere;
 * all suspend, pirn_close too] On a plain thread they block it; there the deadline does not count
 * on files, opens and fsync, as these are the bare system calls (pirn/file.h), nor once a terminal
 * has begun to take a write. The descriptor may
 * be blocking or not. SIGPIPE is never raised by sends. Beyond the system call's own errors:
 * -ETIMEDOUT, -ECANCELED, -EINVAL, and -EBADF when a call waits and somebody closes the descriptor
 * with pirn_close. (A plain thread's call that waits has one descriptor more for that. If none is
 * to be had it waits on, as beside close(2).)
 */
/* The new descriptor; always close-on-exec. -ECONNABORTED, -EPROTO, -EPERM, -ENETDOWN and others of
 * the network are of one connection: go on. (pirn_server does.) */
PIRN_API PIRN_MUST_USE int pirn_accept(int fd, struct sockaddr *ret_addr, socklen_t *ret_len,
                                       int flags, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_connect(int fd, const struct sockaddr *addr, socklen_t len,
                                        pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_recv(int fd, void *buf, size_t n, int flags,
                                         pirn_time deadline);
/* Sends all of a stream's n bytes unless something stops it; a count < n says where. */
PIRN_API PIRN_MUST_USE ssize_t pirn_send(int fd, const void *buf, size_t n, int flags,
                                         pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_recvmsg(int fd, struct msghdr *msg, int flags,
                                            pirn_time deadline);
/* Of a stream's bytes as many as there is room for, at least one. */
PIRN_API PIRN_MUST_USE ssize_t pirn_sendmsg(int fd, const struct msghdr *msg, int flags,
                                            pirn_time deadline);
/* Writes, and reads of files, move all n bytes unless the file ends or something stops them; a
 * count < n says where. Reads of what is no file return what has come; 0 is the end. */
PIRN_API PIRN_MUST_USE ssize_t pirn_read(int fd, void *buf, size_t n, pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_write(int fd, const void *buf, size_t n, pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_pread(int fd, void *buf, size_t n, off_t offset,
                                          pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_pwrite(int fd, const void *buf, size_t n, off_t offset,
                                           pirn_time deadline);
/* The new descriptor; always close-on-exec. */
PIRN_API PIRN_MUST_USE int pirn_openat(int dir_fd, const char *path, int flags, mode_t mode,
                                       pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_fsync(int fd, pirn_time deadline);
/* Waits for poll(2) events (POLLIN, ... of <poll.h>); returns those that came, POLLERR and POLLHUP
 * besides. */
PIRN_API PIRN_MUST_USE int pirn_poll(int fd, unsigned events, pirn_time deadline);

/* Closes fd. Calls of others that are in flight on it end first, with -EBADF. Not cancellable. */
PIRN_API int pirn_close(int fd);

#endif
