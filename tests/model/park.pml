/*
 * The park/wake protocol of sched/idle.h, as runtime/find.c and runtime/queue.c use it: workers
 * that search, park in the kernel and are woken; threads from outside that push work and wake.
 *
 * Claim: whatever the interleaving, every task is run, even if one of them occupies its worker
 * until all others are done; and then everything comes to rest, with nobody counted as searching.
 * As it stands the model is checked for its states of rest; with -DLIVENESS, for coming to one.
 *
 * Each step is one atomic operation of the code. Promela's memory is sequentially consistent, which
 * is what the three fences of the protocol ask for; a missing fence is modelled by doing the two
 * steps it separates in the other order (LOOK_FIRST, WAKE_FIRST, EARLY_LOOK).
 *
 * A worker may hand its queue over to a peer that is awake (runtime/pace.c): it goes into the inject
 * queue, and the worker parks without looking there, if it then still sees a peer awake. In the
 * code it does so only to a peer that is calm; one that computes all the same is what the monitor
 * is for, so here is the one thing it does: it wakes somebody once injected work waits beside the
 * hog and something has been handed over.
 *
 * One liberty: a thief runs the first task it stole; the code puts it into the thief's queue, where
 * it can be stolen back before it is run. Two searchers could pass a task to and fro for ever, if
 * each were always the faster one.
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   NO_RECHECK    the worker does not look at the queues again after it said that it parks
 *   LOOK_FIRST    it looks before it says so
 *   WAKE_FIRST    the pusher looks for sleepers before its work is in the queue
 *   STILL_COUNTED the worker parks without ending its search
 *   NO_SHARE      a worker takes injected tasks and does not see to the rest
 *   NO_HANDOFF    the last searcher takes work and does not see to the rest
 *   EARLY_LOOK    it looks for the rest before it has ended its search
 *   UNDO_ONCE     a waker that found nobody does not look again whether one has parked meanwhile
 *   LOST_MESSAGE  a message sent before the wait has been entered is lost
 *   MESSAGE_EATEN who collects a peer's completions takes a wake-up along and does not send it again
 *   HANDED_BLINDLY  who has handed over parks without a look at the inject queue or the peers
 *   HANDED_EARLY  it looks whether a peer is awake before it says that it parks
 *   BUSY_IS_EMPTY who finds another at the inject queue parks as if it were empty
 *   NOT_COUNTED   a woken worker does not know that its waker has counted it as searching
 */
#ifdef BUG_HANDED_EARLY /* it takes two that hand over to each other */
#define EACH 1
#define COMPLETIONS 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef PUSHERS
#define PUSHERS 1
#endif
#ifndef EACH
#define EACH 2 /* tasks a pusher pushes */
#endif
#ifndef COMPLETIONS
#define COMPLETIONS 0 /* tasks that become ready in a worker's own ring */
#endif
#define TASKS (PUSHERS * EACH + COMPLETIONS)
#define LIMIT ((WORKERS + 1) / 2)

mtype = { AWAKE, PARKING, KERNEL, NOTIFIED };

mtype state[WORKERS] = AWAKE;
bool message[WORKERS]; /* in the worker's ring */
short searching = 0;
short parked = 0;
byte injected = 0;      /* tasks in the inject queue */
bool held = false;      /* its lock */
byte queue[WORKERS];    /* tasks in a worker's own */
byte ready[WORKERS];    /* tasks in its ring */
byte ran = 0;
bool hog = false;
byte handing = 0; /* how often something has been handed over */
#ifdef LIVENESS
byte waking = 0; /* how many are in wake_one */
#endif
#ifdef BUG_LOST_MESSAGE
bool asleep[WORKERS]; /* has entered the wait */
#endif

