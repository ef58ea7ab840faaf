/*
 * A shell command, and what it writes to its two pipes.
 *
 * Reading one pipe to its end and then the other would hang with a child that fills the second one;
 * pirn_process_communicate reads both at the same time, and waits for the child's end.
 */
#include "seeds.h"

static int test_subprocess(void *command)
{
    pirn_process *process;
    pirn_process_output output;
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.out = config.err = PIRN_STDIO_PIPE;
    must(pirn_process_shell(&process, command, &config, PIRN_NEVER));
    int err = pirn_process_communicate(process, NULL, 0, &output, 0, PIRN_NEVER);
    pirn_process_release(process);
    if (err < 0)
        return err;
    if (output.out_len != 0)
        printf("[stdout]\n%s\n", output.out);
    if (output.err_len != 0)
        printf("[stderr]\n%s\n", output.err);
    free(output.out);
    free(output.err);
    return 0;
}

int main(int argc, char **argv)
{
    char command[1000] = "ls -l"; /* or the arguments, as one command */
    for (int i = 1, at = 0; i < argc; i++)
        at += snprintf(command + at, sizeof(command) - (size_t)at, "%s ", argv[i]);
    return report(pirn_run(test_subprocess, command));
}
