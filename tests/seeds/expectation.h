/*
 * What a seed prints, and what it should print.
 *
 * An expectation is a text file, read line by line:
 *
 *   some text       this line, exactly
 *   /regex/         a line that matches the extended regular expression as a whole
 *   @ 2             what follows comes when two seconds have gone by since the start, or later
 *   @ 2 .. 2.5      and, where time is measured (support_timing), not later than 2.5 and what the
 *                   machine was late by until then (support_control)
 *   [ ]             around lines that come in any order
 *   { | }           around sequences, separated by |, that come interleaved in any way
 *   %server PATH A  runs another program (the path is relative to the seed's) with arguments beside
 *                   it, and gives the seed the port on which that listens as its first argument
 *   %args A B       more arguments
 *   %signal INT 2   sends the signal two seconds after the first line
 *   %env NAME=VALUE in its environment
 *   %exit 1         the exit status, 0 if nothing is said
 *   %stderr regex   some line of stderr matches; without any, stderr is silent
 *   %no-tsan        skipped under ThreadSanitizer
 *   %race           with ThreadSanitizer: the program has a data race, which is found if W > 1
 *   # ...           nothing; nor does an empty line
 *
 * Seconds are the seed's. At the end of a group, and at each |, the time is again what it was
 * before the group.
 */
#ifndef PIRN_TESTS_SEEDS_EXPECTATION_H
#define PIRN_TESTS_SEEDS_EXPECTATION_H

#include <stdbool.h>
#include <stddef.h>

enum {
    MAX_LINES = 512,
    MAX_ARGS = 8
};

/* One stream of a program, cut into lines. */
typedef struct output {
    char text[1 << 16];
    size_t used, line_begin;
    int fd, n;
    const char *line[MAX_LINES];
    double at[MAX_LINES];   /* seconds since the start */
    double late[MAX_LINES]; /* of these, the machine's */
} output;

/* How to run it; what it should print stays with expectation.c. */
typedef struct expectation {
    char *server_args[MAX_ARGS + 1], *seed_args[MAX_ARGS + 1];
    int signo;        /* 0: none */
    double signal_at; /* after the first line */
    int exit_status;
    bool no_tsan, race;
} expectation;

/* Once in a program. What cannot be read or understood ends it. */
void expectation_read(const char *path, expectation *ret_expectation);

/* Says on stdout what is wrong. */
bool expectation_compare(const output *out, const output *err);

/* Why it is wrong, and all of the output. */
void output_complain(const char *why, const output *out, const output *err);

#endif