/* pirn_wake_one; i is the caller's, 0 before and after */
inline wake_one() {
#ifdef LIVENESS
    waking++;
#endif
    do
    :: parked <= 0 -> break
    :: parked > 0 ->
       if /* searching 0 -> 1 */
       :: atomic { searching == 0 -> searching = 1 }
       :: searching != 0 -> break
       fi;
       do /* pirn_parker_notify, one after the other */
       :: atomic { i < WORKERS && (state[i] == PARKING || state[i] == KERNEL) ->
             state[i] = NOTIFIED }
          parked--;
#ifdef BUG_LOST_MESSAGE
          message[i] = asleep[i];
#else
          message[i] = true;
#endif
          i = WORKERS + 1
       :: atomic { i < WORKERS && (state[i] == AWAKE || state[i] == NOTIFIED) -> i++ }
       :: i >= WORKERS -> break
       od;
       if
       :: i > WORKERS -> break
       :: i == WORKERS -> i = 0
       fi;
       searching--; /* pirn_idle_wake_undo */
#ifdef BUG_UNDO_ONCE
       break
#endif
    od;
#ifdef LIVENESS
    waking--;
#endif
    i = 0
}

inline inject() {
    atomic { !held -> held = true }
    atomic { injected++; held = false }
}

proctype pusher() {
    byte i = 0, n = 0;
    do
    :: n == EACH -> break
    :: else ->
#ifdef BUG_WAKE_FIRST
       wake_one();
       inject();
#else
       inject();
       wake_one();
#endif
       n++
    od
}

/* The kernel completes what somebody has waited for. */
proctype device() {
    byte n = 0;
    do
    :: n == COMPLETIONS -> break
    :: else ->
       if
       :: ready[0]++
       :: ready[1]++
       fi;
       n++
    od
}

/* Serves a worker's port for it, once: the wake-up it finds there may be needed yet. */
proctype collector() {
end: atomic { message[0] -> message[0] = false }
#ifndef BUG_MESSAGE_EATEN
    if
    :: state[0] != AWAKE -> message[0] = true
    :: state[0] == AWAKE
    fi
#endif
}

#define VICTIM ((me + i) % WORKERS)
#define OTHER ((me + 1) % WORKERS)

