/*
 * Timers that are cancelled without the port's lock (io/deadlines.h): two timers, each with a
 * program that cancels it at any time and frees it then, be it on the thread of the port's owner or
 * not, and one or two who collect. A call that is due may be refused once, and is pushed again,
 * into any free node.
 *
 * Claims: a timer that is freed is not looked at. Each is called or cancelled, and its program
 * knows which. When both are gone the port says that there is no deadline: nobody is woken for what
 * has been dropped, nor does it hide that nothing can happen any more.
 *
 * Each step is one atomic operation, or what the lock covers.
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   PLAIN_TAKE    who makes the call takes the word by a load and a store
 *   NO_LOCK       a program that could not drop its timer does not wait for the lock
 *   ANY_WORD      a program drops whatever is in the node that was its timer's
 *   NO_LOOK       a program does not look whether its timer was the first
 *   NO_NOTE       one on the port's own thread does not, which would leave it to the owner
 *   NO_WAKE       who puts off the rest of them does not wake the owner
 *   LOOK_FIRST    who publishes the first deadline looks whether it was dropped before that
 */
#define NODES 3
#define NEVER 9
#define DROPPED 8 /* a word: 0 free, else the timer's number, and this */
#ifndef COLLECTORS
#define COLLECTORS 1
#endif
#ifndef ROUNDS
#define ROUNDS 3
#endif

byte word[NODES], at[NODES];
byte slot[3], deadline[3];
bool armed[3], freed[3], called[3], cancelled[3], refused[3];
byte next = 1;
bool lock = false;
bool first_dropped = false; /* the owner's note to himself, before he sleeps */
bool put_off = false; /* the port is due, as more has to be taken out than is in one go */
bool woken = false;   /* the owner, for that */
byte gone = 0;

/* Under the lock: f is the first node, NODES if there is none. */
inline find_first(f) {
    d_step {
        f = NODES; i = 0;
        do
        :: i == NODES -> break
        :: else ->
           if
           :: word[i] != 0 && (f == NODES || at[i] < at[f]) -> f = i
           :: else
           fi;
           i++
        od;
        i = 0
    }
}

inline publish(f) {
    do
    :: find_first(f);
       if :: f == NODES -> next = NEVER; break :: else fi;
#ifdef BUG_LOOK_FIRST
       was = (word[f] & DROPPED) != 0;
       next = at[f];
#else
       next = at[f];
       was = (word[f] & DROPPED) != 0;
#endif
       if
       :: was ->
          word[f] = 0;
          if
          :: true
          :: true -> next = 0; put_off = true; break
          fi
       :: else -> break
       fi
    od
}

/* By who may not be the owner. (A collector who is goes on himself.) */
inline unlock() {
    d_step {
#ifndef BUG_NO_WAKE
        woken = woken || put_off;
#endif
        put_off = false;
        lock = false
    }
}

/* Under the lock: timer t into any free node. */
inline push(t) {
    do
    :: n < NODES - 1 && word[n + 1] == 0 -> n++
    :: n < NODES - 1 && word[n] != 0 -> n++
    :: word[n] == 0 -> break
    od;
    at[n] = deadline[t];
    slot[t] = n;
    word[n] = t;
    n = 0
}

inline expire(f) {
    t = word[f];
    got = false;
    if
    :: (t & DROPPED) != 0 -> word[f] = 0
    :: else ->
#ifdef BUG_PLAIN_TAKE
       word[f] = 0;
       got = true;
#else
       atomic { if :: word[f] == t -> word[f] = 0; got = true :: else -> word[f] = 0 fi }
#endif
    fi;
    if
    :: got ->
       assert(!freed[t]);
       if
       :: !refused[t] ->
          refused[t] = true;
          deadline[t] = deadline[t] + 2;
          assert(!freed[t]);
          push(t)
       :: true ->
          called[t] = true;
          assert(!freed[t]);
          armed[t] = false
       fi
    :: else
    fi;
    got = false
}

proctype collector() {
    byte f = 0, i = 0, n = 0, t = 0, round = 0;
    bool was = false, got = false;
    do
    :: round == ROUNDS -> break
    :: round < ROUNDS ->
       atomic { !lock -> lock = true }
       if
       :: true -> /* sweeps, and publishes nothing */
          if
          :: (word[0] & DROPPED) != 0 -> word[0] = 0
          :: (word[1] & DROPPED) != 0 -> word[1] = 0
          :: else
          fi
       :: true ->
          find_first(f);
          do
          :: f != NODES -> expire(f); find_first(f)
          :: true -> break
          od;
          publish(f)
       fi;
       f = 0; t = 0; was = false;
       unlock();
       round++
    od
}

proctype program(byte me; bool own) {
    byte f = 0, i = 0, n = 0;
    bool was = false;
    if
    :: !own && next == deadline[me] -> goto locked /* it would have to be taken out at once */
    :: else
    fi;
    n = slot[me];
    atomic {
#ifdef BUG_ANY_WORD
        if :: word[n] != 0 && (word[n] & DROPPED) == 0 ->
#else
        if :: word[n] == me ->
#endif
              word[n] = word[n] | DROPPED; was = true
           :: else
        fi
    }
    if
    :: was ->
       armed[me] = false;
       cancelled[me] = true;
#ifndef BUG_NO_LOOK
       if
       :: next == deadline[me] && !own ->
          atomic { !lock -> lock = true }
          publish(f);
          unlock()
       :: next == deadline[me] && own ->
#ifndef BUG_NO_NOTE
          first_dropped = true
#else
          skip
#endif
       :: else
       fi
#endif
    :: else ->
locked:
#ifndef BUG_NO_LOCK
       atomic { !lock -> lock = true }
#endif
       cancelled[me] = armed[me];
       if
       :: armed[me] -> /* it had been pushed again */
          armed[me] = false;
          if
          :: word[slot[me]] == me -> word[slot[me]] = 0
          :: else
          fi;
          if :: next == deadline[me] -> publish(f) :: else fi
       :: else
       fi;
#ifndef BUG_NO_LOCK
       unlock()
#endif
    fi;
    atomic {
        assert(called[me] != cancelled[me]);
        freed[me] = true;
        gone++
    }
}

init {
    byte c = 0, f = 0, i = 0;
    bool was = false;
    atomic {
        word[0] = 1; at[0] = 1; slot[1] = 0; deadline[1] = 1; armed[1] = true;
        word[1] = 2; at[1] = 2; slot[2] = 1; deadline[2] = 2; armed[2] = true;
        do :: c < COLLECTORS -> run collector(); c++ :: else -> break od;
        if :: run program(1, true) :: run program(1, false) fi;
        if :: run program(2, true) :: run program(2, false) fi
    }
    (_nr_pr == 1);
    do /* the port's owner is about to sleep, or has been woken, and goes on until it is through */
    :: first_dropped || woken ->
       first_dropped = false;
       publish(f);
       woken = put_off;
       put_off = false
    :: else -> break
    od;
    assert(next == NEVER)
}
