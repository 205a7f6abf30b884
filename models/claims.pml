/*
 * Competing consumers on one lane: take, settle, give back, advance, recovery. Every shared load, store and CAS is one step,
 * except where the one who takes it is the only one that may write the word (who has the hold; who owns the record).
 * Bounds: RECORDS records through a lane with room for ROOM, one producer, two consumers. Budgets, all 0 unless given: NACKS,
 * RELEASES, CANCELS (a consumer stops wanting), HOARDS (one keeps its records for ever), DEATH (of consumer 1), RDEATH (of a recoverer), STOP (of consumer 2, for
 * ever), REBIRTH (of consumer 1's slot). The two consumers do the same, so that it does not matter which one dies.
 * Wrong on purpose, and refuted: the WRONG_… variants; scripts/check-models.mjs lists them.
 */

#ifndef RECORDS
#define RECORDS 3
#endif
#ifndef ROOM
#define ROOM 2
#endif
#ifndef NACKS
#define NACKS 0
#endif
#ifndef RELEASES
#define RELEASES 0
#endif
#ifndef HOARDS
#define HOARDS 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif

/* A record's flags: claimed | settled | returned, the owner's slot, the deliveries before the present one. */
#define CLAIMED 0
#define SETTLED 1
#define RETURNED 2
#define FLAGS(state, owner, deliveries) ((state) + (owner) * 4 + (deliveries) * 16)
#define AT(i) flags[(i) % ROOM]
#define STATE(i) (AT(i) % 4)
#define OWNER(i) ((AT(i) / 4) % 4)
#define DELIVERIES(i) (AT(i) / 16)

byte flags[ROOM];
byte tail, head, taken;
byte hold;              /* 0, a consumer's mark, or RECOVERER */
bool returned;

/* Marks: 1 and 2, and 3 for whoever takes the slot of 1 after it. The slot of a mark: */
#define RECOVERER 4
#define SLOT(mark) (mark == 3 -> 1 : mark)

/* The doorbell, whose own steps doorbell.pml checks: here a ring wakes whoever is parked when it is struck. */
#define AWAKE 0
#define PARKED 1
#define RUNG 2
byte bell[4];
bool signal[4];
byte producerBell;
bool producerSignal;

bool dead, stopped;     /* consumer 1; consumer 2 */
bool free;              /* consumer 1's slot, after its recovery */
byte nacks = NACKS, releases = RELEASES, cancels = CANCELS, hoards = HOARDS;

/* What nobody in the program sees: who has a message, how often it ended unacked in a consumer's hands, and who is done. */
byte has[RECORDS];
byte before[RECORDS];
bool acked[RECORDS];
bool idle[4], keeps[4];

inline deliver(i)
{
  assert(has[i] == 0);
  assert(!acked[i]);
  assert(DELIVERIES(i) == before[i]);
  has[i] = me
}

inline ack(i)
{
  assert(has[i] == me && !acked[i]);
  acked[i] = true;
  has[i] = 0
}

/* --- ringing --------------------------------------------------------------------------------------------------------- */

/* A dead one, or a stopped one, swallows it. */
inline strike(c)
{
  atomic {
    signal[c] = true;
    if
    :: bell[c] == PARKED -> bell[c] = RUNG
    :: else
    fi
  }
}

/* One consumer that is parked, not oneself: the bells are loaded one by one, in any order. */
inline ringOne()
{
  if
#ifdef REBIRTH
  :: me != 3 && bell[3] == PARKED -> strike(3)
#endif
  :: me != 1 && bell[1] == PARKED -> strike(1)
  :: me != 2 && bell[2] == PARKED -> strike(2)
  :: me == 1 && bell[2] != PARKED
  :: me == 2 && bell[1] != PARKED && (!free || bell[3] != PARKED)
  :: me == 3 && bell[2] != PARKED
  :: (me == 0 || me == RECOVERER) && bell[1] != PARKED && (!free || bell[3] != PARKED) ->
     if
     :: bell[2] == PARKED -> strike(2)
     :: bell[2] != PARKED
     fi
  :: (me == 0 || me == RECOVERER) && bell[2] != PARKED ->
     if
     :: bell[1] == PARKED -> strike(1)
#ifdef REBIRTH
     :: bell[3] == PARKED -> strike(3)
#endif
     :: bell[1] != PARKED && (!free || bell[3] != PARKED)
     fi
  fi
}

