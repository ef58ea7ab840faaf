/* Child processes: what they are given, what they are not, and what is left of one that cannot
 * be. */
#include "tests/subprocess/child.h"

#include <sys/resource.h>

/* ---- S158, A168: arguments, environment, directory ------------------------------------------- */

static void arguments(void)
{
    char buf[512];
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    const char *const argv[] = {"printf",  "[%s]",    "two  words", "\"double\" 'single' `back`",
                                "$HOME *", "a\\nb\n", "",           NULL};
    CHECK_EQ(output_of(argv, &config, buf, sizeof(buf)), 0);
    CHECK_OK(strcmp(buf, "[two  words][\"double\" 'single' `back`][$HOME *][a\\nb\n][]"));
    config.file = "/bin/sh"; /* argv[0] is what it is told to be */
    CHECK_EQ(output_of(ARGV("other name", "-c", "printf %s \"$0\""), &config, buf, sizeof(buf)), 0);
    CHECK_OK(strcmp(buf, "other name"));
}

START_TEST(s158_arguments_arrive_unchanged)
{
    support_everywhere(arguments);
}
END_TEST

static void surroundings(void)
{
    char buf[512];
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    const char *const env[] = {"ONE=1 1", "TWO=", NULL}, *const none[] = {NULL};
    config.env = env;
    CHECK_EQ(output_of(ARGV("env"), &config, buf, sizeof(buf)), 0);
    CHECK_OK(strcmp(buf, "ONE=1 1\nTWO=\n"));
    config.env = none;
    CHECK_EQ(output_of(ARGV("env"), &config, buf, sizeof(buf)), 0);
    CHECK_OK(strcmp(buf, ""));
    config.env = NULL;
    setenv("PIRN_TEST_WORD", "kept", 1);
    CHECK_EQ(output_of(ARGV("sh", "-c", "echo $PIRN_TEST_WORD"), &config, buf, sizeof(buf)), 0);
    CHECK_OK(strcmp(buf, "kept\n"));
    config.cwd = "/proc/self";
    CHECK_EQ(output_of(ARGV("sh", "-c", "cd ..; pwd -P"), &config, buf, sizeof(buf)), 0);
    CHECK_OK(strcmp(buf, "/proc\n"));
    config.cwd = "/bin"; /* a relative name starts there */
    CHECK_EQ(output_of(ARGV("./echo", "here"), &config, buf, sizeof(buf)), 0);
    CHECK_OK(strcmp(buf, "here\n"));
}

START_TEST(s158_environment_and_directory)
{
    support_everywhere(surroundings);
}
END_TEST

/* ---- A168: it cannot be started -------------------------------------------------------------- */

