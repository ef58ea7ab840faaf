/*
 * A strand's hand-over (runtime/strand.c): members that yield, wait and end on two workers, their
 * wakers, and one run queue for all.
 *
 * Claims: never two members between their suspends; none is resumed before it is off its stack; none
 * is in two queues; nothing that is ready is left behind (every member ends).
 *
 * A member's course, each step one atomic action of the code, or one section under the strand's lock:
 *   runs; leaves (maybe taking out the next member to switch to straight away); switched; then, by
 *   the side switched to: a yielder is appended and the first goes to the run queue, a waiter is
 *   parked and the next one goes to the run queue. A waiter that was claimed before its park counts
 *   as a yielder. A claim of one that is parked goes through pirn_strand_admit.
 * Who has been passed the strand is known by what the worker has switched to, as in the code.
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   LEAVE_EARLY   the strand is given on before the park is published, and the switch made
 *   APPEND_EARLY  a yielder is put into the list, and the first of it into a run queue, before the switch
 *   TWO_STEPS     whether the strand is free, and that it is taken: not under one lock
 *   PASS_TWICE    the side switched to gives on a strand that was passed to it
 *   LOST_PARK     a waiter that was claimed before its park still counts as parked
 *   LAST_FREE     who leaves says that the strand is free without another look at the list
 */
#ifndef MEMBERS
#define MEMBERS 3
#endif
#ifndef TURNS
#define TURNS 2 /* of each member, before it ends */
#endif
#define WORKERS 2
#define NOBODY 255

chan runq = [MEMBERS] of { byte };    /* any worker takes from it */
chan waiting = [MEMBERS] of { byte }; /* the strand's list */
bool held = false;

byte inside = 0;                      /* members between two suspends */
bool on_stack[MEMBERS];
bool parked[MEMBERS], claimed[MEMBERS], asks[MEMBERS]; /* asks: waits for its waker */
byte left[MEMBERS];                   /* turns */
byte ended = 0;

inline enqueue(t) {
    assert(nfull(runq));
    runq!t
}

/* pirn_strand_admit */
inline admit(t) {
#ifdef BUG_TWO_STEPS
    bool was = held;
    if
    :: was -> atomic { waiting!t }
    :: !was -> atomic { held = true; enqueue(t) }
    fi
#else
    atomic {
        if
        :: held -> waiting!t
        :: !held -> held = true; enqueue(t)
        fi
    }
#endif
}

/* hand_on; n: a byte of the caller's */
inline hand_on(n) {
#ifdef BUG_LAST_FREE
    if
    :: atomic { nempty(waiting) -> waiting?n; enqueue(n) }
    :: empty(waiting) -> held = false
    fi
#else
    atomic {
        if
        :: nempty(waiting) -> waiting?n; enqueue(n)
        :: empty(waiting) -> held = false
        fi
    }
#endif
}

/* pirn_strand_yielded: t is ready again */
inline yielded(t, passed, n) {
    atomic {
        waiting!t;
        if
        :: !passed -> waiting?n; enqueue(n)
        :: passed
        fi
    }
}

/* Wakes each member that asks, at any time. */
proctype waker(byte m) {
end: do
    :: asks[m] ->
        bool was_parked;
        atomic { asks[m] = false; claimed[m] = true; was_parked = parked[m]; parked[m] = false }
        if
        :: was_parked -> admit(m)
        :: !was_parked -> skip /* it will notice by itself */
        fi
    od
}

proctype worker() {
    byte t = NOBODY, next = NOBODY, n = NOBODY;
    bool parks, passed, is_parked, given;
end: do
    :: atomic { runq?t -> assert(!on_stack[t]); on_stack[t] = true }
go:
        atomic { inside++; assert(inside == 1) }
        inside--;
        next = NOBODY;
        given = false;
        if
        :: left[t] == 0 -> /* ends, on its own stack; then the stack is gone */
            hand_on(n);
            atomic { on_stack[t] = false; ended++ }
            goto end
        :: left[t] > 0 -> left[t]--
        fi;
        if
        :: parks = true; claimed[t] = false; asks[t] = true
        :: parks = false
        fi;
        if /* pirn_strand_pass, or by way of the scheduler */
        :: atomic { nempty(waiting) -> waiting?next }
        :: true
        fi;
        passed = (next != NOBODY);
#ifdef BUG_LEAVE_EARLY
        if :: parks && !passed -> hand_on(n); given = true :: else fi;
#endif
#ifdef BUG_APPEND_EARLY
        if :: !parks && !passed -> yielded(t, passed, n); given = true :: else fi;
#endif
        on_stack[t] = false; /* the switch */
#ifdef BUG_PASS_TWICE
        passed = false;
#endif
        if
        :: parks ->
            atomic { is_parked = !claimed[t]; if :: is_parked -> parked[t] = true :: else fi }
#ifdef BUG_LOST_PARK
            is_parked = true;
#endif
            if
            :: is_parked && !passed && !given -> hand_on(n)
            :: is_parked && (passed || given) -> skip
            :: !is_parked -> yielded(t, passed, n)
            fi
        :: !parks && !given -> yielded(t, passed, n)
        :: !parks && given -> skip
        fi;
        if
        :: next != NOBODY -> /* only now does it go on where it was */
            atomic { t = next; assert(!on_stack[t]); on_stack[t] = true }
            goto go
        :: else
        fi
    od
}

init {
    byte i;
    atomic {
        for (i : 0 .. MEMBERS - 1) {
            left[i] = TURNS;
            run waker(i);
            admit(i)
        }
        run worker();
        run worker();
    }
    (timeout) -> assert(ended == MEMBERS && !held && empty(waiting))
}