inline ringProducer()
{
  if
  :: producerBell == PARKED ->
     atomic {
       producerSignal = true;
       if
       :: producerBell == PARKED -> producerBell = RUNG
       :: else
       fi
     }
  :: producerBell != PARKED
  fi
}

/* Something to take? FINE loads the words one by one; else a look is one step, as each word alone decides. */
#ifdef FINE
inline lookAtLane()
{
  h = taken;
  if
  :: tail != h -> found = true
  :: tail == h -> found = returned
  fi;
  h = 0
}
#else
inline lookAtLane()
{
  found = (tail != taken || returned)
}
#endif

inline passOn()
{
  lookAtLane();
  if
  :: atomic { found -> found = false }; ringOne()
  :: !found
  fi
}

/* --- the head -------------------------------------------------------------------------------------------------------- */

inline storeHead()
{
  moved = moved || h != head;
  do
  :: head < h -> assert(acked[head]); head++
  :: else -> break
  od;
  h = 0
}

/* With the hold: from h over what is settled; then let go. */
inline walkAndRelease()
{
  do
  :: h < taken && STATE(h) == SETTLED -> h++
  :: atomic { h == taken || STATE(h) != SETTLED -> storeHead() }; break
  od;
  hold = 0
}

/* At head = taken the slot holds what it held a lap ago, and that is settled. */
#ifdef WRONG_LAST_LAP
#define SETTLED_LEFT(h) (STATE(h) == SETTLED)
#else
#define SETTLED_LEFT(h) (h != taken && STATE(h) == SETTLED)
#endif

/* After every release of the hold: what others left to its holder. */
inline recheck(rings)
{
#ifndef WRONG_NO_RECHECK
  do
  :: h = head;
     if
     :: atomic { !SETTLED_LEFT(h) -> h = 0 }; break
     :: SETTLED_LEFT(h) ->
        if
        :: atomic { hold == 0 -> hold = me; h = head };
           walkAndRelease()
        :: atomic { hold != 0 -> h = 0 }; break
        fi
     fi
  od;
#endif
#ifdef WRONG_ADVANCE_SILENT
  if
  :: rings -> passOn()
  :: !rings
  fi;
#else
  passOn();
#endif
  if
  :: atomic { moved -> moved = false }; ringProducer()
  :: !moved
  fi
}

/* --- a consumer ------------------------------------------------------------------------------------------------------ */

inline claim(i)
{
  AT(i) = FLAGS(CLAIMED, SLOT(me), DELIVERIES(i))
}

/* With the hold. What was returned comes first: whoever stores the hint has stored the record's flags. */
inline takeReturned()
{
  if
  :: !returned
  :: returned ->
     atomic { returned = false; h = head };
     do
     :: atomic { h < taken && STATE(h) == RETURNED && n < ROOM -> claim(h); deliver(h); h++; n++ }
     :: h < taken && STATE(h) != RETURNED -> h++
     :: atomic { h < taken && STATE(h) == RETURNED && n > 0 -> h = 0 }; returned = true; break
     :: atomic { h == taken -> h = 0 }; break
     od
  fi
}

inline storeTaken()
{
  do
  :: taken < h -> deliver(taken); taken++
  :: else -> break
  od;
  h = 0;
  n = 0
}

/* Nobody else looks at records from taken on: the owners of a batch are one step, the store of taken is another. */
inline takeFresh()
{
#ifdef WRONG_TAKEN_FIRST
  if
  :: atomic { taken < tail && n < ROOM -> h = taken; taken++; deliver(h) };
     claim(h)
  :: taken == tail || n > 0
  fi;
  atomic { h = 0; n = 0 }
#else
  atomic {
    h = taken;
    do
    :: h < tail && n < ROOM -> claim(h); h++; n++
    :: h == tail || n > 0 -> break
    od
  };
  atomic { storeTaken() }
#endif
}

inline takeWithHold()
{
  takeReturned();
  takeFresh();
  hold = 0;
  recheck(true)
}

inline giveBack(more)
{
  assert(has[i] == me);
  AT(i) = FLAGS(RETURNED, 0, DELIVERIES(i) + more);
  has[i] = 0;
  before[i] = before[i] + more;
  i = 0
}

inline pick()
{
  if
  :: has[0] == me -> i = 0
  :: has[1] == me -> i = 1
#if RECORDS > 2
  :: has[2] == me -> i = 2
#endif
  fi
}