static void missing(void)
{
    pirn_process *p = (pirn_process *)1;
    char path[] = "/tmp/pirn-test-XXXXXX";
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.in = config.out = config.err = PIRN_STDIO_PIPE;
    CHECK_EQ(pirn_process_spawn(&p, ARGV("pirn-no-such-program"), &config, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_process_spawn(&p, ARGV("/no/such/program"), &config, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_process_spawn(&p, ARGV("/"), &config, PIRN_NEVER), -EACCES);
    config.cwd = "/no/such/directory";
    CHECK_EQ(pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER), -ENOENT);
    config.cwd = NULL;
    int fd = mkstemp(path);
    CHECK_GE(fd, 0);
    CHECK_EQ(pirn_process_spawn(&p, ARGV(path), &config, PIRN_NEVER), -EACCES);
    CHECK_EQ(support_write(fd, "no program\n", 11), 11);
    CHECK_EQ(fchmod(fd, 0700), 0);
    close(fd);
    CHECK_EQ(pirn_process_spawn(&p, ARGV(path), &config, PIRN_NEVER), -ENOEXEC);
    unlink(path);
    config.out = 1000000;
    CHECK_EQ(pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER), -EBADF);
    config.out = PIRN_STDIO_OUT;
    CHECK_EQ(pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER), -EINVAL);
    config.out = PIRN_STDIO_PIPE;
    config.err = -5;
    CHECK_EQ(pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER), -EINVAL);
    config.err = PIRN_STDIO_OUT;
    config.flags = 1u << 20;
    CHECK_EQ(pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER), -EINVAL);
    config.flags = 0;
    pirn_stream_config streams = PIRN_STREAM_CONFIG_INIT;
    config.streams = &streams;
    streams.flags = PIRN_STREAM_KEEP_FD; /* who would close it? */
    CHECK_EQ(pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER), -EINVAL);
    streams.flags = 0;
    streams.size--;
    CHECK_EQ(unlink(path), -1);
    CHECK_EQ(pirn_process_spawn(&p, ARGV("touch", path), &config, PIRN_NEVER), -EINVAL);
    support_pause_ms(5); /* nothing has been begun */
    CHECK_EQ(unlink(path), -1);
    config.streams = NULL;
    config.size--;
    CHECK_EQ(pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_process_shell(&p, "true", &config, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_process_shell(&p, NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_process_spawn(&p, (const char *const[]){NULL}, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_process_spawn(NULL, ARGV("true"), NULL, PIRN_NEVER), -EINVAL);
    CHECK(p == (pirn_process *)1);
    CHECK_EQ(children(), 0);
}

START_TEST(a168_no_program_no_zombie_no_descriptor)
{
    support_census before = support_count();
    CHECK_OK(
        setenv("PATH", "/usr/bin:/bin", 1)); /* a directory one may not read would be -EACCES */
    support_everywhere(missing);
    CHECK_EQ(children(), 0);
    support_no_more_than(before);
}
END_TEST

/* Not one descriptor is to be had at some step of it: whichever that is, nothing is left. Nor are
 * there numbers beyond those that the child gets, if these are many. */
static void no_descriptors(bool many)
{
    enum {
        FDS = 100
    };
    struct rlimit limit, low;
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    int fds[FDS], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < FDS; i++)
        fds[i] = null;
    config.in = config.out = config.err = PIRN_STDIO_PIPE;
    config.fds = fds;
    config.fd_count = many ? FDS : 0;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    pirn_process_release(start(ARGV("true"), &config)); /* whatever that opens for good is open */
    until_children(0);
    int highest = open("/dev/null", O_RDONLY | O_CLOEXEC), failed = 0, rc = -EMFILE;
    close(highest);
    for (int room = 0; rc != 0; room++) {
        pirn_process *p;
        low = limit;
        low.rlim_cur = (rlim_t)(highest + room);
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &low));
        rc = pirn_process_spawn(&p, ARGV("true"), &config, PIRN_NEVER);
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        if (rc != 0) {
            CHECK_EQ(rc, -EMFILE);
            CHECK_EQ(children(), 0);
            failed++;
        } else {
            CHECK_EQ(wait_for(p), 0);
            pirn_process_release(p);
        }
    }
    CHECK_GE(failed, many ? FDS : 6);
    close(null);
}

static int no_descriptors_here(void *arg)
{
    (void)arg;
    no_descriptors(false);
    no_descriptors(true);
    return 0;
}

START_TEST(a168_no_descriptors_left)
{
    support_census before = support_count();
    no_descriptors(false);
    no_descriptors(true);
    CHECK_OK(support_run(1, no_descriptors_here, NULL)); /* no worker starts meanwhile */
    support_no_more_than(before);
}
END_TEST

/* ---- Descriptors ----------------------------------------------------------------------------- */

static int highest_fd(pid_t pid, int *ret_count)
{
    char path[64];
    int highest = -1;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    struct dirent *e;
    CHECK(dir != NULL);
    *ret_count = 0;
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        (*ret_count)++;
        if (atoi(e->d_name) > highest)
            highest = atoi(e->d_name);
    }
    closedir(dir);
    return highest;
}

/* It has its three standard descriptors, once the loader is through with its libraries. (If it has
 * more this hangs.) */
static void until_three(pid_t pid)
{
    int count;
    while (highest_fd(pid, &count) != 2)
        support_pause_ms(1);
    CHECK_EQ(count, 3);
}

static void inherits_nothing(void)
{
    int bare[8]; /* opened by somebody without O_CLOEXEC */
    for (int i = 0; i < 8; i++)
        bare[i] = open("/dev/null", O_RDONLY);
    pirn_process *p = start(ARGV("sleep", "1000"), NULL);
    until_three(pirn_process_pid(p));
    pirn_process_release(p);
    for (int i = 0; i < 8; i++)
        close(bare[i]);
}

START_TEST(a168_descriptors_are_not_inherited)
{
    support_everywhere(inherits_nothing);
}
END_TEST

/* They end up in the order asked for, whatever numbers they have here. */
static void given(void)
{
    char buf[64];
    int a[2], b[2], c[2];
    support_pipe(a);
    support_pipe(b);
    support_pipe(c);
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    const int fds[] = {c[1], b[1], b[1]};
    config.fds = fds;
    config.fd_count = 3;
    config.in = PIRN_STDIO_NULL;
    config.out = a[1];
    config.err = PIRN_STDIO_OUT;
    pirn_process *p =
        start_shell("cat; echo out; echo err >&2; echo 3 >&3; echo 4 >&4; echo 5 >&5", &config);
    close(a[1]);
    close(b[1]);
    close(c[1]);
    slurp(a[0], buf, sizeof(buf));
    CHECK(strcmp(buf, "out\nerr\n") == 0);
    slurp(b[0], buf, sizeof(buf));
    CHECK(strcmp(buf, "4\n5\n") == 0);
    slurp(c[0], buf, sizeof(buf));
    CHECK(strcmp(buf, "3\n") == 0);
    CHECK_EQ(wait_for(p), 0);
    pirn_process_release(p);
}

