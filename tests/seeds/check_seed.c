/*
 * Runs a seed as a user would, on 1, 2 and 4 workers, and compares what it prints, and when, with the
 * expectation that lies beside it:  check_seed PROGRAM EXPECTED
 *
 * An expectation is a text file, read line by line:
 *
 *   some text       this line, exactly
 *   /regex/         a line that matches the extended regular expression as a whole
 *   @ 2             what follows comes when two seconds have gone by since the start, or later
 *   @ 2 .. 2.5      and, where time is measured (support_timing), not later than 2.5, at least in one
 *                   of three runs
 *   [ ]             around lines that come in any order
 *   { | }           around sequences, separated by |, that come interleaved in any way
 *   %server PATH A  runs another program (the path is relative to the seed's) with arguments beside it,
 *                   and gives the seed the port on which that listens as its first argument
 *   %args A B       more arguments
 *   %signal INT 2   sends the signal when two seconds have gone by (skipped under ThreadSanitizer,
 *                   which delivers no signals to a thread asleep in the ring)
 *   %env NAME=VALUE in its environment
 *   %exit 1         the exit status, 0 if nothing is said
 *   %stderr regex   some line of stderr matches; without any, stderr is silent
 *   %race           with ThreadSanitizer: the program has a data race, which is found if W > 1
 *   # ...           nothing; nor does an empty line
 *
 * Seconds are the seed's: 100 ms, 200 in slow builds. At the end of a group, and at each |, the time
 * is again what it was before the group. Not any-order search by hashing or sorting: with expressions
 * among the lines one line may fit several places, so the places are searched with backtracking.
 */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "tests/support.h"

enum {
    MAX_LINES = 512,
    MAX_BLOCKS = 256,
    MAX_PARTS = 128,
    MAX_ERRORS = 16,
    MAX_ARGS = 8,
    PATIENCE_S = 60,
    TRIES = 3 /* of a program that is only late */
};

typedef struct line {
    const char *text; /* without the slashes of an expression */
    bool is_regex;
    regex_t regex;
    double min, max; /* seconds; max 0: at any time */
} line;

/* A block is a group of parts that interleave; what stands outside of groups is a block of one line. */
typedef struct part {
    int begin, end; /* indices of lines */
} part;

typedef struct block {
    int begin, end; /* indices of parts */
} block;

static line lines[MAX_LINES];
static part parts[MAX_PARTS + MAX_LINES];
static block blocks[MAX_BLOCKS + MAX_LINES];
static int n_lines, n_parts, n_blocks;

static regex_t stderr_regex[MAX_ERRORS];
static const char *stderr_text[MAX_ERRORS];
static int n_stderr, exit_status, signo;
static double signal_at;
static char *server_args[MAX_ARGS + 1], *seed_args[MAX_ARGS + 1];
static bool race;

/* ---- Reading the expectation ------------------------------------------------------------- */

static void compile(regex_t *regex, const char *text)
{
    if (regcomp(regex, text, REG_EXTENDED | REG_NOSUB) != 0)
        support_fail(__FILE__, __LINE__, __func__, "a bad expression: %s", text);
}

static void add_line(char *text, double min, double max)
{
    size_t n = strlen(text);
    CHECK(n_lines < MAX_LINES);
    line *l = &lines[n_lines++];
    *l = (line){.text = text, .min = min, .max = max};
    if (n >= 2 && text[0] == '/' && text[n - 1] == '/') {
        char *whole;
        l->is_regex = true;
        text[n - 1] = '\0';
        CHECK(asprintf(&whole, "^(%s)$", text + 1) > 0);
        compile(&l->regex, whole);
        l->text = text + 1;
        free(whole);
    }
}

static void split(char *text, char **args)
{
    int n = 0;
    for (char *word; (word = strsep(&text, " ")) != NULL;) {
        CHECK(n < MAX_ARGS);
        args[n++] = word;
    }
}

