"""gdb commands for programs that use pirn, alive or as a core file:

    (gdb) source runtime/pirn-gdb.py
    (gdb) pirn tasks          every live task: id, name, state, what it waits for, spawned where
    (gdb) pirn bt ID [ARG..]  a task's stack; further arguments go to gdb's bt: pirn bt 7 -full

A task that is not running has its registers in a frame on its own stack (runtime/context.h, whose
offsets stand below once more). `pirn bt` gives them to gdb's unwinder as if the selected thread's
innermost frame had been called from there; nothing in the program is changed.

The library needs debugging information (-g) for the types; the program itself does not.
"""

import gdb
import gdb.unwinder

# Where runtime/context.h saves what: register, offset from the saved stack pointer.
FRAMES = {
    "i386:x86-64": {
        "sp": "rsp",
        "pc": ("rip", 8),
        "size": 144,  # PIRN_FRAME_SP
        "saved": [("rbp", 0)],
    },
    "aarch64": {
        "sp": "sp",
        "pc": ("pc", 8),
        "size": 160,
        "saved": [("x29", 0)]
        + [(f"x{19 + i}", 16 + 8 * i) for i in range(10)]
        + [(f"d{8 + i}", 96 + 8 * i) for i in range(8)],
    },
}

CELL_PARKED = 1  # runtime/cell.h
PINNED = 1  # PIRN_PINNED


def pointers(first, member):
    """The elements of a list, from its first on."""
    while int(first) != 0:
        yield first
        first = first[member]


def runtimes():
    """Every runtime that has a thread: each worker's thread-local says which is its own."""
    selected, found = gdb.selected_thread(), {}
    if selected is None:
        raise gdb.GdbError("there is no program running and no core file")
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            worker = gdb.parse_and_eval("'runtime/self.c'::self.worker")
            if int(worker) != 0:
                found[int(worker["rt"])] = worker["rt"]
    except gdb.error as e:
        raise gdb.GdbError(f"no pirn in here, or pirn without debugging information ({e})")
    finally:
        selected.switch()
    return [found[address] for address in sorted(found)]


def tasks():
    """Every live task of every runtime."""
    for rt in runtimes():
        for slab in pointers(rt["slabs"], "next"):
            descriptors = slab["tasks"]
            low, high = descriptors.type.range()
            for i in range(low, high + 1):
                t = descriptors[i]
                if int(t["base"]["refs"]) != 0 and int(t["base"]["ended"]) == 0 and int(t["rt"]) != 0:
                    yield t


def running():
    """Address of each task that is on a worker's thread now: that thread's id for the kernel."""
    on = {}
    for rt in runtimes():
        for i in range(int(rt["thread_count"])):
            worker = rt["workers"][i]
            if int(worker["current"]) != 0:
                on[int(worker["current"])] = int(worker["tid"])
    return on


def name_of(t):
    if int(t["extra"]) != 0:
        name = t["extra"]["name"].string()
        if name:
            return name
    return f"task-{int(t['id'])}"


def thread_of(tid):
    for thread in gdb.selected_inferior().threads():
        if tid in thread.ptid:
            return f"thread {thread.num}"
    return f"LWP {tid}"


def state_of(t, on):
    what = f", {t['what'].string()}" if int(t["what"]) != 0 else ""
    if int(t["flags"]) & PINNED:
        return "pinned" + what
    if int(t.address) in on:
        return "running on " + thread_of(on[int(t.address)])
    if int(t["inner"]) != 0:
        return f"waiting{what}: on its stack runs {name_of(t['inner'])}"
    if not t["started"]:
        return "not begun"
    if int(t["cell"]["word"]) & CELL_PARKED:
        return "waiting" + what
    return "runnable" + what


