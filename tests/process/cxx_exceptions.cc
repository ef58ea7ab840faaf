/*
 * C++ exceptions and coroutines that move: a coroutine suspends inside a catch block, and inside a
 * destructor that unwinding runs, goes on on another thread, and rethrows. Each must see its own
 * exception, whatever the others on the same threads are in the middle of. One that leaves its
 * coroutine ends the program, on whatever stack that was.
 */
#include <pirn.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

constexpr int TASKS = 16;
constexpr int ROUNDS = 50;
std::atomic<int> moves;

#define CHECK(cond) \
    do { \
        if (!(cond)) { \
            std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
            std::_Exit(1); \
        } \
    } while (0)

long thread_id()
{
    return syscall(SYS_gettid);
}

/* Suspends by timer and by yield, so that tasks get mixed, and counts the changes of thread. */
void suspend(int round)
{
    long thread = thread_id();
    CHECK(pirn_yield() == 0);
    CHECK(pirn_sleep(pirn_after_us(50 + round % 7 * 30)) == 0);
    moves += thread_id() != thread;
}

/* Its destructor suspends; `unwinding` is how many exceptions it is to find in flight. */
class suspends_at_the_end
{
  public:
    suspends_at_the_end(int round, int unwinding) : round_(round), unwinding_(unwinding)
    {
    }
    ~suspends_at_the_end()
    {
        CHECK(std::uncaught_exceptions() == unwinding_);
        suspend(round_);
        CHECK(std::uncaught_exceptions() == unwinding_);
    }

  private:
    int round_, unwinding_;
};

std::string message(intptr_t task, int round, const char *which)
{
    return std::to_string(task) + "/" + std::to_string(round) + "/" + which;
}

/* Suspends where an exception is being handled, where one is in flight, and where both are. */
void throw_and_rethrow(intptr_t task, int round)
{
    try {
        suspends_at_the_end outer(round, 1);
        throw std::runtime_error(message(task, round, "first"));
    } catch (const std::runtime_error &first) {
        suspend(round);
        CHECK(first.what() == message(task, round, "first"));
        CHECK(std::uncaught_exceptions() == 0);
        try {
            suspends_at_the_end inner(round, 1);
            throw std::logic_error(message(task, round, "second"));
        } catch (const std::logic_error &second) {
            suspend(round);
            CHECK(second.what() == message(task, round, "second"));
        }
        suspend(round);
        CHECK(std::current_exception() != nullptr);
        throw;
    }
}

int thrower(void *arg)
{
    const intptr_t task = reinterpret_cast<intptr_t>(arg);
    for (int round = 0; round < ROUNDS; round++) {
        bool caught = false;
        try {
            throw_and_rethrow(task, round);
        } catch (const std::exception &e) {
            suspend(round);
            CHECK(e.what() == message(task, round, "first"));
            caught = true;
        }
        CHECK(caught);
        CHECK(std::uncaught_exceptions() == 0);
        CHECK(std::current_exception() == nullptr);
    }
    return 0;
}

/* Tasks that throw nothing must find nothing, between all those that do. */
int bystander(void *)
{
    for (int round = 0; round < ROUNDS; round++) {
        suspend(round);
        CHECK(std::uncaught_exceptions() == 0);
        CHECK(std::current_exception() == nullptr);
    }
    return 0;
}

int start(void *)
{
    pirn_scope *scope;
    CHECK(pirn_scope_open(&scope, 0) == 0);
    for (intptr_t i = 0; i < TASKS; i++) {
        CHECK(pirn_scope_spawn(scope, thrower, reinterpret_cast<void *>(i), PIRN_NEVER) == 0);
        CHECK(pirn_scope_spawn(scope, bystander, nullptr, PIRN_NEVER) == 0);
    }
    return pirn_scope_close(scope, PIRN_NEVER);
}

int leaver(void *)
{
    throw std::runtime_error("leaves its coroutine");
}

/* Awaits it, in one go or, with an argument, when it has begun on a stack of its own. */
int awaiter(void *arg)
{
    pirn_task *task;
    int status;
    CHECK(pirn_spawn(&task, leaver, nullptr) == 0);
    if (arg != nullptr)
        (void)pirn_sleep(PIRN_NEVER);
    try {
        (void)!pirn_join(task, &status, PIRN_NEVER);
    } catch (const std::exception &) {
        _exit(3);
    }
    return 0;
}

void ends_the_program(int workers, void *arg)
{
    const pid_t pid = fork(); /* of one thread */
    int status = 0;
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        pirn_config config = PIRN_CONFIG_INIT;
        setrlimit(RLIMIT_CORE, &none);
        config.workers = workers;
        (void)!pirn_run_with(&config, awaiter, arg, nullptr);
        _exit(4);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

} // namespace

int main()
{
    int any = 0;
    for (int workers = 1; workers <= 4; workers *= 2) {
        ends_the_program(workers, nullptr);
        ends_the_program(workers, &any);
    }
    for (int workers = 1; workers <= 4; workers *= 2) {
        pirn_config config = PIRN_CONFIG_INIT;
        int status = 0;
        moves = 0;
        config.workers = workers;
        /* Again if the others had no core all the while, and nobody has moved. */
        for (int looks = 0; looks == 0 || (workers != 1 && moves == 0 && looks < 100); looks++) {
            CHECK(pirn_run_with(&config, start, nullptr, &status) == 0);
            CHECK(status == 0);
        }
        std::printf("W = %d: %d moves\n", workers, moves.load());
        CHECK(workers == 1 || moves > 0);
    }
    return 0;
}
