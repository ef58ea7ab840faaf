/* The rows; each lives in the file of its name, pingpong-cross in pingpong_cross.c, requests in
 * echo.c. */
#ifndef PIRN_PERF_ROWS_H
#define PIRN_PERF_ROWS_H

void bench_row_switch(void);
void bench_row_yield(void);
void bench_row_spawn(void);
void bench_row_skynet(void);
void bench_row_fib(void);
void bench_row_pingpong(void);
void bench_row_pingpong_cross(void);
void bench_row_mpmc(void);
void bench_row_mutex(void);
void bench_row_timers(void);
void bench_row_idle(void);
void bench_idle_connections(void); /* connections.c: row idle, variant=connections */
void bench_row_echo(void);
void bench_row_http(void);
void bench_row_file(void);
void bench_row_mixed(void);
void bench_row_stuck(void);
void bench_row_wake(void);
void bench_row_scaling(void);
void bench_row_claims(void);
void bench_row_growth(void);
void bench_row_cpu(void);
void bench_row_serve(void);
void bench_row_requests(void);
void bench_row_noise(void);

#endif
