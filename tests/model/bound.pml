/*
 * Shields, requests to end, and bounds (runtime/cell.h, bound.h): what of them is pending, when it is
 * told, and that nothing is told where it must not be. One task that does STEPS things, in any order:
 * enters a shield, leaves it, enters a bound, leaves it, takes a request back, waits. Against it one
 * that asks it to end (pirn_cancel), twice at most, and a hitter of each bound, at any time.
 *
 * Claim:
 *   - the task is told (-ECANCELED) only under no shield and asked to end, or inside a bound that has been
 *     hit and was opened under as many shields as there are or more
 *   - no wait goes on, nor does a call begin to wait, once one of these is so: a bound's hit tells every
 *     call until the bound is left (level), a request one of them (edge)
 *   - a request is told once, or it is pending; two that come before the first is told may be told as one
 *   - a call that was cancelled and has happened all the same has told nothing: a request that was among
 *     what it took is pending again, and nothing else has become one
 *   - outside of bounds nothing is pending but a request, and under shields nothing at all
 *
 * The task's word is changed by one compare-and-swap each, an atomic block here; what a bound holds, and
 * the word, are looked at in steps of their own. An ended wait is woken by the one who ended it; that the
 * task is queued once for it is wait.pml's claim.
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   HIT_LATE       a hitter cancels first, and then says that the bound has been hit
 *   THROUGH_ALL    a hit gets through to a task inside more shields than the bound
 *   ASK_THROUGH    a request gets through shields
 *   HIT_CLOSED     a hitter does not look whether the bound has been left
 *   SHIELD_SHOWS   what was pending stays so inside a shield
 *   SHIELD_FORGETS it does not come back after it
 *   UNSHIELD_BLIND leaving a shield, the task does not look at its bounds
 *   TOLD_BLIND     nor after it has been told
 *   TOLD_TOO_MUCH  what is told inside a shield is taken for the request as well
 *   LEAVE_PENDING  a bound that is left leaves its cancel behind
 *   LEAVE_ALL      and takes the request with it
 *   BACK_BLIND     a request taken back takes the bounds' cancel with it
 *   KEEP_BLIND     where a bound is hit, a call that happens takes what it was told for the bound's alone
 *   KEEP_LAST      an await that passes several on keeps only what came last
 *   KEEP_ALL       it keeps a bound's cancel as if it were a request
 *   ASKED_STAYS    a bound's cancel that is told leaves the mark of a request that was told before
 */
#ifndef STEPS
#define STEPS 5
#endif
#define BOUNDS 2
#define PASSES 1 /* of one await */

/* the word */
bool parked = false, cancel = false, requested = false;
bool mark = false; /* CELL_ASKED */
byte depth = 0;

/* a bound; that of number i lies in that of number i - 1 */
bool open[BOUNDS], closed[BOUNDS], hit[BOUNDS], lock[BOUNDS];
bool over[BOUNDS];  /* the hitter is through with its swap: it counts from here */
byte under[BOUNDS]; /* shields it was entered under */
byte inside = 0;    /* how many the task is inside of */

bool asked = false; /* and not told, nor taken back */
bool last = false;  /* among what was told last was one that was asked */
bool had = false;   /* the same of what the present call has passed on, */
byte passed = 0;    /* so many */
bool ended = false;

#define REACHES(i) (i < inside && hit[i] && under[i] >= depth)
#define BOUND_REACHES (REACHES(0) || REACHES(1))
#define BOUND_MUST (BOUND_REACHES && ((REACHES(0) && over[0]) || (REACHES(1) && over[1])))
#define MAY_BE_TOLD ((depth == 0 && asked) || BOUND_REACHES)
#define MUST_BE_TOLD ((depth == 0 && asked) || BOUND_MUST)

/* cell_delivered */
inline told() {
    assert(MAY_BE_TOLD);
    cancel = false;
#ifdef BUG_ASKED_STAYS
    mark = mark || (depth == 0 && requested);
#else
    mark = depth == 0 && requested;
#endif
    last = depth == 0 && asked;
    if
#ifdef BUG_TOLD_TOO_MUCH
    :: true ->
#else
    :: depth == 0 ->
#endif
       requested = false
    :: else
    fi;
    if
    :: depth == 0 -> asked = false
    :: else
    fi
}

/* ---- Who cancels --------------------------------------------------------------------------- */

/* pirn_cell_cancel */
inline cancel_cell(through) {
    if
    :: (through) && parked -> told(); parked = false
    :: (through) && !parked -> cancel = true
    :: else
    fi
}

proctype asker() {
    byte n = 0;
    do
    :: n == 2 -> break
    :: atomic { n < 2 && !ended -> n++; asked = true; requested = true;
#ifdef BUG_ASK_THROUGH
          cancel_cell(true)
#else
          cancel_cell(depth == 0)
#endif
       }
    :: break
    od
}