static void directive(char *text)
{
    char name[8];
    if (sscanf(text, "%%exit %d", &exit_status) == 1)
        return;
    if (strncmp(text, "%server ", 8) == 0) {
        split(text + 8, server_args);
        return;
    }
    if (strncmp(text, "%env ", 5) == 0) {
        CHECK_OK(putenv(text + 5));
        return;
    }
    if (strncmp(text, "%args ", 6) == 0) {
        split(text + 6, seed_args);
        return;
    }
    if (sscanf(text, "%%signal %7s %lf", name, &signal_at) == 2) {
        signo = strcmp(name, "INT") == 0 ? SIGINT : 0;
        CHECK(signo != 0);
    } else if (strncmp(text, "%stderr ", 8) == 0) {
        CHECK(n_stderr < MAX_ERRORS);
        stderr_text[n_stderr] = text + 8;
        compile(&stderr_regex[n_stderr++], text + 8);
    } else if (strcmp(text, "%race") == 0) {
        race = true;
    } else {
        support_fail(__FILE__, __LINE__, __func__, "not understood: %s", text);
    }
}

static void begin_part(void)
{
    CHECK(n_parts < MAX_PARTS + MAX_LINES);
    parts[n_parts++] = (part){n_lines, n_lines};
}

static void begin_block(void)
{
    CHECK(n_blocks < MAX_BLOCKS + MAX_LINES);
    blocks[n_blocks++] = (block){n_parts, n_parts};
}

static void read_expectation(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    double min = 0, max = 0, group_min = 0, group_max = 0;
    char group = 0; /* the bracket that is open */

    CHECK(f != NULL);
    while ((n = getline(&text, &size, f)) > 0) {
        if (text[n - 1] == '\n')
            text[--n] = '\0';
        char first = n == 1 || text[0] == '%' || text[0] == '#' ? text[0] : 'x';
        if (n == 0 || first == '#') {
            continue;
        } else if (text[0] == '@') {
            max = 0;
            CHECK_GE(sscanf(text, "@ %lf .. %lf", &min, &max), 1);
        } else if (first == '%') {
            directive(strdup(text));
        } else if (first == '[' || first == '{') {
            CHECK_EQ(group, 0);
            group = first;
            group_min = min;
            group_max = max;
            begin_block();
            if (group == '{')
                begin_part();
        } else if (first == '|' && group == '{') {
            begin_part();
            min = group_min;
            max = group_max;
        } else if ((first == ']' && group == '[') || (first == '}' && group == '{')) {
            blocks[n_blocks - 1].end = n_parts;
            group = 0;
            min = group_min;
            max = group_max;
        } else {
            if (group == 0)
                begin_block();
            if (group != '{')
                begin_part();
            add_line(strdup(text), min, max);
            parts[n_parts - 1].end = n_lines;
            if (group == 0)
                blocks[n_blocks - 1].end = n_parts;
        }
    }
    CHECK_EQ(group, 0);
    free(text);
    fclose(f);
}

/* ---- What was printed -------------------------------------------------------------------- */

typedef struct output {
    char text[1 << 16];
    size_t used, line_begin;
    int fd, n;
    const char *line[MAX_LINES];
    double at[MAX_LINES]; /* seconds since the start */
} output;

static output out, err;

/* Takes what is there; false at the end. */
static bool take(output *o, double now)
{
    ssize_t n = read(o->fd, o->text + o->used, sizeof(o->text) - 1 - o->used);
    if (n < 0 && errno == EINTR)
        return true;
    CHECK_GE(n, 0);
    o->used += (size_t)n;
    o->text[o->used] = '\0';
    for (char *end; (end = strchr(o->text + o->line_begin, '\n')) != NULL;) {
        CHECK(o->n < MAX_LINES);
        *end = '\0';
        o->line[o->n] = o->text + o->line_begin;
        o->at[o->n++] = now;
        o->line_begin = (size_t)(end + 1 - o->text);
    }
    if (n == 0 && o->line_begin < o->used) /* no newline at the end */
        support_fail(__FILE__, __LINE__, __func__, "half a line: %s", o->text + o->line_begin);
    return n > 0;
}

/* ---- Comparing --------------------------------------------------------------------------- */

static int furthest;               /* how many lines fit at the most */
static bool wanted[MAX_LINES + 1]; /* which would have fit next; of MAX_LINES: the end */

static bool timed; /* upper bounds count */
static bool late;  /* all was well but for them */

