/* wraps fflush */
/* Printing from many coroutines at once, into a pipe that is taken slowly: every line is whole. */
#include "tests/file/files.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum {
    PRINTERS = 8,
    LINES = 60,
    LONGEST = 20000 /* more than a pipe takes at once */
};

START_TEST(begin)
{
    files_begin();
}
END_TEST

START_TEST(end)
{
    files_end();
}
END_TEST

/* ---- Standard output is a pipe, read by a thread --------------------------------------------- */

struct reader {
    int saved, from;
    pthread_t thread;
    char *text;
    size_t n;
    bool slow;
};

static void *read_to_the_end(void *arg)
{
    struct reader *r = arg;
    size_t room = 1 << 16;
    r->text = malloc(room);
    ssize_t got;
    while ((got = read(r->from, r->text + r->n, room - r->n - 1)) > 0) {
        r->n += (size_t)got;
        if (room - r->n < 4096)
            CHECK((r->text = realloc(r->text, room *= 2)) != NULL);
        if (r->slow && r->n % 7 == 0)
            support_pause_ms(1);
    }
    r->text[r->n] = '\0';
    return NULL;
}

static void catch_stdout(struct reader *r)
{
    int ends[2];
    fflush(stdout);
    r->n = 0;
    support_pipe(ends);
    r->from = ends[0];
    r->saved = dup(STDOUT_FILENO);
    CHECK_GE(r->saved, 0);
    CHECK_EQ(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    CHECK_OK(close(ends[1]));
    r->thread = support_thread(read_to_the_end, r);
}

static void release_stdout(struct reader *r)
{
    fflush(stdout);
    CHECK_EQ(dup2(r->saved, STDOUT_FILENO), STDOUT_FILENO);
    CHECK_OK(close(r->saved));
    support_thread_join(r->thread);
    CHECK_OK(close(r->from));
}

/* ---- Lines ---------------------------------------------------------------------------------- */

static int length_of(int id, int line)
{
    return (id * 31 + line * 17) % 9 == 0 ? LONGEST - id : (id + line) % 70;
}

static int print_lines(void *arg)
{
    int id = *(int *)arg;
    char *fill = malloc(LONGEST + 1);
    CHECK(fill);
    for (int line = 0; line < support_rounds(LINES); line++) {
        int n = length_of(id, line);
        memset(fill, 'a' + id, (size_t)n);
        fill[n] = '\0';
        int printed = pirn_print("%d %d %s %d\n", id, line, fill, line);
        CHECK_GE(printed, n + 7);
        if (line % 3 == 0 && pirn_current() != NULL)
            CHECK_OK(pirn_yield());
    }
    free(fill);
    return 0;
}

static void *print_lines_thread(void *arg)
{
    print_lines(arg);
    return NULL;
}

static int print_all(void *arg)
{
    pirn_task *tasks[PRINTERS];
    int ids[PRINTERS + 1];
    (void)arg;
    for (int i = 0; i <= PRINTERS; i++)
        ids[i] = i;
    for (int i = 0; i < PRINTERS; i++)
        tasks[i] = support_spawn(print_lines, &ids[i]);
    pthread_t thread = support_thread(print_lines_thread, &ids[PRINTERS]); /* and one of these */
    for (int i = 0; i < PRINTERS; i++)
        CHECK_OK(support_join(tasks[i]));
    support_thread_join(thread);
    return 0;
}

/* Each line is one that was printed, whole, and each printer's are in its order. */
static void check_lines(struct reader *r)
{
    int next[PRINTERS + 1] = {0}, lines = 0;
    for (char *line = r->text, *after; *line != '\0'; line = after, lines++) {
        int id, number, at = 0, last = -1;
        after = strchr(line, '\n');
        CHECK(after != NULL);
        *after++ = '\0';
        CHECK_EQ(sscanf(line, "%d %d %n", &id, &number, &at), 2);
        CHECK(id >= 0 && id <= PRINTERS);
        CHECK_EQ(number, next[id]);
        next[id]++;
        int n = length_of(id, number);
        if (n == 0)
            at = (int)(strchr(strchr(line, ' ') + 1, ' ') - line) + 1;
        for (int i = 0; i < n; i++)
            CHECK_EQ(line[at + i], 'a' + id);
        CHECK_EQ(sscanf(line + at + n, " %d", &last), 1);
        CHECK_EQ(last, number);
    }
    CHECK_EQ(lines, (PRINTERS + 1) * support_rounds(LINES));
}

START_TEST(s177_no_torn_lines)
{
    FOR_WORKERS(w)
    {
        struct reader r = {.slow = w == 2};
        catch_stdout(&r);
        int rc = support_run(w, print_all, NULL);
        release_stdout(&r);
        CHECK_OK(rc);
        check_lines(&r);
        free(r.text);
    }
}
END_TEST

static int mixed_with_stdio(void *arg)
{
    (void)arg;
    printf("one "); /* stays in stdio's buffer, but goes first */
    CHECK_EQ(pirn_print("%s %d ", "two", 3), 6);
    printf("four ");
    CHECK_EQ(pirn_print("%s", ""), 0);
    CHECK_EQ(pirn_print("five\n"), 5);
    return 0;
}

static int print_cancelled(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_print("never"), -ECANCELED);
    CHECK_EQ(pirn_print("once\n"), 5);
    return 0;
}

