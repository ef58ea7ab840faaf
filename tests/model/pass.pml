/*
 * A cancel passed on to a child that runs on its awaiter's stack (runtime/in_place.c): one awaiter
 * that runs two children one after the other, and two cancellers of the awaiter at any time.
 *
 * Claim: a request that is made is answered afterwards: a child takes it, or the await says that it
 * was cancelled, or it is pending in the awaiter at the end. Two that are made before the first is
 * answered may be answered as one.
 *
 * Each step is one atomic operation of the code. A canceller holds a reference to the child it has
 * found, so the child stays what it is, but it may have ended.
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   NO_LOCK       a canceller marks and cancels without the child's lock
 *   NO_LOOK       a canceller that has the lock does not look again whose child runs
 *   NO_FENCE      the awaiter looks at its word before it says that the child is its own no more
 *   KEPT_MARK     a new request keeps the mark of one that was passed on
 */
bool cancel = false, passed = false; /* the awaiter's word */
byte inner = 0;
bool has[3];  /* a child's word: a cancel is pending there */
bool lock[3];
bool asked = false; /* a request that nobody has answered */
bool over = false;

proctype canceller() {
    byte c = 0;
    atomic { /* pirn_cell_cancel */
        if :: over -> goto done :: else fi;
        asked = true; cancel = true;
#ifndef BUG_KEPT_MARK
        passed = false
#endif
    }
    c = inner;
    if :: c == 0 -> goto done :: else fi;
#ifndef BUG_NO_LOCK
    atomic { !lock[c] -> lock[c] = true }
#endif
#ifndef BUG_NO_LOOK
    if :: inner != c -> goto drop :: else fi;
#endif
    atomic { /* pirn_cell_pass_cancel */
        if :: !cancel -> goto drop :: else fi;
        passed = true
    }
    has[c] = true;
drop: lock[c] = false;
done: skip
}

inline answer() { asked = false }

proctype awaiter() {
    byte me = 1;
    bool cancelled = false, pending = false;
    do
    :: me == 3 -> break
    :: else ->
       inner = me;
       if
       :: !cancel -> goto runs
       :: cancel -> skip
       fi;
       atomic { !lock[me] -> lock[me] = true }
       atomic { if :: cancel -> passed = true; has[me] = true :: else fi }
       lock[me] = false;
runs:  cancelled = false;
       if /* the child's own course: it looks, or it does not */
       :: atomic { has[me] -> has[me] = false; answer(); cancelled = true }
       :: atomic { has[me] -> has[me] = false; answer() } /* it takes it, and goes on */
       :: true
       fi;
#ifdef BUG_NO_FENCE
       pending = cancel;
       inner = 0;
#else
       inner = 0;
       pending = cancel;
#endif
       if
       :: pending ->
          atomic { !lock[me] -> lock[me] = true }
          if
          :: !passed -> skip
          :: passed && !cancelled && has[me] -> passed = false
          :: passed && (cancelled || !has[me]) ->
             atomic { /* pirn_cell_take_passed */
                 if
                 :: passed ->
                    cancel = false; passed = false;
                    if :: cancelled -> answer() :: else fi
                 :: else
                 fi
             }
          fi;
          lock[me] = false
       :: else
       fi;
       me++
    od;
    atomic {
        over = true;
        if :: cancel -> cancel = false; answer() :: else fi;
        assert(!asked)
    }
}

init {
    atomic { run awaiter(); run canceller(); run canceller() }
}
