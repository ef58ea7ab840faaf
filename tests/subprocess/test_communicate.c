/* Child processes: their pipes as streams, and input and output all at once. */
#include "tests/subprocess/child.h"

#define MIB (1u << 20)

static pirn_process_config three_pipes(void)
{
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.in = config.out = config.err = PIRN_STDIO_PIPE;
    return config;
}

static void free_output(pirn_process_output *output)
{
    free(output->out);
    free(output->err);
}

/* ---- A166, S156: a mebibyte on each ---------------------------------------------------------- */

static char *pattern(size_t n)
{
    char *data = malloc(n);
    CHECK(data != NULL);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 31 + i / 997);
    return data;
}

/* Its errors come first, more than the pipe holds, then its output, then it reads: whoever did one
 * thing after the other would hang. */
static int mebibytes(void *arg)
{
    pirn_process_config config = three_pipes();
    pirn_process_output output;
    char *input = pattern(MIB);
    (void)arg;
    pirn_process *p = start_shell(
        "head -c 1048576 /dev/zero >&2; head -c 1048576 /dev/zero; cat; exit 5", &config);
    CHECK_OK(pirn_process_communicate(p, input, MIB, &output, 0, PIRN_NEVER));
    CHECK_EQ(output.status, 5);
    CHECK_EQ(output.err_len, MIB);
    CHECK_EQ(output.out_len, 2 * MIB);
    CHECK(memcmp(output.out + MIB, input, MIB) == 0);
    CHECK_EQ(output.out[0], 0);
    CHECK_EQ(output.out[2 * MIB], 0);
    free_output(&output);
    free(input);
    pirn_process_release(p);
    return 0;
}

START_TEST(a166_s156_a_mebibyte_on_each_pipe)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, mebibytes, NULL));
    until_children(0);
    support_no_more_than(before);
}
END_TEST

static int many_talks(void *arg)
{
    (void)arg;
    char word[32];
    pirn_process_config config = three_pipes();
    pirn_process_output output;
    for (int i = 0; i < 5; i++) {
        int n = snprintf(word, sizeof(word), "%d words", (int)support_between(0, 100000));
        pirn_process *p = start_shell("cat; echo no >&2", &config);
        CHECK_OK(pirn_process_communicate(p, word, (size_t)n, &output, 0, PIRN_NEVER));
        CHECK(strcmp(output.out, word) == 0 && output.out_len == (size_t)n);
        CHECK(strcmp(output.err, "no\n") == 0);
        CHECK_EQ(output.status, 0);
        free_output(&output);
        pirn_process_release(p);
    }
    return 0;
}

static int talk_at_once(void *arg)
{
    pirn_task *tasks[8];
    (void)arg;
    for (int i = 0; i < 8; i++)
        tasks[i] = support_spawn(many_talks, NULL);
    for (int i = 0; i < 8; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(a166_many_at_once)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, talk_at_once, NULL));
    CHECK_EQ(children(), 0);
}
END_TEST

/* ---- A166: a child that does not read -------------------------------------------------------- */

static int unread(void *arg)
{
    pirn_process_config config = three_pipes();
    pirn_process_output output;
    char *input = pattern(MIB);
    (void)arg;
    pirn_process *p = start_shell("exec <&-; echo done", &config);
    CHECK_OK(pirn_process_communicate(p, input, MIB, &output, 0, PIRN_NEVER));
    CHECK_EQ(output.status, 0);
    CHECK(strcmp(output.out, "done\n") == 0);
    CHECK_EQ(output.err_len, 0);
    free_output(&output);
    pirn_process_release(p);

    /* Who writes is told. */
    int rc;
    p = start_shell("exec <&-; echo left over; exit 3", &config);
    do {
        ssize_t n = pirn_stream_write(pirn_process_in(p), input, 1000);
        rc = n == 1000 ? pirn_stream_drain(pirn_process_in(p), PIRN_NEVER) : (int)n;
    } while (rc == 0);
    CHECK_EQ(rc, -EPIPE);
    CHECK_EQ(wait_for(p), 3);
    const char *line; /* what it said stays after its end */
    CHECK_EQ(pirn_stream_read_line(pirn_process_out(p), &line, PIRN_NEVER), 10);
    CHECK(memcmp(line, "left over\n", 10) == 0);
    CHECK_EQ(pirn_stream_read_line(pirn_process_out(p), &line, PIRN_NEVER), 0);
    pirn_process_release(p);
    free(input);
    return 0;
}

