/*
 * More than one request of the kernel's can carry: 2 GiB and some, of a file that is a hole nearly
 * everywhere, into a buffer that is the same few pages over and over.
 */
#include "tests/support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define MIB ((size_t)1 << 20)
#define PAGES (4 * MIB)
#define BYTES (2048 * MIB + 8192)
#define ROOM (2048 * MIB + PAGES)

static const char last[8] = "the end!";
static int file;
static char *buffer;

static void make(void)
{
    int pages = memfd_create("pages", MFD_CLOEXEC);
    file = memfd_create("file", MFD_CLOEXEC);
    CHECK(pages >= 0 && file >= 0);
    CHECK_OK(ftruncate(pages, PAGES));
    CHECK_OK(ftruncate(file, BYTES));
    CHECK_EQ(pwrite(file, last, sizeof(last), BYTES - sizeof(last)), sizeof(last));
    buffer = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(buffer != MAP_FAILED);
    for (size_t at = 0; at < ROOM; at += PAGES)
        CHECK(mmap(buffer + at, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, pages, 0) ==
              buffer + at);
    CHECK_OK(close(pages));
}

static void check_end(void)
{
    CHECK(memcmp(buffer + BYTES - sizeof(last), last, sizeof(last)) == 0);
    memset(buffer, 0x5a, PAGES);
}

static void reads(void)
{
    const size_t first = 2048 * MIB - 100;
    struct iovec two[] = {{buffer, first}, {buffer + first, BYTES - first}};
    CHECK_EQ(pirn_pread(file, buffer, BYTES, 0, PIRN_NEVER), BYTES);
    check_end();
    CHECK_EQ(pirn_pread(file, buffer, ROOM, 4096, PIRN_NEVER), BYTES - 4096); /* there is no more */
    CHECK_EQ(pirn_preadv(file, two, 2, 0, PIRN_NEVER), BYTES);
    check_end();
    CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(pirn_read(file, buffer, ROOM, PIRN_NEVER), BYTES);
    check_end();
    CHECK_EQ(lseek(file, 0, SEEK_CUR), BYTES);
    CHECK_EQ(pirn_read(file, buffer, ROOM, PIRN_NEVER), 0);
}

/* The same on a plain thread and in coroutines. */
START_TEST(all_of_it_in_one_call)
{
    if (support_tsan())
        return; /* for each byte that is read it needs several of its own */
    make();
    support_everywhere(reads);
    CHECK_OK(munmap(buffer, ROOM));
    CHECK_OK(close(file));
}
END_TEST

SUPPORT_MAIN("file_beyond", all_of_it_in_one_call)