proctype hitter(byte i) {
end:
    atomic { open[i] && !lock[i] -> lock[i] = true } /* any time, or never */
#ifndef BUG_HIT_CLOSED
    if
    :: closed[i] -> goto done
    :: else
    fi;
#endif
#ifndef BUG_HIT_LATE
    hit[i] = true;
#endif
    atomic {
#ifdef BUG_THROUGH_ALL
        cancel_cell(true);
#else
        cancel_cell(under[i] >= depth);
#endif
        over[i] = true
    }
#ifdef BUG_HIT_LATE
    hit[i] = true;
#endif
done: lock[i] = false
}

/* ---- The task ------------------------------------------------------------------------------- */

/* pirn_task_relevel: the depth is its own, the bounds' hits are looked at one by one, from within */
inline relevel() {
    k = inside;
    by_bound = false;
    do
    :: k == 0 -> break
    :: k > 0 -> k--;
       if
       :: under[k] < depth -> break
       :: under[k] >= depth && hit[k] -> cancel = true; by_bound = true; break
       :: else
       fi
    od;
    k = 0
}

inline leave() {
    b = inside - 1;
    atomic { !lock[b] -> lock[b] = true }
    closed[b] = true;
    lock[b] = false;
    inside--;
    if
    :: hit[b] ->
#ifndef BUG_LEAVE_PENDING
       atomic { /* forget_bounds */
           if
#ifdef BUG_LEAVE_ALL
           :: cancel -> cancel = false; requested = false
#else
           :: cancel && (!requested || depth != 0) -> cancel = false
#endif
           :: else
           fi
       }
#endif
       relevel()
    :: else
    fi
}

/* pirn_wait_keep_cancel: the call has happened, and has not told what it took: among that was one that was asked. */
inline keep(one) {
    relevel();
    atomic {
        if
#ifdef BUG_KEEP_BLIND
        :: !by_bound ->
#else
        :: !by_bound || mark ->
#endif
           cancel = true; requested = true
        :: else
#ifdef BUG_KEEP_ALL
           -> cancel = true; requested = true
#endif
        fi;
        asked = asked || one
    }
}

/* A call that waits for what never comes: it must be told at once, or in the end. What it was told it reports, or
 * keeps, as it has happened; or it passes that on and waits on (an await, join.c), as often as it likes. */
inline call() {
    atomic { had = false; marks = false; passed = 0 }
wait:
    atomic {
        was_told = false;
        if /* pirn_wait_enter, and the park */
        :: cancel -> told(); was_told = true
        :: !cancel -> assert(passed != 0 || !MUST_BE_TOLD);
           if
           :: goto awake /* what it waited for is there */
           :: parked = true
           fi
        fi
    }
end:
    if
    :: was_told
    :: !was_told && !parked -> was_told = true /* by the one who ended it */
    :: atomic { parked && (passed != 0 || !MUST_BE_TOLD) -> parked = false; goto awake } /* it came */
    fi;
    if
    :: atomic { passed < PASSES -> passed++; marks = marks || mark; had = had || last; goto wait }
    :: goto reported
    :: keep(last) /* in an await: the end was first, nothing is passed on */
    fi;
awake:
    if
    :: passed != 0 -> /* the end of what it was passed on to, which has heard of it or not */
#ifndef BUG_KEEP_LAST
       mark = mark || marks;
#endif
       if
       :: keep(had)
       :: true
       fi
    :: else
    fi;
reported:
#ifndef BUG_TOLD_BLIND
    relevel();
#endif
    last = false;
    had = false
}

proctype task() {
    byte n = 0, k = 0, b = 0;
    bool was_told = false, by_bound = false, marks = false;
    do
    :: n == STEPS -> break
    :: n < STEPS -> n++;
       if
       :: depth < 2 -> /* pirn_task_shield */
          atomic {
              depth++;
#ifndef BUG_SHIELD_SHOWS
              cancel = false
#endif
          }
       :: depth > 0 && (inside == 0 || under[inside - 1] < depth) -> /* pirn_task_unshield */
          atomic {
              depth--;
              if
#ifndef BUG_SHIELD_FORGETS
              :: depth == 0 && requested -> cancel = true
#endif
              :: else
              fi
          }
#ifndef BUG_UNSHIELD_BLIND
          relevel()
#endif
       :: inside < BOUNDS && !open[inside] -> /* pirn_bound_enter */
          under[inside] = depth;
          inside++;
          open[inside - 1] = true
       :: inside > 0 && under[inside - 1] == depth -> leave()
       :: requested -> /* pirn_task_uncancel, of all */
          atomic { requested = false; cancel = false; asked = false }
#ifndef BUG_BACK_BLIND
          relevel()
#endif
       :: call()
       fi;
       atomic {
           assert(!(cancel && depth > 0 && inside == 0));
           assert(!(asked && depth == 0) || cancel || requested)
       }
    od;
    atomic {
        ended = true;
        assert(requested == asked);
        assert(inside > 0 || cancel == (requested && depth == 0))
    }
}

/* Once nobody can do anything, it does not sleep over a cancel. */
active proctype rest() {
    timeout -> assert(!parked || passed != 0 || !MUST_BE_TOLD)
}

init {
    atomic {
        run task();
        run asker();
        run hitter(0);
        run hitter(1)
    }
}