def site_of(t):
    """Who called spawn: a return address. A runtime's main has its own function there."""
    site = int(t["site"])
    if site == int(t["fn"]):
        return "pirn_run"
    where = gdb.find_pc_line(site - 1)
    block = gdb.block_for_pc(site - 1)
    while block is not None and block.function is None:
        block = block.superblock
    text = block.function.print_name if block is not None else hex(site)
    if where.symtab is not None:
        text += f" at {where.symtab.filename}:{where.line}"
    return text


class SavedContext(gdb.unwinder.Unwinder):
    """While it holds a context, the innermost frame's caller is that context."""

    def __init__(self):
        super().__init__("pirn-saved-context")
        self.context = None

    def __call__(self, pending):
        if self.context is None or pending.level() != 0:
            return None
        sp, pc, registers = self.context
        info = pending.create_unwind_info(FrameId(sp, pc))
        for register, value in registers:
            kind = pending.read_register(register).type
            info.add_saved_register(register, as_register(value, kind))
        return info


class FrameId:
    def __init__(self, sp, pc):
        self.sp = gdb.Value(sp)
        self.pc = gdb.Value(pc)


def as_register(value, kind):
    if kind.code == gdb.TYPE_CODE_UNION:  # aarch64's vector registers: the low 64 bits
        return gdb.Value(value.to_bytes(kind.sizeof, "little"), kind)
    return gdb.Value(value).cast(kind)


def word_at(address):
    data = gdb.selected_inferior().read_memory(address, 8)
    return int.from_bytes(bytes(data), "little")


def saved_context(t):
    architecture = gdb.selected_frame().architecture().name()
    if architecture not in FRAMES:
        raise gdb.GdbError(f"no frame layout for {architecture}")
    layout = FRAMES[architecture]
    sp = int(t["sp"])
    pc_register, pc_offset = layout["pc"]
    pc = word_at(sp + pc_offset)
    registers = [(r, word_at(sp + offset)) for r, offset in layout["saved"]]
    registers += [(pc_register, pc), (layout["sp"], sp + layout["size"])]
    return sp, pc, registers


unwinder = SavedContext()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


class Pirn(gdb.Command):
    """Looks at pirn's coroutines: pirn tasks, pirn bt ID."""

    def __init__(self):
        super().__init__("pirn", gdb.COMMAND_STACK, prefix=True)


class PirnTasks(gdb.Command):
    """Lists the live tasks: id, name, state, and where each was spawned."""

    def __init__(self):
        super().__init__("pirn tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        on, n = running(), 0
        for t in tasks():
            print(f"{int(t['id']):>6}  {name_of(t):<20}  {state_of(t, on)}")
            print(f"{'':>6}  spawned by {site_of(t)}")
            n += 1
        print(f"{n} tasks")


class PirnBt(gdb.Command):
    """Shows the stack of the task with the given id; the rest goes to gdb's bt."""

    def __init__(self):
        super().__init__("pirn bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not words or not words[0].isdigit():
            raise gdb.GdbError("usage: pirn bt ID [arguments of bt]")
        found = [t for t in tasks() if int(t["id"]) == int(words[0])]
        if not found:
            raise gdb.GdbError(f"no live task {words[0]}")
        for t in found:  # two runtimes may both have one
            print(f"task {int(t['id'])}, {name_of(t)}: {state_of(t, running())}")
            self.show(t, " ".join(words[1:]))

    def show(self, t, arguments):
        if int(t["flags"]) & PINNED or int(t.address) in running():
            print("it is on a thread: look there (info threads, thread apply N bt)")
            return
        if not t["started"]:
            print("it has not begun and has no stack")
            return
        unwinder.context = saved_context(t)
        gdb.invalidate_cached_frames()
        try:
            text = gdb.execute("bt " + arguments, to_string=True)
        finally:
            unwinder.context = None
            gdb.invalidate_cached_frames()
        start = text.find("#1 ")  # frame 0 is the thread's
        print(text[start:] if start >= 0 else text, end="")


Pirn()
PirnTasks()
PirnBt()