static bool fits(const line *l, int i)
{
    if (out.at[i] < l->min || (l->max != 0 && timed && out.at[i] > l->max))
        return false;
    return l->is_regex ? regexec(&l->regex, out.line[i], 0, NULL, 0) == 0
                       : strcmp(l->text, out.line[i]) == 0;
}

static void remember(int i, int line_index)
{
    if (i > furthest) {
        furthest = i;
        memset(wanted, 0, sizeof(wanted));
    }
    if (i == furthest)
        wanted[line_index] = true;
}

/* Do the lines of output from i on fit block b, of whose parts at[] has been used, and what follows? */
static bool match(int b, int *at, int i)
{
    if (b == n_blocks) {
        remember(i, MAX_LINES);
        return i == out.n;
    }
    bool over = true;
    for (int p = blocks[b].begin; p < blocks[b].end; p++) {
        if (at[p] == parts[p].end)
            continue;
        over = false;
        const line *l = &lines[at[p]];
        bool tried = false; /* a single line like one before makes no difference */
        for (int q = blocks[b].begin; q < p && !tried; q++)
            tried = at[q] == parts[q].end - 1 && at[p] == parts[p].end - 1 &&
                    lines[at[q]].min == l->min && lines[at[q]].is_regex == l->is_regex &&
                    strcmp(lines[at[q]].text, l->text) == 0;
        if (tried)
            continue;
        remember(i, at[p]);
        if (i == out.n || !fits(l, i))
            continue;
        at[p]++;
        bool matched = match(b, at, i + 1);
        at[p]--;
        if (matched)
            return true;
    }
    return over && match(b + 1, at, i);
}

static void complain(const char *why)
{
    printf("%s\n", why);
    for (int i = 0; i < out.n; i++)
        printf("%s%7.2f s  %s\n", i == furthest ? ">>" : "  ", out.at[i], out.line[i]);
    for (int i = 0; i < err.n; i++)
        printf("  stderr %7.2f s  %s\n", err.at[i], err.line[i]);
}

static bool match_all(void)
{
    int at[MAX_PARTS + MAX_LINES];
    for (int p = 0; p < n_parts; p++)
        at[p] = parts[p].begin;
    furthest = 0;
    memset(wanted, 0, sizeof(wanted));
    return match(0, at, 0);
}

static bool compare_output(void)
{
    timed = false;
    late = support_timing() && match_all();
    timed = support_timing();
    if (match_all())
        return true;
    complain("not what was expected:");
    for (int i = 0; i < n_lines; i++) {
        if (!wanted[i])
            continue;
        printf("wanted there, from %g s", lines[i].min);
        if (lines[i].max != 0)
            printf(" to %g s", lines[i].max);
        printf(": %s\n", lines[i].text);
    }
    if (wanted[MAX_LINES])
        printf("wanted there: the end\n");
    return false;
}

static bool compare_stderr(void)
{
    for (int r = 0; r < n_stderr; r++) {
        bool found = false;
        for (int i = 0; i < err.n && !found; i++)
            found = regexec(&stderr_regex[r], err.line[i], 0, NULL, 0) == 0;
        if (!found) {
            complain("a line is missing on stderr:");
            printf("wanted: %s\n", stderr_text[r]);
            return false;
        }
    }
    if (n_stderr == 0 && err.n > 0)
        complain("stderr should be silent:");
    return n_stderr > 0 || err.n == 0;
}

/* ---- Running ----------------------------------------------------------------------------- */

/* Its standard error goes where ours does, unless ret_err says otherwise. */
static pid_t start(const char *path, char *const *args, int *ret_out, int *ret_err)
{
    int to_out[2], to_err[2];
    support_pipe(to_out);
    if (ret_err != NULL)
        support_pipe(to_err);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(to_out[1], STDOUT_FILENO);
        if (ret_err != NULL)
            dup2(to_err[1], STDERR_FILENO);
        alarm(PATIENCE_S); /* survives the exec */
        execv(path, args);
        _exit(127);
    }
    close(to_out[1]);
    *ret_out = to_out[0];
    if (ret_err != NULL) {
        close(to_err[1]);
        *ret_err = to_err[0];
    }
    return pid;
}