#if RECORDS > 2
#define HAS_ANY (has[0] == me || has[1] == me || has[2] == me)
#else
#define HAS_ANY (has[0] == me || has[1] == me)
#endif

inline settle()
{
  if
  :: /* By its flag; the head is left to whoever has the hold. */
     atomic { pick(); AT(i) = FLAGS(SETTLED, SLOT(me), DELIVERIES(i)); ack(i); i = 0 };
     if
     :: atomic { hold == 0 -> hold = me; h = head };
        walkAndRelease();
        recheck(false)
     :: hold != 0
     fi
  :: /* One or two from the head on: no flags, the head tells it all. Theirs is the record at head, so it stays there. */
     atomic {
       hold == 0 && head < RECORDS && has[head] == me -> hold = me; h = head + 1;
       if
       :: h < RECORDS && has[h] == me -> h++
       :: true
       fi;
       n = h
     };
     do
     :: h < taken && STATE(h) == SETTLED -> h++
     :: atomic {
          h == taken || STATE(h) != SETTLED -> i = head;
          do
          :: i < n -> ack(i); i++
          :: else -> break
          od;
          i = 0;
          n = 0;
          storeHead()
        };
        break
     od;
     hold = 0;
     recheck(false)
#if NACKS + RELEASES > 0
  :: /* Gives it back: the record first, then the hint. */
#ifdef WRONG_HINT_FIRST
     returned = true;
#endif
     atomic {
       nacks + releases > 0 -> pick();
       if
       :: nacks > 0 -> nacks--; giveBack(1)
       :: releases > 0 -> releases--; giveBack(0)
       fi
     };
#ifndef WRONG_HINT_FIRST
     returned = true;
#endif
     ringOne()
#endif
  fi
}

/* What only the safety timer would find. A stop explains it; a death does not, as its recovery has looked. */
#define LEFT(i) (i < taken && (STATE(i) == RETURNED || i == head && STATE(i) == SETTLED))
#define OVERDUE (hold == 0 && (tail != taken || LEFT(head) || LEFT(head + 1) || \
  producerBell == PARKED && !producerSignal && tail - head < ROOM))

#ifdef WRONG_NO_TIMER
#define TIMER_MAY_BE_NEEDED false
#else
#define TIMER_MAY_BE_NEEDED stopped
#endif

inline park()
{
  bell[me] = PARKED;
  lookAtLane();
  if
  :: atomic { found && hold == 0 -> found = false; bell[me] = AWAKE }
  :: /* Nothing, or somebody works on the lane and will look after its release. */
     atomic { !found || hold != 0 -> found = false };
endAsleep:
     if
     :: atomic { signal[me] -> signal[me] = false; bell[me] = AWAKE }
     :: atomic { cancels > 0 -> cancels--; idle[me] = true; bell[me] = AWAKE }
     :: atomic { timeout && OVERDUE -> assert(TIMER_MAY_BE_NEEDED); returned = true; moved = true; bell[me] = AWAKE }
     fi
  fi
}

inline consume()
{
  do
  :: HAS_ANY -> settle()
#if HOARDS > 0
  :: atomic { HAS_ANY && hoards > 0 -> hoards--; keeps[me] = true }; goto kept
#endif
#ifdef PREFETCH
  :: atomic { HAS_ANY && (tail != taken || returned) && hold == 0 -> hold = me }; takeWithHold()
#endif
  :: atomic { !HAS_ANY && hold == 0 -> hold = me };
     takeWithHold();
     if
     :: HAS_ANY
     :: !HAS_ANY -> goto nothing
     fi
  :: !HAS_ANY && hold != 0 ->
nothing:
     park();
     if
     :: idle[me] -> break
     :: !idle[me]
     fi
  :: /* It was rung, perhaps, and then has no use for it. */
     atomic { cancels > 0 && !HAS_ANY -> cancels--; idle[me] = true };
     break
  od;
#ifndef WRONG_NO_PASS_ON
  passOn();
#endif
kept:
  skip
}

/* SIGKILL, or SIGSTOP for ever: a process takes no more steps from anywhere on. 0 is the recoverer. */
chan kill[3] = [0] of { bit };

/* What the death means to the messages it had; a stopped one keeps them. */
inline ends()
{
  i = 0;
  if
  :: me == 1 ->
     dead = true;
     do
     :: i < RECORDS && has[i] == 1 -> has[i] = 0; before[i]++; i++
     :: i < RECORDS && has[i] != 1 -> i++
     :: i == RECORDS -> break
     od;
     i = 0
  :: me == 2 -> stopped = true
  fi
}

