/*
 * Places in a scope with a limit (api/scope/children.c), and its end (scope.c). A child runs; VISITORS tasks that are
 * no children spawn one each, and wait in the line for a place if there is none; each child may fail, which cancels
 * the scope; each wait in the line may end by a deadline or a cancel of its own, or has none. The opener closes the scope at any
 * time: it waits until nobody is in it, or gives up once and cancels it, and then frees it.
 *
 * Claim:
 *   - nobody looks at the scope once it is freed
 *   - never more children than the limit; and while the scope goes on nobody finds a place free as long as
 *     somebody waits who could have it: the order is that of arrival
 *   - all come to an end: no place is lost, nobody is left in the line, the opener is woken
 *   - at the end nobody is counted
 *
 * What is done under the scope's lock is an atomic block. A wait's cell is claimed by the object, or by its own
 * deadline or cancel, once (wait.pml); who has been claimed may run at once. Whom one wakes after the lock is of no
 * concern here.
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   GONE_EARLY     the opener waits for who runs alone, not for who stands in the line
 *   LAST_SILENT    who was the last in the line does not wake the opener
 *   PLACE_LOST     a place is given to whose wait had ended otherwise
 *   PLACE_KEPT     who was given a place, and finds the scope cancelled, keeps it
 *   PLACE_UNUSED   a spawn that fails has its place for ever
 *   COUNTED_OFF    who gives its place away is counted off as well
 *   FREE_FIRST     a place becomes free, and then somebody in the line is woken to take it
 *   NOT_SENT_HOME  who leaves a cancelled scope does not look at the line
 */
#ifndef VISITORS
#define VISITORS 3
#endif
#ifndef LIMIT
#define LIMIT 1
#endif
#define NONE 0
#define WAITS 1
#define CLAIMED 2
#define ENDED 3 /* by a deadline or a cancel */

byte running = 1, inside = 0; /* as in the scope; the first child has its place */
bool cancelling = false, over = false, freed = false;
chan line = [VISITORS] of { byte };
byte visitor[VISITORS]; /* its wait's cell */
bool placed[VISITORS];
byte closer = NONE;     /* the opener's */
bool closer_linked = false;
byte children = 1;      /* that there really are */

#ifdef BUG_GONE_EARLY
#define EMPTY (running == 0)
#else
#define EMPTY (running == 0 && inside == 0)
#endif
#define COULD(v) (visitor[v] == WAITS)

inline wake_closer() {
    if
    :: closer_linked ->
       closer_linked = false;
       if
       :: closer == WAITS -> closer = CLAIMED
       :: else
       fi
    :: else
    fi
}

/* leave, under the lock */
inline leave() {
    assert(!freed);
    given = false;
    if
    :: cancelling ->
#ifndef BUG_NOT_SENT_HOME
       do
       :: len(line) != 0 ->
          line?x;
          if
          :: visitor[x] == WAITS -> visitor[x] = CLAIMED
          :: else
          fi
       :: len(line) == 0 -> break
       od
#else
       skip
#endif
    :: else ->
       do
       :: len(line) != 0 && !given ->
          line?x;
          if
#ifdef BUG_PLACE_LOST
          :: visitor[x] != WAITS -> given = true
#endif
          :: visitor[x] == WAITS ->
             visitor[x] = CLAIMED;
#ifndef BUG_FREE_FIRST
             placed[x] = true;
#endif
             given = true
          :: else
          fi
       :: len(line) == 0 || given -> break
       od
    fi;
#if defined BUG_COUNTED_OFF || defined BUG_FREE_FIRST
    given = false;
#endif
    if
    :: !given ->
       running--;
       if
       :: EMPTY -> wake_closer()
       :: else
       fi
    :: else
    fi;
    x = 0;
    given = false
}

proctype child() {
    byte x = 0;
    bool given = false;
    if
    :: atomic { assert(!freed); cancelling = true } /* it fails: pirn_scope_note_failure */
    :: skip
    fi;
    atomic {
        children--;
        leave()
    }
}

proctype visits(byte v) {
    byte x = 0;
    bool given = false, late = false, patient = false;
    if
    :: patient = true
    :: skip
    fi;
again:
    atomic { /* take_place; nobody comes who has not been told of the scope in time */
        if
        :: over -> goto done
        :: !over && cancelling -> goto done
        :: !over && !cancelling && running < LIMIT ->
           for (x : 0 .. VISITORS - 1) {
               assert(!COULD(x))
           }
           x = 0;
           running++;
           goto place
        :: !over && !cancelling && running >= LIMIT ->
           inside++;
           placed[v] = false;
           visitor[v] = WAITS;
           line!v
        fi
    }
    if /* parked */
    :: visitor[v] == CLAIMED
    :: atomic { visitor[v] == WAITS && !patient -> visitor[v] = ENDED }
    fi;
    atomic { /* wait_for_place */
        assert(!freed);
        if
        :: line??[eval(v)] -> line??eval(v)
        :: !line??[eval(v)]
        fi;
        inside--;
        late = visitor[v] == CLAIMED && cancelling;
        if
#ifndef BUG_PLACE_KEPT
        :: late && placed[v] -> leave()
#endif
#ifndef BUG_LAST_SILENT
        :: !(late && placed[v]) && EMPTY -> wake_closer()
#endif
        :: else
        fi;
        if
        :: late || visitor[v] == ENDED -> visitor[v] = NONE; goto done
        :: else -> visitor[v] = NONE
        fi
    }
#ifdef BUG_FREE_FIRST
    goto again;
#endif
    assert(placed[v]);
place:
    if
    :: atomic { /* pirn_task_spawn: the child is adopted */
           assert(!freed);
           children++;
           assert(children <= LIMIT);
           run child()
       }
#ifdef BUG_PLACE_UNUSED
    :: skip
#else
    :: atomic { leave() } /* or cannot be */
#endif
    fi;
done: skip
}

proctype opener() {
    byte x = 0;
    bool given = false, gave_up = false;
    if
    :: gave_up = true /* it never does */
    :: skip
    fi;
    do
    :: true ->
       atomic {
           over = EMPTY;
           if
           :: over -> break
           :: else -> closer = WAITS; closer_linked = true
           fi
       }
       if /* parked */
       :: closer == CLAIMED
       :: atomic { closer == WAITS && !gave_up -> closer = ENDED }
       fi;
       atomic {
           closer_linked = false;
           if
           :: closer == ENDED -> /* pirn_scope_cancel */
              gave_up = true;
              cancelling = true;
              running++
           :: else
           fi
       }
       if
       :: closer == ENDED -> atomic { leave() }
       :: else
       fi;
       closer = NONE
    od;
    assert(running == 0 && inside == 0 && children == 0);
    freed = true
}

init {
    byte v;
    atomic {
        run child();
        for (v : 0 .. VISITORS - 1) {
            run visits(v)
        }
        run opener()
    }
}