START_TEST(order_and_cancel)
{
    FOR_WORKERS(w)
    {
        struct reader r = {.slow = false};
        catch_stdout(&r);
        CHECK_OK(support_run(w, mixed_with_stdio, NULL));
        CHECK_OK(support_run(w, print_cancelled, NULL));
        CHECK_OK(mixed_with_stdio(NULL)); /* on a plain thread */
        release_stdout(&r);
        ck_assert_str_eq(r.text, "one two 3 four five\nonce\none two 3 four five\n");
        free(r.text);
    }
}
END_TEST

/* A cancel that comes while the pipe is full: the text is whole all the same, and the cancel is
 * left. */
static int print_long(void *arg)
{
    char *fill = malloc(200001);
    CHECK(fill);
    memset(fill, 'x', 200000);
    fill[200000] = '\0';
    atomic_store((atomic_int *)arg, 1);
    CHECK_EQ(pirn_print("%s\n", fill), 200001);
    free(fill);
    return pirn_sleep(PIRN_NOW);
}

struct held {
    int ends[2];
};

static int cancel_a_printer(void *arg)
{
    struct held *h = arg;
    atomic_int began = 0;
    static char buf[200001];
    pirn_task *task = support_spawn(print_long, &began);
    support_until(&began, 1);
    CHECK_GE(pirn_poll(h->ends[0], POLLIN, PIRN_NEVER), 0);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    for (size_t at = 0; at < sizeof(buf);) {
        ssize_t n = pirn_read(h->ends[0], buf + at, sizeof(buf) - at, PIRN_NEVER);
        CHECK(n > 0);
        at += (size_t)n;
    }
    for (size_t i = 0; i < 200000; i++)
        CHECK_EQ(buf[i], 'x');
    CHECK_EQ(buf[200000], '\n');
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(a_cancel_does_not_tear)
{
    FOR_WORKERS(w)
    {
        struct held h;
        fflush(stdout);
        int saved = dup(STDOUT_FILENO);
        support_pipe(h.ends);
        CHECK_EQ(dup2(h.ends[1], STDOUT_FILENO), STDOUT_FILENO);
        int rc = support_run(w, cancel_a_printer, &h);
        CHECK_EQ(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
        CHECK_OK(rc);
        CHECK_OK(close(h.ends[0]) | close(h.ends[1]) | close(saved));
    }
}
END_TEST

/* ---- A file's text, printed whole ------------------------------------------------------------ */

static int show(void *arg)
{
    void *text;
    size_t n;
    CHECK_OK(pirn_file_load(arg, &text, &n, SIZE_MAX, PIRN_NEVER));
    CHECK_EQ(pirn_print("%s", (char *)text), n);
    free(text);
    return 0;
}

static int show_in_thread(void *arg)
{
    int status;
    CHECK_OK(pirn_to_thread(show, arg, &status, PIRN_NEVER));
    return status;
}

START_TEST(s178_file_text_whole)
{
    char path[FILES_PATH];
    files_path(path, "text");
    char *text = malloc(100001);
    CHECK(text);
    for (int i = 0; i < 100000; i++)
        text[i] = (char)(i % 61 == 60 ? '\n' : 'A' + i % 61);
    text[100000] = '\0';
    files_write(path, text, 100000);
    FOR_WORKERS(w)
    {
        struct reader r = {.slow = false};
        catch_stdout(&r);
        CHECK_OK(support_run(w, show, path));
        CHECK_OK(support_run(w, show_in_thread, path)); /* as a job of the thread pool */
        release_stdout(&r);
        CHECK_EQ(r.n, 200000);
        CHECK(memcmp(r.text, text, 100000) == 0 && memcmp(r.text + 100000, text, 100000) == 0);
        free(r.text);
    }
    free(text);
    CHECK_OK(unlink(path));
}
END_TEST

/* ---- What stdio holds goes first, and waits for room as the rest does ------------------------ */

static bool watched; /* of one coroutine, or another's after it */

int __real_fflush(FILE *stream);
int __wrap_fflush(FILE *stream);

/* Where there is no room it blocks the worker. */
int __wrap_fflush(FILE *stream)
{
    struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
    if (stream == stdout && watched)
        CHECK_EQ(poll(&p, 1, 0), 1);
    return __real_fflush(stream);
}

static int print_late(void *arg)
{
    (void)arg;
    return pirn_print("late\n");
}

static int hold_in_stdio(void *arg)
{
    int *ends = arg;
    char buf[16] = "", zeroes[4096];
    size_t filled = support_fill(ends[1]);
    CHECK_EQ(printf("held "), 5);
    watched = true;
    pirn_task *task = support_spawn(print_late, NULL);
    support_until_waiting(task);
    while (filled != 0) {
        size_t most = filled < sizeof(zeroes) ? filled : sizeof(zeroes);
        ssize_t n = pirn_read(ends[0], zeroes, most, PIRN_NEVER);
        CHECK_GE(n, 1);
        filled -= (size_t)n;
    }
    CHECK_EQ(support_join(task), 5);
    watched = false;
    CHECK_EQ(pirn_read(ends[0], buf, sizeof(buf), PIRN_NEVER), 10);
    CHECK(strcmp(buf, "held late\n") == 0);
    return 0;
}

START_TEST(what_stdio_holds_waits_for_room)
{
    FOR_WORKERS(w)
    {
        int ends[2];
        fflush(stdout);
        int saved = dup(STDOUT_FILENO);
        support_pipe(ends);
        CHECK_EQ(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
        int rc = support_run(w, hold_in_stdio, ends);
        CHECK_EQ(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
        CHECK_OK(rc);
        CHECK_OK(close(ends[0]) | close(ends[1]) | close(saved));
    }
}
END_TEST

/* ---- A fork -------------------------------------------------------------------------------- */

static void *print_much(void *arg)
{
    CHECK_EQ(pirn_print("%s", (const char *)arg), 10 * LONGEST);
    return NULL;
}

/* The child has a turn of its own: its parent's is taken, and whoever has it is not there. */
START_TEST(a_forks_child_prints)
{
    static char heard[10 * LONGEST];
    char *much = malloc(10 * LONGEST + 1);
    int ends[2], taken = 0, status;
    CHECK(much);
    memset(much, 'x', 10 * LONGEST);
    much[10 * LONGEST] = '\0';
    fflush(stdout);
    support_pipe(ends);
    int saved = dup(STDOUT_FILENO);
    CHECK_EQ(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    pthread_t thread = support_thread(print_much, much);
    while (taken == 0) {
        CHECK_OK(ioctl(ends[0], FIONREAD, &taken));
        support_pause_ms(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        support_alarm(30);
        dup2(saved, STDOUT_FILENO);
        _exit(pirn_print("%s", "") == 0 ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    for (size_t n = 0; n < 10 * LONGEST;) {
        ssize_t got = support_read(ends[0], heard, sizeof(heard) - n);
        CHECK_GE(got, 1);
        n += (size_t)got;
    }
    support_thread_join(thread);
    CHECK_EQ(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    free(much);
    CHECK_EQ(status, 0);
}
END_TEST

SUPPORT_MAIN("file_print", begin, s177_no_torn_lines, order_and_cancel, a_cancel_does_not_tear,
             what_stdio_holds_waits_for_room, s178_file_text_whole, a_forks_child_prints, end)
