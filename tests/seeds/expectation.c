/*
 * Reads what is expected of a seed, and compares.
 *
 * Rejected: to compare groups by sorting or hashing their lines. With expressions among them a line
 * of output may fit several places, so the places are searched, with backtracking; groups are
 * small.
 */
#include "tests/seeds/expectation.h"

#include <regex.h>
#include <signal.h>

#include "tests/support.h"

enum {
    MAX_GROUPS = 256,
    MAX_ERRORS = 16
};

typedef struct line {
    const char *text; /* without the slashes of an expression */
    bool is_regex;
    regex_t regex;
    double min, max; /* seconds; max 0: at any time */
} line;

/* A block is a group of parts that interleave; what stands outside of groups is a block of one
 * line. */
typedef struct part {
    int begin, end; /* indices of lines */
} part;

typedef struct block {
    int begin, end; /* indices of parts */
} block;

static line lines[MAX_LINES];
static part parts[MAX_GROUPS + MAX_LINES];
static block blocks[MAX_GROUPS + MAX_LINES];
static int n_lines, n_parts, n_blocks;

static regex_t stderr_regex[MAX_ERRORS];
static const char *stderr_text[MAX_ERRORS];
static int n_stderr;

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

static void directive(char *text, expectation *e)
{
    char name[8];
    if (sscanf(text, "%%exit %d", &e->exit_status) == 1)
        return;
    if (strncmp(text, "%server ", 8) == 0) {
        split(text + 8, e->server_args);
        return;
    }
    if (strncmp(text, "%env ", 5) == 0) {
        CHECK_OK(putenv(text + 5));
        return;
    }
    if (strncmp(text, "%args ", 6) == 0) {
        split(text + 6, e->seed_args);
        return;
    }
    if (sscanf(text, "%%signal %7s %lf", name, &e->signal_at) == 2) {
        e->signo = strcmp(name, "INT") == 0 ? SIGINT : 0;
        CHECK(e->signo != 0);
    } else if (strncmp(text, "%stderr ", 8) == 0) {
        CHECK(n_stderr < MAX_ERRORS);
        stderr_text[n_stderr] = text + 8;
        compile(&stderr_regex[n_stderr++], text + 8);
    } else if (strcmp(text, "%race") == 0) {
        e->race = true;
    } else if (strcmp(text, "%no-tsan") == 0) {
        e->no_tsan = true;
    } else {
        support_fail(__FILE__, __LINE__, __func__, "not understood: %s", text);
    }
}

static void begin_part(void)
{
    CHECK(n_parts < MAX_GROUPS + MAX_LINES);
    parts[n_parts++] = (part){n_lines, n_lines};
}

static void begin_block(void)
{
    CHECK(n_blocks < MAX_GROUPS + MAX_LINES);
    blocks[n_blocks++] = (block){n_parts, n_parts};
}

void expectation_read(const char *path, expectation *e)
{
    static char whole[1 << 16]; /* what is read stays here */
    FILE *f = fopen(path, "r");
    size_t used, n;
    double min = 0, max = 0, group_min = 0, group_max = 0;
    char group = 0; /* the bracket that is open */

    CHECK(f != NULL);
    memset(e, 0, sizeof(*e));
    used = fread(whole, 1, sizeof(whole) - 1, f);
    CHECK(feof(f) && fclose(f) == 0);
    whole[used] = '\0';
    for (char *next = whole, *text; (text = strsep(&next, "\n")) != NULL;) {
        n = strlen(text);
        char first = n == 1 || text[0] == '%' || text[0] == '#' ? text[0] : 'x';
        if (n == 0 || first == '#') {
            continue;
        } else if (text[0] == '@') {
            max = 0;
            CHECK_GE(sscanf(text, "@ %lf .. %lf", &min, &max), 1);
        } else if (first == '%') {
            directive(text, e);
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
            add_line(text, min, max);
            parts[n_parts - 1].end = n_lines;
            if (group == 0)
                blocks[n_blocks - 1].end = n_parts;
        }
    }
    CHECK_EQ(group, 0);
}

/* ---- Comparing --------------------------------------------------------------------------- */

static int furthest;               /* how many lines fit at the most */
static bool wanted[MAX_LINES + 1]; /* which would have fit next; of MAX_LINES: the end */

static bool timed; /* upper bounds count */
static const output *out;

static bool fits(const line *l, int i)
{
    if (out->at[i] < l->min || (l->max != 0 && timed && out->at[i] > l->max + out->late[i]))
        return false;
    return l->is_regex ? regexec(&l->regex, out->line[i], 0, NULL, 0) == 0
                       : strcmp(l->text, out->line[i]) == 0;
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

/* Do the lines of output from i on fit block b, of whose parts at[] has been used, and what
 * follows? */
static bool match(int b, int *at, int i)
{
    if (b == n_blocks) {
        remember(i, MAX_LINES);
        return i == out->n;
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
        if (i == out->n || !fits(l, i))
            continue;
        at[p]++;
        bool matched = match(b, at, i + 1);
        at[p]--;
        if (matched)
            return true;
    }
    return over && match(b + 1, at, i);
}

void output_complain(const char *why, const output *o, const output *err)
{
    printf("%s\n", why);
    for (int i = 0; i < o->n; i++)
        printf("%s%7.2f s  %s\n", i == furthest ? ">>" : "  ", o->at[i], o->line[i]);
    for (int i = 0; i < err->n; i++)
        printf("  stderr %7.2f s  %s\n", err->at[i], err->line[i]);
}

static bool match_all(void)
{
    int at[MAX_GROUPS + MAX_LINES];
    for (int p = 0; p < n_parts; p++)
        at[p] = parts[p].begin;
    furthest = 0;
    memset(wanted, 0, sizeof(wanted));
    return match(0, at, 0);
}

static void say_wanted(void)
{
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
}

/* NULL: all that should be there is, and nothing else. */
static const char *missing_on_stderr(const output *err)
{
    for (int r = 0; r < n_stderr; r++) {
        bool found = false;
        for (int i = 0; i < err->n && !found; i++)
            found = regexec(&stderr_regex[r], err->line[i], 0, NULL, 0) == 0;
        if (!found)
            return stderr_text[r];
    }
    return n_stderr == 0 && err->n > 0 ? "silence" : NULL;
}

bool expectation_compare(const output *o, const output *err)
{
    const char *missing = missing_on_stderr(err);
    out = o;
    timed = false;
    bool good = match_all();
    if (good && support_timing()) {
        timed = true;
        if (!match_all()) {
            output_complain("late:", o, err);
            say_wanted();
            return false;
        }
    }
    if (!good) {
        output_complain("not what was expected:", o, err);
        say_wanted();
    } else if (missing != NULL) {
        output_complain("stderr is not as expected:", o, err);
        printf("wanted: %s\n", missing);
    }
    return good && missing == NULL;
}
