/*
 * S202: the upper-casing server of the seeds with a thousand clients at once, one of which leaves
 * by a reset; and its end by SIGINT.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/support.h"

enum {
    CLIENTS = 1000,
    PATIENCE_S = 120
};

/* As many clients as descriptors allow: this process and the server need one for each. */
static int clients_allowed(void)
{
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_cur < CLIENTS + 100) {
        limit.rlim_cur = limit.rlim_max < CLIENTS + 100 ? limit.rlim_max : CLIENTS + 100;
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    }
    return limit.rlim_cur < CLIENTS + 100 ? (int)limit.rlim_cur - 100 : CLIENTS;
}

static pid_t start_server(int w, struct sockaddr_in *ret_addr, FILE **ret_output)
{
    char workers[12], line[64];
    unsigned port;
    int to_us[2];
    support_pipe(to_us);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        snprintf(workers, sizeof(workers), "%d", w);
        setenv("PIRN_WORKERS", workers, 1);
        dup2(to_us[1], STDOUT_FILENO);
        alarm(PATIENCE_S);
        execl(PIRN_BIN_DIR "/seeds/s202_upper_server", "s202_upper_server", "0", (char *)NULL);
        _exit(127);
    }
    close(to_us[1]);
    *ret_output = fdopen(to_us[0], "r");
    CHECK(*ret_output != NULL);
    CHECK(fgets(line, sizeof(line), *ret_output) != NULL);
    CHECK_EQ(sscanf(line, "listening on 127.0.0.1:%u", &port), 1);
    *ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    ret_addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return pid;
}

static void stop_server(pid_t pid, FILE *output)
{
    int status;
    CHECK_OK(kill(pid, SIGINT));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQ(fgetc(output), EOF);
    fclose(output);
}

static void hear(int fd, const char *expected)
{
    char text[16];
    size_t n = strlen(expected);
    CHECK_EQ(recv(fd, text, n, MSG_WAITALL), n);
    CHECK_OK(memcmp(text, expected, n));
}

static void reset(int fd)
{
    struct linger linger = {1, 0};
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    close(fd);
}

START_TEST(s202_a_thousand_clients)
{
    int n = clients_allowed(), fds[CLIENTS];
    CHECK_GE(n, 10);
    FOR_WORKERS(w)
    {
        struct sockaddr_in addr;
        FILE *output;
        pid_t pid = start_server(w, &addr, &output);
        for (int i = 0; i < n; i++) {
            fds[i] = support_socket();
            CHECK_OK(connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)));
        }
        for (int i = 0; i < n; i++) /* all of them before the first answer is read */
            support_send_all(fds[i], "hello", 5);
        for (int i = 0; i < n; i++)
            hear(fds[i], "HELLO");
        reset(fds[n / 2]);
        for (int i = 0; i < n; i++) {
            if (i == n / 2)
                continue;
            support_send_all(fds[i], "again", 5);
            hear(fds[i], "AGAIN");
        }
        for (int i = 0; i < n; i += 2) /* the others are open when it ends */
            if (i != n / 2)
                close(fds[i]);
        stop_server(pid, output);
        for (int i = 1; i < n; i += 2)
            if (i != n / 2)
                close(fds[i]);
    }
}
END_TEST

SUPPORT_MAIN("upper_server", s202_a_thousand_clients)
