/*
 * The wait cell of runtime/cell.h, as runtime/wait.c and runtime/worker.c use it: one task that
 * waits several times, against all that may end a wait.
 *
 *   the object   (or the operation's completion) claims the wait whose number it was given
 *   the timer    claims likewise, and may come late, when that wait is long over
 *   the canceller cancels once, at any time
 *   the worker   parks the task, after having switched away from it
 *
 * Every wait is of one of four kinds: for an object or for an operation, with the cancel shielded
 * or not. An operation is ended by its completion only; a cancel has it stopped, and it may still
 * complete. Neither object nor timer nor completion need ever come where the cancel can end the
 * wait.
 *
 * Claim: every wait ends exactly once; the task is queued exactly once for each time it was parked,
 * and never while it is on its stack; the cancel is delivered exactly once or is still pending at
 * the end, and never during a shielded wait; nothing is left behind with the task asleep.
 *
 * Each change of the word is one compare-and-swap of the code, an atomic block here.
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   PARK_BLIND     the worker parks the task without looking whether the wait has been claimed
 *   PARK_DEAF      it parks the task although a cancel is pending
 *   CANCEL_KEPT    a cancel that ends a wait at the park stays pending
 *   CANCEL_DROPPED a claim clears a pending cancel
 *   CANCEL_SPLIT   the canceller looks at the word and changes it in two steps
 *   SHIELD_BROKEN  a cancel ends a shielded wait
 *   NO_GEN         a claim does not look at the wait's number
 *   PUSH_ALWAYS    a claim queues the task although it had not parked yet
 *   PUSH_NEVER     a claim leaves that to the worker even after the park
 *   OP_NOT_STOPPED the worker parks a task with a cancel pending and does not stop the operation
 *   RESULT_TAKEN   a cancel is taken for delivered although the operation completed
 */
#ifndef WAITS
#define WAITS 2
#endif

mtype = { NONE, OBJECT, TIMEOUT, CANCEL, OP };

/* the word */
byte gen = 0;
mtype reason = NONE;
bool parked = false, cancellable = false, in_op = false, cancel = false, ended = false;

/* the task */
bool on_stack = true;     /* running, or not switched away from yet */
byte queued = 0;          /* times it is in a run queue */
byte ends[WAITS + 1];     /* how often each wait was ended, by its number */
byte delivered = 0;       /* cancels */
bool was_told_ended = false;
bool shielded = false;    /* the present wait */

/* what the others hold: the number of a wait, plus 1; 0: nothing */
byte object_has = 0, timer_has = 0, op_has = 0;
bool op_stop = false, op_cancelled = false;
bool willing = false; /* to end the present wait by themselves */

inline end_wait(why) {
    ends[gen]++;
    gen++;
    reason = why;
    parked = false;
    cancellable = false;
    in_op = false
}

inline push() {
    assert(!on_stack && queued == 0);
    queued++
}

/* pirn_cell_claim and, if won after the park, pirn_wake_cell */
inline claim(g, why) {
    atomic {
        wake = false;
        if
#ifdef BUG_NO_GEN
        :: !ended ->
#else
        :: gen == g && !ended ->
#endif
#ifdef BUG_PUSH_ALWAYS
           wake = true;
#else
           wake = parked;
#endif
#ifdef BUG_PUSH_NEVER
           wake = false;
#endif
#ifdef BUG_CANCEL_DROPPED
           cancel = false;
#endif
           end_wait(why)
        :: else
        fi
    }
    if
    :: wake -> atomic { push(); wake = false }
    :: else
    fi
}

/* ---- Who ends waits ---------------------------------------------------------------------- */

/* None of them need come, unless the wait has no other end. */
#define WILLING (willing || shielded || delivered > 0)

/* Holds on to a waiter it has popped, for as long as it likes. */
proctype object() {
    byte g = 0;
    bool wake = false;
end:
    do
    :: atomic { object_has > 0 && WILLING -> g = object_has - 1; object_has = 0 }
       claim(g, OBJECT)
    od
}

/* May come late: nobody takes the wait's number away from it. */
proctype timer() {
    byte g = 0;
    bool wake = false;
end:
    do
    :: atomic { timer_has > 0 && WILLING -> g = timer_has - 1; timer_has = 0 }
       claim(g, TIMEOUT)
    od
}

