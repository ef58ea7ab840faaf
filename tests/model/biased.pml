/*
 * The biased lock (sched/biased.h) on a machine with store buffers, as x86-64 has them: a store is
 * put into its processor's buffer and reaches memory later, in order; a read-modify-write waits until
 * the buffer is empty; a remote fence empties everybody's.
 *
 * One owner enters ROUNDS times and may take the bias back each time it came in by the lock; THIEVES
 * try a few times each, and any fence may be refused them. Nobody is ever inside beside another.
 *
 * Mistakes, each refuted when built with -DBUG_NAME:
 *   NO_FENCE       the thief revokes without the remote fence
 *   FENCE_REFUSED  a thief goes on although the fence was refused
 *   TRUST_ASKED    a thief takes what another has asked for without a fence for revoked
 *   NO_WAIT        the thief does not wait for the owner to be out
 *   REVOKE_ONCE    a thief that finds the bias revoked trusts that the owner is out
 *   STAY_IN        the owner that sees the bias revoked goes in all the same
 */
#define ROUNDS 3
#define TRIES 2
#ifndef THIEVES
#define THIEVES 2
#endif

#define SHARED 0
#define BIASED 1
#define ASKED 2

mtype = { OWNER_IN, MODE, LOCK };

byte owner_in, mode = BIASED, lock; /* memory */
byte inside;
chan buffer = [5] of { mtype, byte }; /* the owner's stores on their way */

inline commit() {
    mtype place;
    byte value;
    buffer ? place, value;
    if
    :: place == OWNER_IN -> owner_in = value
    :: place == MODE -> mode = value
    :: place == LOCK -> lock = value
    fi
}

/* The owner reads its own latest store, if one is on its way. Only mode matters here; SHARED and ASKED
 * are the same to it. */
inline read_mode(seen) {
    atomic {
        if
        :: buffer ?? [MODE, BIASED] -> seen = BIASED
        :: else -> seen = mode
        fi
    }
}

inline section() {
    inside++;
    assert(inside == 1);
    inside--
}

active proctype Memory() {
end:
    do
    :: atomic { nempty(buffer) -> commit() }
    od
}

active proctype Owner() {
    byte round, seen;
    do
    :: round < ROUNDS ->
        round++;
        buffer ! OWNER_IN, 1;
        read_mode(seen);
#if BUG_STAY_IN
        seen = BIASED;
#endif
        if
        :: seen == BIASED ->
            section();
            buffer ! OWNER_IN, 0
        :: else ->
            buffer ! OWNER_IN, 0;
            atomic { empty(buffer) && lock == 0 -> lock = 1 } /* read-modify-write */
            if
            :: mode == ASKED -> buffer ! MODE, SHARED
            :: else -> skip
            fi;
            if
            :: true -> buffer ! MODE, BIASED /* takes the bias back, still under the lock */
            :: true -> skip
            fi;
            section();
            buffer ! LOCK, 0
        fi
    :: else -> break
    od
}

active [THIEVES] proctype Thief() {
    byte try;
    bool revoked;
    do
    :: try < TRIES ->
        try++;
        if
        :: atomic { lock == 0 -> lock = 1 }
            revoked = false;
            if
#if BUG_TRUST_ASKED
            :: mode == BIASED ->
#else
            :: mode != SHARED ->
#endif
                mode = ASKED;
                revoked = true;
                if
                :: true ->
#if !BUG_NO_FENCE
                    atomic {
                        do
                        :: len(buffer) > 0 -> commit()
                        :: else -> break
                        od
                    };
#endif
                    mode = SHARED
#if BUG_FENCE_REFUSED
                :: true -> skip
#else
                :: true -> goto out
#endif
                fi
            :: else -> skip
            fi;
#if BUG_NO_WAIT
            section();
#else
#if BUG_REVOKE_ONCE
            if
            :: !revoked || owner_in == 0 -> section()
            :: true -> skip
            fi;
#else
            if
            :: owner_in == 0 -> section()
            :: true -> skip /* waited long enough: gives up, the mode stays SHARED */
            fi;
#endif
#endif
out:        lock = 0
        :: lock != 0 -> skip
        fi
    :: else -> break
    od
}
