/*
 * The program's symbols, from its own file, and what a stopped thread's stack says.
 *
 * There are no frame pointers, and an unwinder for another thread's stack would be more than this
 * is worth: the words on the stack that point behind a call instruction in the program's code are
 * its return addresses, and now and then one of an earlier call that nobody has written over.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/trace/trace.h"

static const ElfW(Sym) * symbols;
static size_t symbol_count;
static const char *strings;
static uintptr_t base, text_low, text_high;

static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0) {
            text_low = base + p->p_vaddr;
            text_high = text_low + p->p_memsz;
        }
    }
    return 1; /* the first is the program */
}

int trace_symbols_load(void)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0) {
        close(fd);
        return -EIO;
    }
    const char *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (file == MAP_FAILED)
        return -ENOMEM;
    const ElfW(Ehdr) *head = (const void *)file;
    const ElfW(Shdr) *sections = (const void *)(file + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB)
            continue;
        symbols = (const void *)(file + sections[i].sh_offset);
        symbol_count = sections[i].sh_size / sizeof(*symbols);
        strings = file + sections[sections[i].sh_link].sh_offset;
    }
    dl_iterate_phdr(find_program, NULL);
    if (symbols != NULL)
        return 0;
    munmap((void *)file, (size_t)st.st_size);
    return -ENOENT;
}

void *trace_symbol(const char *name)
{
    for (size_t i = 0; i < symbol_count; i++) {
        if (symbols[i].st_value != 0 && strcmp(strings + symbols[i].st_name, name) == 0)
            return (void *)(base + symbols[i].st_value);
    }
    return NULL;
}

static const ElfW(Sym) * symbol_at(uintptr_t address)
{
    for (size_t i = 0; i < symbol_count; i++) {
        const ElfW(Sym) *s = &symbols[i];
        if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && address - base >= s->st_value &&
            address - base < s->st_value + s->st_size)
            return s;
    }
    return NULL;
}

static bool is_behind_call(uintptr_t address)
{
    if (address < text_low + 8 || address >= text_high)
        return false;
    const unsigned char *p = (const void *)address;
#if defined(__x86_64__)
    return p[-5] == 0xe8 || (p[-2] == 0xff && (p[-1] & 0x38) == 0x10) ||
           (p[-3] == 0xff && (p[-2] & 0x38) == 0x10) || (p[-6] == 0xff && (p[-5] & 0x38) == 0x10);
#else
    uint32_t before;
    memcpy(&before, p - 4, sizeof(before));
    return address % 4 == 0 && (before >> 26 == 0x25 || (before & 0xfffffc1f) == 0xd63f0000);
#endif
}

bool trace_peek(uint64_t address, void *ret_value, size_t size)
{
    struct iovec to = {ret_value, size}, from = {(void *)(uintptr_t)address, size};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)size;
}

ssize_t trace_proc(pid_t tid, const char *file, char *ret_text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ret_text[0] = '\0';
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, ret_text, size - 1);
    close(fd);
    ret_text[n > 0 ? n : 0] = '\0';
    return n;
}

/* The stack's end may come first: a page at a time. */
static size_t copy_stack(uint64_t sp, uint64_t *words, size_t n)
{
    size_t have = 0;
    while (have < n) {
        size_t some = (4096 - sp % 4096) / sizeof(*words);
        if (some > n - have)
            some = n - have;
        if (some == 0 || !trace_peek(sp, words + have, some * sizeof(*words)))
            break;
        have += some;
        sp += some * sizeof(*words);
    }
    return have;
}

void trace_stack(pid_t tid, char *ret_text, size_t size, char *ret_first, size_t first_size)
{
    enum {
        WORDS = 640,
        NAMES = 10
    };
    static uint64_t words[WORDS]; /* the supervisor's */
    unsigned long long sp;
    size_t used = 0;
    char line[256];
    ret_text[0] = ret_first[0] = '\0';
    /* number, six arguments, stack pointer, program counter */
    if (trace_proc(tid, "syscall", line, sizeof(line)) <= 0 ||
        sscanf(line, "%*d %*x %*x %*x %*x %*x %*x %llx", &sp) != 1)
        return;
    size_t count = copy_stack(sp, words, WORDS);
    for (size_t i = 0, names = 0; i < count && names < NAMES; i++) {
        uint64_t word = words[i];
        if (!is_behind_call(word))
            continue;
        const ElfW(Sym) *s = symbol_at(word - 1);
        const char *name = s ? strings + s->st_name : NULL;
        if (name == NULL)
            continue;
        if (names++ == 0)
            snprintf(ret_first, first_size, "%s", name);
        int n = snprintf(ret_text + used, size - used, "%s%s+%#lx", used ? " < " : "", name,
                         (unsigned long)(word - base - s->st_value));
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
}