proctype worker(byte me) {
    byte i = 0, hand = 0;
    bool counted = false;
    bool sees = false; /* must see to it that somebody takes the rest */
    bool handed = false;
#ifdef BUG_EARLY_LOOK
    bool rest = false;
#endif
    mtype was = AWAKE;

find: /* look_around: its own ring, then a share of what was injected */
    atomic { hand = ready[me]; ready[me] = 0; queue[me] = queue[me] + hand; hand = 0 }
    if
    :: !counted && !sees && handing < WORKERS -> /* a few times are enough, and keep the model small */
       if
       :: atomic { queue[me] > 0 && state[OTHER] == AWAKE ->
             hand = queue[me]; queue[me] = 0; handing++ }
          atomic { injected = injected + hand; hand = 0 }
          handed = true;
#ifdef BUG_HANDED_EARLY
          if
          :: state[OTHER] != AWAKE -> handed = false
          :: state[OTHER] == AWAKE
          fi;
#endif
          goto park
       :: true
       fi
    :: else
    fi;

    if
    :: atomic { injected > 0 && !held -> held = true }
       atomic {
          if
          :: hand = 1
          :: hand = (injected + 1) / 2
          :: hand = injected
          fi;
          injected = injected - hand;
          held = false }
       atomic { queue[me] = queue[me] + hand; hand = 0; sees = true }
    :: injected > 0 && held /* it comes again */
#ifdef BUG_BUSY_IS_EMPTY
       ; handed = true; goto park
#endif
    :: injected == 0
    fi;
    if
    :: atomic { queue[me] > 0 -> queue[me]-- }
got:   /* end_search */
#ifdef BUG_NO_SHARE
       sees = false;
#endif
#ifdef BUG_EARLY_LOOK
       rest = (queue[me] > 0 || injected > 0);
#endif
       if
       :: counted ->
          counted = false;
#ifdef BUG_NO_HANDOFF
          searching--
#else
          atomic { searching--; sees = (sees || searching == 0) }
#endif
       :: else
       fi;
       if
#ifdef BUG_EARLY_LOOK
       :: sees && rest -> wake_one()
#else
       :: sees && (queue[me] > 0 || injected > 0) -> wake_one()
#endif
       :: else
       fi;
       sees = false;
       if /* the task */
       :: ran++
#if COMPLETIONS == 0 /* who serves a hog's ring is not modelled here */
       :: atomic { !hog -> hog = true }
          ran == TASKS - 1; /* it computes until all others are done */
          ran++
#endif
       fi;
       goto find
    :: queue[me] == 0
    fi;

    if /* search */
    :: counted
    :: !counted && searching >= LIMIT -> goto park
    :: !counted && searching < LIMIT -> searching++; counted = true
    fi;
    if
    :: injected > 0 -> goto find
    :: injected == 0
    fi;
    i = 1;
    do /* steal */
    :: atomic { i < WORKERS && queue[VICTIM] > 0 ->
          hand = (queue[VICTIM] + 1) / 2;
          queue[VICTIM] = queue[VICTIM] - hand;
          i = 0 }
       atomic { queue[me] = queue[me] + hand - 1; hand = 0 }
       goto got
    :: atomic { i < WORKERS && queue[VICTIM] == 0 -> i++ }
    :: atomic { i == WORKERS -> i = 0; break }
    od;

park:
#ifndef BUG_STILL_COUNTED
    if
    :: counted -> counted = false; searching--
    :: else
    fi;
#endif
#ifdef BUG_LOOK_FIRST
    if
    :: injected > 0 -> goto find
    :: injected == 0
    fi;
#endif
    state[me] = PARKING; /* pirn_parker_begin */
    parked++;
#if !defined(BUG_LOOK_FIRST) && !defined(BUG_NO_RECHECK)
    if /* work_in_sight */
#if defined(BUG_HANDED_BLINDLY) || defined(BUG_HANDED_EARLY)
    :: handed
#else
#ifdef BUG_BUSY_IS_EMPTY
    :: handed
#else
    :: handed && state[OTHER] == AWAKE
#endif
    :: handed && state[OTHER] != AWAKE && injected > 0 -> goto awake
    :: handed && state[OTHER] != AWAKE && injected == 0
#endif
    :: !handed && injected > 0 -> goto awake
    :: !handed && injected == 0
    fi;
    i = 1;
    do
    :: atomic { i < WORKERS && queue[VICTIM] > 0 -> i = 0; goto awake }
    :: atomic { i < WORKERS && queue[VICTIM] == 0 -> i++ }
    :: atomic { i == WORKERS -> i = 0; break }
    od;
#endif
    if /* pirn_parker_enter */
    :: atomic { state[me] == PARKING -> state[me] = KERNEL }
#ifdef BUG_LOST_MESSAGE
       asleep[me] = true;
#endif
end:   atomic { message[me] || ready[me] > 0 -> message[me] = false } /* the wait in the ring */
#ifdef BUG_LOST_MESSAGE
       asleep[me] = false
#endif
    :: state[me] != PARKING
    fi;

awake: /* pirn_parker_end */
    atomic { was = state[me]; state[me] = AWAKE }
    if
    :: was == NOTIFIED ->
#ifndef BUG_NOT_COUNTED
       counted = true
#else
       skip
#endif
    :: else -> parked--
    fi;
    was = AWAKE;
    handed = false;
    goto find
}

/* Looks once: a hog that runs while others sleep has its worker's share of the work taken. */
proctype monitor() {
    byte i = 0;
end: hog && handing > 0 && injected > 0;
    wake_one()
}

init {
    byte n = 0;
    atomic {
        do
        :: n == WORKERS -> break
        :: else -> run worker(n); n++
        od;
        n = 0;
        do
        :: n == PUSHERS -> break
        :: else -> run pusher(); n++
        od;
        run collector();
        run device();
        run monitor()
    }
}

#define AT_REST (ran == TASKS && searching == 0 && parked == WORKERS)

#ifndef LIVENESS
/* Once nobody can do anything, all must be done: a task while all sleep is a lost wake-up. */
active proctype rest() {
    timeout -> assert(AT_REST)
}
#else
/* And it comes to that, given that everybody gets to do its steps. A waker that found nobody looks
 * again as long as one has parked meanwhile; with a worker that parks and leaves again in step with
 * it that could go on for ever. Such runs are left out. */
 ltl rest { (<>[](waking == 0)) -> (<>[](AT_REST)) }
#endif
