/*
 * libcurl in coroutines: copy this file. curl_easy_perform with a deadline and a cancel, in which
 * only the coroutine waits.
 *
 *     with_curl http;
 *     if (with_curl_open(&http) == 0) {
 *         CURLcode code;
 *         int rc = with_curl_perform(&http, easy, &code, pirn_after_s(10)); // as often as you like
 *         with_curl_close(&http);
 *     }
 *
 * Each coroutine has a multi handle of its own, so transfers run on all workers at once and nothing
 * has to be locked; the connections that a coroutine has open are kept from one transfer to the
 * next. libcurl tells which sockets it wants watched, at times several (a name has two addresses,
 * say): they go into an epoll set, which is a descriptor that pirn_poll can wait for. Its one timer
 * is a deadline.
 *
 * Rejected: one multi handle for all coroutines, on a strand. Its connections are shared then, but
 * one transfer at a time is deciphered and unpacked. What coroutines should share (names, cookies,
 * TLS sessions) goes into a CURLSH with pthread mutexes: libcurl holds none over a wait.
 *
 *   - The program calls curl_global_init before the first pirn_run, and sets CURLOPT_NOSIGNAL.
 *   - The coroutine gets a stack of WITH_CURL_STACK: TLS needs more than the default.
 *   - Callbacks are called inside; they may suspend, but not call libcurl on that handle.
 *   - libcurl looks names up on a thread of its own, and a transfer that is given up waits for that
 *     one, blocking. Where this matters, look up with pirn_resolve and hand on by CURLOPT_RESOLVE.
 */
#ifndef WITH_CURL_H
#define WITH_CURL_H

#include <curl/curl.h>
#include <errno.h>
#include <pirn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    WITH_CURL_STACK = 256 * 1024
};

typedef struct with_curl {
    CURLM *multi;
    int epoll;
    pirn_time timer; /* when libcurl wants to be called; PIRN_NEVER */
} with_curl;

static inline int with_curl_on_socket(CURL *easy, curl_socket_t fd, int what, void *user,
                                      void *of_socket)
{
    with_curl *w = user;
    struct epoll_event event = {.data.fd = fd};
    (void)easy, (void)of_socket;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = ((what & CURL_POLL_IN) != 0 ? (unsigned)EPOLLIN : 0) |
                   ((what & CURL_POLL_OUT) != 0 ? (unsigned)EPOLLOUT : 0);
    if (epoll_ctl(w->epoll, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return errno == ENOENT && epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -1;
}

static inline int with_curl_on_timer(CURLM *multi, long ms, void *user)
{
    with_curl *w = user;
    (void)multi;
    w->timer = ms < 0 ? PIRN_NEVER : pirn_after_ms(ms);
    return 0;
}

/* 0, or a negative errno. Close it with with_curl_close. */
static inline int with_curl_open(with_curl *w)
{
    w->timer = PIRN_NEVER;
    w->multi = NULL;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0)
        return -errno;
    w->multi = curl_multi_init();
    if (w->multi == NULL) {
        close(w->epoll);
        return -ENOMEM;
    }
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, with_curl_on_socket);
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, with_curl_on_timer);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
    return 0;
}

/* Ends the connections that are kept. */
static inline void with_curl_close(with_curl *w)
{
    curl_multi_cleanup(w->multi);
    close(w->epoll);
}

/* Waits for a socket or the timer, and tells libcurl. */
static inline int with_curl_step(with_curl *w, pirn_time deadline)
{
    struct epoll_event event;
    int running, what = 0;
    int rc = pirn_poll(w->epoll, POLLIN, w->timer.ns < deadline.ns ? w->timer : deadline);
    if (rc == -ETIMEDOUT && w->timer.ns <= pirn_now().ns) {
        w->timer = PIRN_NEVER; /* it is set anew inside */
        return curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running) == CURLM_OK
                   ? 0
                   : -EIO;
    }
    if (rc < 0)
        return rc;
    if (epoll_wait(w->epoll, &event, 1, 0) != 1) /* one at a time: it may change the set */
        return 0;
    what |= (event.events & (EPOLLIN | EPOLLHUP)) != 0 ? CURL_CSELECT_IN : 0;
    what |= (event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0;
    what |= (event.events & EPOLLERR) != 0 ? CURL_CSELECT_ERR : 0;
    return curl_multi_socket_action(w->multi, event.data.fd, what, &running) == CURLM_OK ? 0 : -EIO;
}

/*
 * Makes the transfer that easy describes. 0: it is over, and *ret_code says how it went.
 * -ETIMEDOUT, -ECANCELED, -ESHUTDOWN: it was given up, its connection closed. -EIO, -ENOMEM. easy
 * stays the caller's.
 */
static inline int with_curl_perform(with_curl *w, CURL *easy, CURLcode *ret_code,
                                    pirn_time deadline)
{
    int rc = curl_multi_add_handle(w->multi, easy) == CURLM_OK ? 0 : -ENOMEM;
    while (rc == 0) {
        CURLMsg *message;
        int left;
        while ((message = curl_multi_info_read(w->multi, &left)) != NULL) {
            if (message->msg == CURLMSG_DONE && message->easy_handle == easy) {
                *ret_code = message->data.result;
                curl_multi_remove_handle(w->multi, easy);
                return 0;
            }
        }
        rc = with_curl_step(w, deadline);
        if (rc == 0 && deadline.ns <= pirn_now().ns) /* a peer that never rests is late, too */
            rc = -ETIMEDOUT;
    }
    curl_multi_remove_handle(w->multi, easy);
    return rc;
}

#endif