START_TEST(a166_a_child_that_does_not_read)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, unread, NULL));
    until_children(0);
}
END_TEST

/* ---- A166: limits, deadlines, cancels: it goes on where it was ------------------------------- */

static int communicates(void *arg)
{
    return pirn_process_communicate(arg, "in", 2, NULL, 0, PIRN_NEVER);
}

static int interrupted(void *arg)
{
    pirn_process_config config = three_pipes();
    pirn_process_output output = {.out_len = 99};
    int gate[2];
    (void)arg;
    support_pipe(gate);
    const int fds[] = {gate[0]};
    config.fds = fds;
    config.fd_count = 1;
    pirn_process *p = start_shell("echo first; read line <&3; cat; echo last >&2; exit 4", &config);
    close(gate[0]);
    CHECK_EQ(pirn_process_communicate(p, "in", 2, &output, 0, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_process_communicate(p, "in", 2, &output, 0, pirn_after_ms(5)), -ETIMEDOUT);
    pirn_task *task = support_spawn(communicates, p);
    support_until_waiting(task);
    CHECK_EQ(pirn_process_communicate(p, "in", 2, &output, 0, PIRN_NEVER), -EBUSY);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(output.out_len, 99);
    close(gate[1]);
    CHECK_EQ(pirn_process_communicate(p, "in", 2, &output, 7, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(output.out_len, 99);
    CHECK_OK(pirn_process_communicate(p, "in", 2, &output, 8, PIRN_NEVER));
    CHECK(strcmp(output.out, "first\nin") == 0);
    CHECK(strcmp(output.err, "last\n") == 0);
    CHECK_EQ(output.status, 4);
    free_output(&output);
    CHECK_OK(pirn_process_communicate(p, NULL, 0, &output, 0, PIRN_NEVER)); /* nothing more */
    CHECK_EQ(output.out_len + output.err_len, 0);
    free_output(&output);
    pirn_process_release(p);
    return 0;
}

START_TEST(a166_goes_on_where_it_was)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, interrupted, NULL));
    CHECK_EQ(children(), 0);
}
END_TEST

/* A cancel that is there when the call begins: the child gets nothing of the input. */
static int told_before(void *arg)
{
    pirn_process_config config = three_pipes();
    pirn_process_output output;
    (void)arg;
    pirn_process *p = start_shell("cat", &config);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_process_communicate(p, "not", 3, &output, 0, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_stream_pending(pirn_process_in(p)), 0);
    CHECK_OK(pirn_process_communicate(p, "yes", 3, &output, 0, PIRN_NEVER));
    CHECK(strcmp(output.out, "yes") == 0);
    free_output(&output);
    pirn_process_release(p);
    return 0;
}

START_TEST(a166_a_cancel_before_it_begins)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, told_before, NULL));
    CHECK_EQ(children(), 0);
}
END_TEST

static int some_pipes(void *arg)
{
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    pirn_process_output output;
    (void)arg;
    config.in = PIRN_STDIO_NULL;
    config.out = PIRN_STDIO_PIPE;
    config.err = PIRN_STDIO_OUT;
    pirn_process *p = start_shell("cat; echo one; echo two >&2", &config);
    CHECK(pirn_process_in(p) == NULL && pirn_process_err(p) == NULL);
    CHECK_EQ(pirn_process_communicate(p, "x", 1, &output, 0, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_process_communicate(p, NULL, 0, &output, 0, PIRN_NEVER));
    CHECK(strcmp(output.out, "one\ntwo\n") == 0);
    CHECK(output.err == NULL && output.err_len == 0);
    free_output(&output);
    pirn_process_release(p);

    p = start_shell("exit 6", NULL);
    CHECK_OK(pirn_process_communicate(p, NULL, 0, &output, 0, PIRN_NEVER));
    CHECK(output.out == NULL && output.err == NULL);
    CHECK_EQ(output.status, 6);
    pirn_process_release(p);
    CHECK_EQ(pirn_process_communicate(NULL, NULL, 0, NULL, 0, PIRN_NEVER), -EINVAL);
    return 0;
}

START_TEST(a166_some_pipes)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, some_pipes, NULL));
    pirn_process *p = start_shell("exit 0", NULL);
    CHECK_EQ(pirn_process_communicate(p, NULL, 0, NULL, 0, PIRN_NEVER), -EPERM);
    CHECK_EQ(wait_for(p), 0);
    pirn_process_release(p);
}
END_TEST

/* ---- S157: the lines of a child that runs ---------------------------------------------------- */

