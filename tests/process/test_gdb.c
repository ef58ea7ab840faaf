/*
 * runtime/pirn-gdb.py against a live program: `pirn tasks` names every task, what it does and waits
 * for; `pirn bt` walks a parked task's stack through the program's own frames down to its bottom,
 * and says so where there is no stack to walk. Skipped where there is no gdb, or no tracing.
 */
#include "tests/process/scenario.h"

enum {
    TEXT = 65536
};

static int told; /* the program tells the test over this pipe that it is ready */

/* Three frames of the program's own, which the backtrace must show in this order; what they do
 * after their calls keeps those from being jumps. */
__attribute__((noinline)) static int innermost(int n)
{
    int err = pirn_sleep(PIRN_NEVER);

    __asm__ volatile("" : : "r"(n));
    return err + n;
}

__attribute__((noinline)) static int middle(int n)
{
    int err = innermost(n + 1);

    __asm__ volatile("" : : "r"(n));
    return err + n;
}

static int sleeper(void *arg)
{
    int err = middle(1);

    __asm__ volatile("" : : "r"(arg));
    return err;
}

static int reader(void *arg)
{
    char c;

    return (int)pirn_read(*(int *)arg, &c, 1, PIRN_NEVER);
}

static int pinned(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int debugged_main(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    int fds[2];

    (void)arg;
    support_pipe(fds);
    pirn_task *sleepy = support_spawn_named("sleepy", sleeper, NULL);
    pirn_task *bookworm = support_spawn_named("bookworm", reader, &fds[0]);
    config.name = "nailed-down";
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &config, pinned, NULL));
    support_until_waiting(sleepy);
    support_until_waiting(bookworm);
    support_until_waiting(task);
    CHECK_EQ(write(told, "x", 1), 1);
    for (;;) /* main is on a worker when gdb looks */
        support_spin(MS);
}

static pid_t start_program(void)
{
    int fds[2];
    pid_t pid;
    char c;

    support_pipe(fds);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
        alarm(120);
        told = fds[1];
        _exit(support_run(2, debugged_main, NULL));
    }
    close(fds[1]);
    CHECK_EQ(read(fds[0], &c, 1), 1);
    close(fds[0]);
    return pid;
}

/* Runs gdb on the process with one or two commands; returns its exit status. */
static int gdb(pid_t pid, const char *first, const char *second, char *ret_text)
{
    char line[8192];
    size_t n;
    FILE *f;

    snprintf(line, sizeof(line),
             "gdb -nx -batch -p %d -ex 'set width 0' -ex 'set print entry-values no' -ex 'source "
             "%s/runtime/pirn-gdb.py' -ex '%s' "
             "-ex '%s' 2>&1 </dev/null",
             (int)pid, PIRN_SOURCE_DIR, first, second);
    f = popen(line, "r");
    CHECK(f != NULL);
    n = fread(ret_text, 1, TEXT - 1, f);
    ret_text[n] = '\0';
    return WEXITSTATUS(pclose(f));
}

static const char *expect(const char *text, const char *part)
{
    const char *at = strstr(text, part);

    if (!at)
        FAIL("no \"%s\" in: %s", part, text);
    return at + strlen(part);
}

/* The line that names the task, and its id. */
static int id_of(const char *text, const char *name, const char *state)
{
    const char *at = strstr(text, name), *end;
    char line[512];
    int id;

    if (!at)
        FAIL("no \"%s\" in: %s", name, text);
    end = strchr(at, '\n');
    while (at > text && at[-1] != '\n')
        at--;
    snprintf(line, sizeof(line), "%.*s", (int)(end - at), at);
    expect(line, state);
    CHECK_EQ(sscanf(line, "%d", &id), 1);
    return id;
}

int main(void)
{
    static char text[TEXT], stack[TEXT];
    char command[64];
    const char *at;
    pid_t pid;
    int id;

    alarm(240);
    if (system("gdb --version >/dev/null 2>&1") != 0)
        return SKIPPED;
    pid = start_program();
    gdb(pid, "pirn tasks", "pirn bt", text);
    if (strstr(text, "ptrace: Operation not permitted")) {
        kill(pid, SIGKILL);
        return SKIPPED;
    }
    printf("%s", text);
    expect(text, "usage: pirn bt ID");
    expect(text, "4 tasks\n");
    expect(text, "spawned by support_spawn_named at ");
    id_of(text, "main", "running on thread");
    id_of(text, "nailed-down", "pinned");
    id_of(text, "bookworm", "waiting");
    id = id_of(text, "sleepy", "waiting");

    snprintf(command, sizeof(command), "pirn bt %d", id);
    gdb(pid, command, "pirn bt 999999", stack);
    printf("%s", stack);
    at = expect(stack, "pirn_sleep");
    at = expect(at, "innermost (n=2)");
    at = expect(at, "middle (n=1)");
    at = expect(at, "sleeper (");
    at = expect(at, "pirn_task_body");
    expect(at, "no live task 999999");
    CHECK(strstr(stack, "Backtrace stopped") == NULL);

    snprintf(command, sizeof(command), "pirn bt %d", id_of(text, "main", "running"));
    gdb(pid, command, "bt 1", stack); /* gdb's own bt is as it was */
    expect(stack, "it is on a thread");
    expect(stack, "#0 ");
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    return 0;
}
