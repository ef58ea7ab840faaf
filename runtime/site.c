/*
 * Places in the program's code; see site.h.
 *
 * Where a task waits is taken by unwinding its stack when it is about to park, in debug mode alone:
 * a microsecond a frame or so. The walk ends at the task's own function.
 *
 * Rejected
 *   the return address of the call of pirn   every call that can wait would have to hand it down,
 *       and it names a helper (a wrapper of pirn_recv, say) instead of who called it
 *   unwinding when the report is written     a suspended stack can be walked only from outside, by
 *       what a debugger does; -O2 leaves no frame pointers
 */
#include "runtime/site.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#include "runtime/runtime.h"
#include "runtime/task_debug.h"

struct capture {
    struct sites *to;
    unsigned count;
    uintptr_t fn;
};

void pirn_site_text(const void *site, char *buf, size_t size)
{
    Dl_info info;
    if (site == NULL || dladdr(site, &info) == 0) {
        snprintf(buf, size, "%p", site);
    } else if (info.dli_sname != NULL) {
        snprintf(buf, size, "%s+0x%tx", info.dli_sname,
                 (const char *)site - (const char *)info.dli_saddr);
    } else {
        const char *slash = info.dli_fname != NULL ? strrchr(info.dli_fname, '/') : NULL;
        const char *file = slash != NULL ? slash + 1 : info.dli_fname;
        snprintf(buf, size, "%s+0x%tx", file != NULL ? file : "?",
                 (const char *)site - (const char *)info.dli_fbase);
    }
}

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
    struct capture *c = arg;
    if (c->count == SITES_MAX)
        return _URC_END_OF_STACK;
    atomic_store_explicit(&c->to->pc[c->count++], (void *)_Unwind_GetIP(context),
                          memory_order_relaxed);
    return _Unwind_GetRegionStart(context) == c->fn ? _URC_END_OF_STACK : _URC_NO_REASON;
}

void pirn_sites_capture(struct pirn_task *t)
{
    struct task_debug *debug = pirn_task_debug(t);
    if (debug == NULL)
        return;
    struct capture c = {&debug->sites, 0, (uintptr_t)t->fn};
    _Unwind_Backtrace(add_frame, &c);
    while (c.count < SITES_MAX)
        atomic_store_explicit(&c.to->pc[c.count++], NULL, memory_order_relaxed);
}

static const void *module_of(const void *addr)
{
    Dl_info info;
    return dladdr(addr, &info) != 0 ? info.dli_fbase : NULL;
}

void pirn_sites_text(const struct pirn_task *t, char *buf, size_t size)
{
    const struct task_debug *debug = task_debug(t);
    const void *own = module_of((const void *)(uintptr_t)pirn_sites_capture);
    bool apart = own != module_of((const void *)(uintptr_t)t->fn);
    size_t used = 0;
    buf[0] = '\0';
    for (unsigned i = 0; debug != NULL && i < SITES_MAX; i++) {
        const void *pc = atomic_load_explicit(&debug->sites.pc[i], memory_order_relaxed);
        char text[SITE_TEXT];
        if (pc == NULL)
            return;
        if (apart && module_of(pc) == own)
            continue;
        pirn_site_text(pc, text, sizeof(text));
        int n = snprintf(buf + used, size - used, "%s%s", used == 0 ? " at " : " < ", text);
        if (n < 0 || (size_t)n >= size - used) {
            buf[used] = '\0';
            return;
        }
        used += (size_t)n;
    }
}