static int line_by_line(void *arg)
{
    const char *line;
    pirn_process_config config = three_pipes();
    (void)arg;
    pirn_process *p =
        start_shell("while read word; do echo \"[$word]\"; echo e >&2; done; exit 2", &config);
    pirn_stream *in = pirn_process_in(p), *out = pirn_process_out(p), *err = pirn_process_err(p);
    for (int i = 0; i < 20; i++) { /* each answer before the next question */
        char question[16], answer[16];
        int n = snprintf(question, sizeof(question), "%d\n", i);
        int len = snprintf(answer, sizeof(answer), "[%d]\n", i);
        CHECK_EQ(pirn_stream_write(in, question, (size_t)n), n);
        CHECK_EQ(pirn_stream_read_line(out, &line, PIRN_NEVER), len);
        CHECK(memcmp(line, answer, (size_t)len) == 0);
        CHECK_EQ(pirn_stream_read_line(err, &line, PIRN_NEVER), 2);
        CHECK_EQ(pirn_process_status(p, NULL), -EINPROGRESS);
    }
    CHECK_EQ(pirn_stream_read_line(out, &line, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_stream_close(in, PIRN_NEVER));
    CHECK_EQ(pirn_stream_read_line(out, &line, PIRN_NEVER), 0);
    CHECK_EQ(wait_for(p), 2);
    pirn_stream_retain(out); /* outlives the handle */
    pirn_process_release(p);
    CHECK_EQ(pirn_stream_read_line(out, &line, PIRN_NEVER), 0);
    pirn_stream_release(out);
    return 0;
}

START_TEST(s157_line_by_line)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, line_by_line, NULL));
    CHECK_EQ(children(), 0);
    support_no_more_than(before);
}
END_TEST

/* ---- A fork's child has no say in it, and takes nothing -------------------------------------- */

static int starts_one(void *arg)
{
    pirn_process_config config = three_pipes();
    *(pirn_process **)arg = start_shell("echo for you; echo no >&2; cat", &config);
    return 0;
}

static int is_not_its(void *arg)
{
    pirn_process_output output = {.out = NULL};
    CHECK_EQ(pirn_process_communicate(arg, "stray ", 6, &output, 0, PIRN_NEVER), -ESHUTDOWN);
    CHECK(output.out == NULL);
    return 9;
}

static int gets_all(void *arg)
{
    pirn_process_output output;
    CHECK_OK(pirn_process_communicate(arg, "words", 5, &output, 0, PIRN_NEVER));
    CHECK(strcmp(output.out, "for you\nwords") == 0);
    CHECK(strcmp(output.err, "no\n") == 0);
    free_output(&output);
    return 0;
}

START_TEST(a166_not_in_a_forks_child)
{
    if (support_tsan())
        return; /* it starts no thread in the child of a process that has had several */
    FOR_WORKERS(w)
    {
        pirn_process *p = NULL;
        int status = 0;
        CHECK_OK(support_run(w, starts_one, &p));
        fflush(NULL);
        pid_t pid = fork();
        CHECK_GE(pid, 0);
        if (pid == 0) {
            support_alarm(60);
            _exit(support_run(w, is_not_its, p));
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 9 << 8);
        CHECK_OK(support_run(w, gets_all, p));
        pirn_process_release(p);
    }
}
END_TEST

/* One that has ended its output, and not its errors, when a call gives up: what it has said is kept
 * for the next. */
static int half_over(void *arg)
{
    pirn_process_config config = three_pipes();
    pirn_process_output output;
    int rc;
    (void)arg;
    pirn_process *p = start_shell("echo out; exec >&-; sleep 1; echo err >&2", &config);
    while ((rc = pirn_process_communicate(p, NULL, 0, &output, 0, pirn_after_ms(20))) != 0)
        CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(output.out_len == 4 && memcmp(output.out, "out\n", 4) == 0);
    CHECK(output.err_len == 4 && memcmp(output.err, "err\n", 4) == 0);
    CHECK_EQ(output.status, 0);
    free_output(&output);
    pirn_process_release(p);
    return 0;
}

START_TEST(a166_what_one_pipe_gave_is_kept)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, half_over, NULL));
}
END_TEST

SUPPORT_MAIN("subprocess/communicate", a166_s156_a_mebibyte_on_each_pipe, a166_many_at_once,
             a166_a_child_that_does_not_read, a166_goes_on_where_it_was,
             a166_a_cancel_before_it_begins, a166_some_pipes, s157_line_by_line,
             a166_not_in_a_forks_child, a166_what_one_pipe_gave_is_kept)
