/*
 * Selects that face each other (api/channel/select.c): two channels of capacity 0, two players that
 * want to send one item and two that want to receive one, each on either channel, in either order, or
 * on one channel only (a plain send or receive). One receiver may be cancelled while it waits.
 *
 * Claims: who sends and who receives are matched one to one; who was cancelled has exchanged nothing;
 * nobody returns with a party left in a list; no circle of locks; in the end no sender and receiver
 * wait for each other on the same channel.
 *
 * A step is one atomic operation of the code, or something done under a lock that is held and that
 * nobody else looks at without it. All parties of a player share its cell, parked[].
 *
 * Mistakes to be found, one at a time, by -DBUG_...:
 *   NO_ORDER      the locks are taken in the order of the cases
 *   ONE_BY_ONE    a case is looked at and linked under its own lock before the next is locked
 *   LATE_LINK     all are looked at under all locks, and linked under each lock alone afterwards
 *   NO_CLAIM      a party that is found in a list is taken without claiming its cell
 *   NO_UNLINK     the parties of the cases that did not go stay in their lists
 */
#define PLAYERS 4
#define SENDS(p) ((p) < 2)
#define CANCELLED 3 /* the player that may be */
#define AT(ch, p) ((ch) * PLAYERS + (p))

bool lock[2];
bool linked[2 * PLAYERS]; /* a party is in that channel's list */
bool parked[PLAYERS];     /* its wait can be claimed */
byte met[PLAYERS];        /* exchanges it has taken part in */

inline take(ch) { atomic { !lock[ch] -> lock[ch] = true } }
inline drop(ch) { lock[ch] = false }

/* Under ch's lock: pops the other side's parties until one is claimed. */
inline look(ch) {
    peer = 0;
    do
    :: peer == PLAYERS -> break
    :: peer < PLAYERS && (!linked[AT(ch, peer)] || SENDS(peer) == SENDS(me)) -> peer++
    :: peer < PLAYERS && linked[AT(ch, peer)] && SENDS(peer) != SENDS(me) ->
       linked[AT(ch, peer)] = false;
       atomic {
           if
#ifdef BUG_NO_CLAIM
           :: true ->
#else
           :: parked[peer] ->
#endif
              parked[peer] = false; met[peer]++; met[me]++; gone = true; break
#ifndef BUG_NO_CLAIM
           :: else
#endif
           fi
       }
    od
}

inline link(ch) { linked[AT(ch, me)] = true }
inline unlink(ch) { take(ch); linked[AT(ch, me)] = false; drop(ch) }

proctype player(byte me; byte first; bool both) {
    byte peer = 0, second = 1 - first;
    bool gone = false, cancelled = false;
#ifdef BUG_ONE_BY_ONE
    parked[me] = true;
    take(first);
    look(first);
    if :: !gone -> link(first) :: else fi;
    drop(first);
    if
    :: !gone && both ->
       take(second);
       look(second);
       if :: !gone -> link(second) :: else fi;
       drop(second)
    :: else
    fi;
    if :: gone -> parked[me] = false; goto unlinks :: else fi;
#else
    if
    :: !both -> take(first)
#ifdef BUG_NO_ORDER
    :: both -> take(first); take(second)
#else
    :: both -> take(0); take(1)
#endif
    fi;
    look(first);
    if :: both && !gone -> look(second) :: else fi;
    if
    :: gone -> skip
#ifdef BUG_LATE_LINK
    :: else ->
       parked[me] = true;
       drop(first);
       if :: both -> drop(second) :: else fi;
       take(first); link(first); drop(first);
       if :: both -> take(second); link(second); drop(second) :: else fi;
       goto waits
#else
    :: else -> /* seen by nobody before a lock is dropped */
       atomic { parked[me] = true; link(first); if :: both -> link(second) :: else fi }
#endif
    fi;
    drop(first);
    if :: both -> drop(second) :: else fi;
    if :: gone -> goto over :: else fi;
#endif
waits:
end_waits:
    if
    :: !parked[me]
    :: me == CANCELLED -> /* a cancel claims too, or comes too late */
       atomic { if :: parked[me] -> parked[me] = false; cancelled = true :: else fi }
    fi;
unlinks:
#ifndef BUG_NO_UNLINK
    unlink(first);
    if :: both -> unlink(second) :: else fi;
#endif
over:
    assert(met[me] == (cancelled -> 0 : 1));
    assert(!linked[AT(0, me)] && !linked[AT(1, me)])
}

/* Nobody moves any more: is anybody left that should have met? */
#define MISSED(ch, s, r) \
    (parked[s] && parked[r] && linked[AT(ch, s)] && linked[AT(ch, r)])

init {
    byte first[PLAYERS];
    bool both[PLAYERS];
    byte i = 0;
    atomic {
        do
        :: i < PLAYERS ->
           if :: first[i] = 0 :: i > 0 -> first[i] = 1 fi; /* the channels are alike */
           if :: both[i] = false :: both[i] = true fi;
           i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < PLAYERS -> run player(i, first[i], both[i]); i++
        :: else -> break
        od
    }
end_init:
    timeout ->
        assert(!MISSED(0, 0, 2) && !MISSED(0, 0, 3) && !MISSED(0, 1, 2) && !MISSED(0, 1, 3));
        assert(!MISSED(1, 0, 2) && !MISSED(1, 0, 3) && !MISSED(1, 1, 2) && !MISSED(1, 1, 3));
        assert(!lock[0] && !lock[1])
}