proctype Consumer(byte me)
{
  byte h, i, n;
  bool found, moved;

  {
    consume()
  } unless { atomic { kill[me] ? 0 -> h = 0; n = 0; found = false; moved = false; ends() } }
}

#ifdef REBIRTH
active proctype Next()
{
  byte h, i, n;
  bool found, moved;
  byte me = 3;

end:
  free;
  consume()
}
#endif

/* --- the producer ---------------------------------------------------------------------------------------------------- */

active proctype Producer()
{
  byte next;
  byte me = 0;

  do
  :: atomic {
       next < RECORDS && next - head < ROOM ->
       assert(next < ROOM || acked[next - ROOM]);
       AT(next) = FLAGS(CLAIMED, 0, 0);
       next++
     }
  :: atomic { next != tail -> tail = next }; ringOne()
  :: next < RECORDS && next == tail && next - head == ROOM ->
     producerBell = PARKED;
     if
     :: next - head < ROOM
     :: next - head == ROOM ->
endAsleep:
        atomic { producerSignal -> producerSignal = false }
     fi;
     producerBell = AWAKE
  :: next == RECORDS && next == tail -> break
  od
}

/* --- death, and what follows ------------------------------------------------------------------------------------------- */

#ifdef DEATH
active proctype Death()
{
  kill[1] ! 0
}

/* Under the mailbox's flock, which is why there is only one, and why RECOVERER in the hold is a dead one's. */
inline recover()
{
  assert(dead);
#ifdef WRONG_FREE_EARLY
  free = true;
#endif
#ifndef WRONG_SEAT_LATE
  bell[1] = AWAKE;
#endif
#ifdef WRONG_ROB
  d_step { hold = RECOVERER };
#else
endPinned:
  atomic { hold == 0 || hold == RECOVERER || hold == 1 -> hold = RECOVERER };
#endif
  returned = true;
  h = head;
  do
  :: d_step {
       h < taken && OWNER(h) == 1 && STATE(h) == CLAIMED ->
       AT(h) = FLAGS(RETURNED, 0, DELIVERIES(h) + 1);
       h++
     }
  :: d_step { h < taken && !(OWNER(h) == 1 && STATE(h) == CLAIMED) -> h++ }
  :: h == taken -> break
  od;
  h = head;
  /* The dead one may have moved the head and not rung the producer. */
  moved = true;
  walkAndRelease();
#ifndef WRONG_RECOVERY_NO_RECHECK
  recheck(true);
#endif
#ifdef WRONG_SEAT_LATE
  bell[1] = AWAKE;
#endif
  free = true
}

active proctype Recoverer()
{
  byte h;
  bool found, moved;
  byte me = RECOVERER;

end:
  do
  :: dead && !free ->
     {
       recover()
     } unless { atomic { kill[0] ? 0 -> h = 0; found = false; moved = false } }
  od
}

#ifdef RDEATH
active proctype RecovererDeath()
{
end:
  kill[0] ! 0
}
#endif
#endif

#ifdef STOP
active proctype Stop()
{
  kill[2] ! 0
}
#endif

/* --- what must hold when nothing moves any more -------------------------------------------------------------------------- */

/* One who goes on; one who keeps the record and may. */
#define SOMEBODY (!dead && !idle[1] && !keeps[1] || !stopped && !idle[2] && !keeps[2] || free && !idle[3] && NEXT)
#define KEPT(i) (has[i] == 2 && stopped || has[i] > 0 && keeps[has[i]])
#ifdef REBIRTH
#define NEXT !keeps[3]
#else
#define NEXT false
#endif

inline allIsWell()
{
  assert(hold == 0 || hold == 2 && stopped);
  assert(!dead || free || hold == 2);
  if
  :: hold == 0 ->
     assert(taken == tail);
     assert(tail == RECORDS || tail - head == ROOM);
     assert(head == taken || STATE(head) == CLAIMED && KEPT(head));
     do
     :: i < taken -> assert(acked[i] || KEPT(i)); i++
     :: else -> break
     od
  :: else
  fi
}

active proctype Judge()
{
  byte i;

  atomic { timeout && !(SOMEBODY && OVERDUE && stopped) };
  if
  :: atomic { SOMEBODY -> allIsWell() }
  :: !SOMEBODY
  fi
}

init {
  atomic {
    run Consumer(1);
    run Consumer(2)
  }
}