/* Completes by itself, or because it was stopped; in the latter case it may have been too late. */
proctype operation() {
    byte g = 0;
    bool wake = false;
end:
    do
    :: atomic { op_has > 0 && (WILLING || op_stop) ->
          if
          :: op_stop -> op_cancelled = true
          :: op_cancelled = false
          fi;
          g = op_has - 1;
          op_has = 0 }
       claim(g, OP)
    od
}

/* pirn_wait_stop_op: only the operation of that wait */
inline stop_op(g) {
    atomic {
        if
        :: op_has == g + 1 -> op_stop = true
        :: else
        fi
    }
}

proctype canceller() {
    bool wake = false, stop = false;
    byte g = 0;
#ifdef BUG_CANCEL_SPLIT
    bool asleep = false;
    asleep = parked && cancellable && !in_op;
#define ASLEEP asleep
#else
#define ASLEEP (parked && cancellable && !in_op)
#endif
    atomic { /* pirn_cell_cancel */
        if
        :: ended -> was_told_ended = true
#ifdef BUG_SHIELD_BROKEN
        :: !ended && parked && !in_op -> end_wait(CANCEL); wake = true
        :: !ended && !(parked && !in_op) ->
#else
        :: !ended && ASLEEP -> end_wait(CANCEL); wake = true
        :: !ended && !ASLEEP ->
#endif
           cancel = true;
           g = gen;
           stop = cancellable && in_op
        fi
    }
    if
    :: wake -> atomic { push() }
    :: stop -> stop_op(g)
    :: else
    fi
}

/* ---- The task and its worker ------------------------------------------------------------- */

/* pirn_worker_park, and finish_switch on the other side; returns with the task running again */
inline park(how_in_op) {
    on_stack = false; /* switched away */
    atomic { /* pirn_cell_park */
        lost = false;
        stop = false;
        if
#ifdef BUG_PARK_BLIND
        :: false
#else
        :: gen != g -> lost = true
#endif
#ifndef BUG_PARK_DEAF
        :: gen == g && cancel && !shielded && !how_in_op ->
#ifndef BUG_CANCEL_KEPT
           cancel = false;
#endif
           end_wait(CANCEL);
           lost = true
#endif
        :: else ->
           parked = true;
           cancellable = !shielded;
           in_op = how_in_op;
#ifndef BUG_OP_NOT_STOPPED
           stop = cancel && how_in_op && !shielded
#endif
        fi
    }
    if
    :: lost -> atomic { push() } /* the worker queues it itself */
    :: stop -> stop_op(g)
    :: else
    fi;
    atomic { queued > 0 -> queued--; on_stack = true }
}

proctype task() {
    byte g = 0, n = 0;
    bool lost = false, stop = false;
    do
    :: n == WAITS -> break
    :: n < WAITS ->
       if /* pirn_shield_enter, pirn_shield_leave */
       :: shielded = true
       :: shielded = false
       fi;
       if
       :: willing = true
       :: willing = false
       fi;
       if /* pirn_wait_enter */
       :: atomic { cancel && !shielded -> cancel = false; delivered++; goto next }
       :: atomic { !(cancel && !shielded) -> g = gen }
       fi;
       if
       :: /* for an object, with a deadline */
          object_has = g + 1;
          timer_has = g + 1;
          park(false);
          assert(reason == OBJECT || reason == TIMEOUT || (reason == CANCEL && !shielded));
          if
          :: reason == CANCEL -> delivered++
          :: else
          fi;
          atomic { object_has = 0; timer_has = 0 } /* but they may have popped it */
       :: /* for an operation */
          atomic { op_stop = false; op_cancelled = false; op_has = g + 1 }
          park(true);
          assert(reason == OP && op_has == 0);
          assert(!(op_cancelled && shielded));
          if
#ifdef BUG_RESULT_TAKEN
          :: op_stop ->
#else
          :: op_cancelled ->
#endif
             assert(cancel && op_cancelled);
             atomic { cancel = false; delivered++ }
          :: else
          fi
       fi;
       assert(gen == g + 1 && ends[g] == 1);
next:  n++
    od;
    ended = true
}

init {
    atomic {
        run task();
        run object();
        run timer();
        run operation();
        run canceller()
    }
}

/* Once nobody can do anything, the task must have ended. */
active proctype rest() {
    timeout -> assert(ended && queued == 0 && ends[gen] == 0);
    assert(delivered + cancel + was_told_ended == 1)
}