/* It says on its first line where it listens. */
static pid_t start_server(const char *program, char port[8], FILE **ret_output)
{
    char path[4096], text[256];
    int fd;
    snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(program, '/') - program), program,
             server_args[0]);
    pid_t pid = start(path, server_args, &fd, NULL);
    *ret_output = fdopen(fd, "r");
    CHECK(*ret_output != NULL);
    if (fgets(text, sizeof(text), *ret_output) == NULL ||
        sscanf(text, "listening on 127.0.0.1:%7s", port) != 1)
        support_fail(__FILE__, __LINE__, __func__, "%s does not say where it listens", path);
    return pid;
}

static void stop_server(pid_t pid, FILE *from)
{
    int status;
    bool kind = !support_tsan(); /* see %signal */
    CHECK_OK(kill(pid, kind ? SIGINT : SIGKILL));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(!kind || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    fclose(from);
}

/* Reads both streams to their ends and returns what waitpid said. */
static int watch(pid_t pid, int64_t begun, double second_ns)
{
    struct pollfd fds[2] = {{.fd = out.fd, .events = POLLIN}, {.fd = err.fd, .events = POLLIN}};
    bool sent = signo == 0;
    int status;
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        double now = (double)(support_now() - begun) / second_ns;
        int left_ms = sent ? -1 : (int)((signal_at - now) * second_ns / 1e6) + 1;
        if (!sent && now >= signal_at) {
            CHECK_OK(kill(pid, signo));
            sent = true;
            continue;
        }
        CHECK(poll(fds, 2, left_ms) >= 0 || errno == EINTR);
        now = (double)(support_now() - begun) / second_ns;
        if (fds[0].revents != 0 && !take(&out, now))
            fds[0].fd = -1;
        if (fds[1].revents != 0 && !take(&err, now))
            fds[1].fd = -1;
        fds[0].revents = fds[1].revents = 0;
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(out.fd);
    close(err.fd);
    return status;
}

static bool compare_exit(int status, int w)
{
    if (race && support_tsan()) {
        bool found = false;
        for (int i = 0; i < err.n; i++)
            found = found || strstr(err.line[i], "data race") != NULL;
        if (WIFEXITED(status) && (found ? WEXITSTATUS(status) == 99 : w == 1))
            return true;
        complain("ThreadSanitizer should have found a data race:");
        return false;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == exit_status)
        return compare_output() && compare_stderr();
    complain("it ended otherwise:");
    printf("%s %d\n", WIFEXITED(status) ? "exit status" : "signal",
           WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return false;
}

static bool check(const char *program, int w)
{
    int second_ms = support_slow() ? 200 : 100, out_fd, err_fd;
    char text[16], port[8], *args[MAX_ARGS + 3];
    int n = 0;
    FILE *server_output = NULL;
    pid_t server = -1;

    snprintf(text, sizeof(text), "%d", second_ms);
    CHECK_OK(setenv("SEED_SECOND_MS", text, 1));
    snprintf(text, sizeof(text), "%d", w);
    CHECK_OK(setenv("PIRN_WORKERS", text, 1));
    args[n++] = (char *)program;
    if (server_args[0] != NULL) {
        server = start_server(program, port, &server_output);
        args[n++] = port;
    }
    for (int i = 0; seed_args[i] != NULL; i++)
        args[n++] = seed_args[i];
    args[n] = NULL;

    memset(&out, 0, sizeof(out));
    memset(&err, 0, sizeof(err));
    int64_t begun = support_now();
    pid_t pid = start(program, args, &out_fd, &err_fd);
    out.fd = out_fd;
    err.fd = err_fd;
    late = false;
    bool good = compare_exit(watch(pid, begun, second_ms * 1e6), w);
    if (server != -1)
        stop_server(server, server_output);
    printf("%s on %d workers: %s\n", strrchr(program, '/') + 1, w, good ? "as expected" : "WRONG");
    return good;
}

int main(int argc, char **argv)
{
    bool good = true;
    CHECK_EQ(argc, 3);
    CHECK(strchr(argv[1], '/') != NULL);
    read_expectation(argv[2]);
    if (signo != 0 && support_tsan())
        return 77;
    FOR_WORKERS(w)
    good = check(argv[1], w) && good;
    return good ? 0 : 1;
}