/* The same with what is low and what is standard here. */
static void crossed(void)
{
    char buf[64];
    int pipe[2], saved[3];
    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
    support_pipe(pipe);
    dup2(pipe[0], 1); /* input is 1, and output is 0 */
    dup2(pipe[1], 0);
    close(pipe[0]);
    close(pipe[1]);
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.in = PIRN_STDIO_NULL;
    config.out = 0;
    pirn_process *p = start(ARGV("echo", "round"), &config);
    int first = wait_for(p);
    pirn_process_release(p);
    int out[2];
    support_pipe(out);
    config.in = 1;
    config.out = out[1];
    close(0);
    p = start(ARGV("cat"), &config);
    close(out[1]);
    int second = wait_for(p);
    pirn_process_release(p);
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    CHECK_EQ(first, 0);
    CHECK_EQ(second, 0);
    slurp(out[0], buf, sizeof(buf));
    CHECK(strcmp(buf, "round\n") == 0);
}

/* Standard descriptors that are closed here: ends of pipes get their numbers. */
static void closed(void)
{
    int saved[2];
    for (int i = 0; i < 2; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
        close(i);
    }
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.in = config.out = PIRN_STDIO_PIPE;
    config.err = PIRN_STDIO_NULL;
    pirn_process *p = start(ARGV("cat"), &config);
    until_three(pirn_process_pid(p));
    int running = pirn_process_status(p, NULL);
    CHECK_OK(pirn_process_kill(p));
    CHECK_EQ(wait_for(p), -SIGKILL);
    pirn_process_release(p);
    for (int i = 0; i < 2; i++) {
        while (fcntl(i, F_GETFD) >= 0) /* may be an end of a pipe, for a moment more */
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        dup2(saved[i], i);
        close(saved[i]);
    }
    CHECK_EQ(running, -EINPROGRESS);
}

START_TEST(a168_descriptors_that_are_given)
{
    support_everywhere(given);
    crossed(); /* with no runtime, whose threads might start meanwhile and take a number */
    closed();
}
END_TEST

/* ---- Signals --------------------------------------------------------------------------------- */

static unsigned long long mask_of(pid_t pid, const char *field)
{
    char path[64], line[256];
    unsigned long long mask = ~0ull;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0)
            sscanf(line + strlen(field), ": %llx", &mask);
    }
    fclose(file);
    return mask & 0x7fffffff; /* libc's own two are beyond */
}

static void masks(void)
{
    pirn_process *p = start(ARGV("sleep", "1000"), NULL);
    CHECK_EQ(mask_of(pirn_process_pid(p), "SigBlk"), 0);
    CHECK_EQ(mask_of(pirn_process_pid(p), "SigIgn"),
             mask_of(getpid(), "SigIgn") & ~(1ull << (SIGPIPE - 1) | 1ull << (SIGXFSZ - 1)));
    CHECK_EQ(mask_of(pirn_process_pid(p), "SigCgt"), 0);
    pirn_process_release(p);
}

START_TEST(s156_signals_are_as_by_default)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, pipe, hup, xfsz;
    sigaction(SIGPIPE, &ignore, &pipe);
    sigaction(SIGHUP, &ignore, &hup);
    sigaction(SIGXFSZ, &ignore, &xfsz);
    support_everywhere(masks);
    sigaction(SIGPIPE, &pipe, NULL);
    sigaction(SIGHUP, &hup, NULL);
    sigaction(SIGXFSZ, &xfsz, NULL);
}
END_TEST

/* Its pipe's end goes with this program, and it with that: a search for leaks at the end finds it
 * watched. */
START_TEST(a167_one_is_left_behind)
{
    int pipe[2];
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    CHECK_OK(pipe2(pipe, O_CLOEXEC));
    config.flags = PIRN_PROCESS_LEAVE;
    config.in = pipe[0];
    config.out = config.err = PIRN_STDIO_NULL;
    pirn_process_release(start(ARGV("cat"), &config));
    close(pipe[0]);
}
END_TEST

SUPPORT_MAIN("subprocess/spawn", s158_arguments_arrive_unchanged, s158_environment_and_directory,
             a168_no_program_no_zombie_no_descriptor, a168_no_descriptors_left,
             a168_descriptors_are_not_inherited, a168_descriptors_that_are_given,
             s156_signals_are_as_by_default, a167_one_is_left_behind)
