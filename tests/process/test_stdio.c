/* A program that begins without stdin, stdout and stderr: none of pirn's own descriptors is taken
 * for one of them, and that the program opens them later, as daemons do, disturbs nothing. */
#include "tests/process/scenario.h"

#include <fcntl.h>

static int end_after(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    return *(int *)arg;
}

static int works(void)
{
    int fds[2], seven = 7;
    char c = 'x';

    CHECK_EQ(support_join(support_spawn(end_after, &seven)), 7);
    support_pipe(fds);
    CHECK_EQ(pirn_write(fds[1], &c, 1, PIRN_NEVER), 1);
    CHECK_EQ(pirn_read(fds[0], &c, 1, PIRN_NEVER), 1);
    CHECK_OK(pirn_close(fds[0]));
    return pirn_close(fds[1]);
}

static int without(void *arg)
{
    int nowhere;

    (void)arg;
    for (int fd = 0; fd <= 2; fd++)
        while (fcntl(fd, F_GETFD) >= 0) /* for a moment a file of /proc may be there */
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; fd++)
        if (fd != nowhere)
            CHECK_EQ(dup2(nowhere, fd), fd);
    return works();
}

static int with_none_open(void *arg)
{
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    return support_run(*(int *)arg, without, NULL);
}

int main(void)
{
    FOR_WORKERS(w)
    scenario("stdio", with_none_open, &w, 20);
    return 0;
}
