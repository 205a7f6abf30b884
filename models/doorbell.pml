/*
 * The doorbell of docs/internals/shm-layout.md §4: one sleeper that parks again and again, in its event loop or as a
 * blocked thread, and RINGERS peers with MESSAGES pieces of news each. Every shared load and store is one step.
 * Bounds: 2 or 3 ringers, 2 messages each, up to DEATHS of them die, each at any step. The safety timer is left out, so
 * whatever it would have to save shows as a sleeper that sleeps for ever.
 * For three ringers: SIMPLE, the sleeper always wants messages and there is no control news; NO_THREAD, NO_LOOP: one way to park.
 * Wrong on purpose, and refuted: the WRONG_… variants; scripts/check-models.mjs lists them.
 */

#ifndef RINGERS
#define RINGERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

#define AWAKE 0
#define LOOP 1
#define RUNG 2
#define THREAD 3

/*
 * Epochs only grow, so all that counts of one is whether the word still is what a ringer loaded. same[r] says so: any store
 * to the bell clears it. The like for the value that a thread compares: it is stale once somebody added to threadBell.
 */
byte bell = AWAKE;
bool same[RINGERS];
bool stale;
bool wants;             /* messages wanted? Control always rings. */
bool fifo;              /* a byte or more in p<slot>; one read takes them all */
bool asleep;            /* a thread in the kernel; a futex wake clears it */

byte sent[RINGERS];
bool news[RINGERS];     /* stored by each, and not yet found by the sleeper */
bool dead[RINGERS];
byte deaths;

/* The last message of ringer 0 is control: news that everybody wants. */
#ifdef SIMPLE
#define CONTROL(p) false
#else
#define CONTROL(p) (p == 0 && sent[p] == MESSAGES)
#endif
#define SEES(p) (news[p] && (wanted || CONTROL(p)))

inline store(state)
{
  bell = state;
  same[0] = false;
  same[1] = false;
#if RINGERS > 2
  same[2] = false;
#endif
}

/* Each tail is a load of its own. */
inline look()
{
#ifndef WRONG_NO_LOOK
  if
  :: SEES(0) -> goto up
  :: !SEES(0)
  fi;
  if
  :: SEES(1) -> goto up
  :: !SEES(1)
  fi;
#if RINGERS > 2
  if
  :: SEES(2) -> goto up
  :: !SEES(2)
  fi;
#endif
#endif
#ifdef WRONG_WANTS_LATE
  wants = wanted;
#endif
  skip
}

inline drain()
{
  news[0] = false;
  news[1] = false;
#if RINGERS > 2
  news[2] = false
#endif
}

/* Nothing else can move, and still this one sleeps: what lies before it? Only what the dead did not announce. */
inline sleepsForEver()
{
  assert(dead[0] || !SEES(0));
  assert(dead[1] || !SEES(1));
#if RINGERS > 2
  assert(dead[2] || !SEES(2))
#endif
}

active proctype Sleeper()
{
  bool wanted;

down:
  drain();
#ifdef SIMPLE
  wanted = true;
#else
  if
  :: wanted = true
  :: wanted = false
  fi;
#endif
#ifndef WRONG_WANTS_LATE
  wants = wanted;
#endif
  if
#ifndef NO_LOOP
  :: d_step { store(LOOP) };
     look();
     if
     :: fifo -> fifo = false
     :: timeout -> goto forEver
     fi
#endif
#ifndef NO_THREAD
  :: /* The value is read before parking: whoever rings this sleep and marks it rung adds to it later. */
#ifdef WRONG_VALUE_LATE
     d_step { store(THREAD) };
     stale = false;
#else
     stale = false;
     d_step { store(THREAD) };
#endif
     look();
     /* The kernel compares and goes to sleep in one step. */
     asleep = !stale;
     if
     :: !asleep
     :: timeout -> goto forEver
     fi
#endif
  fi;
up:
  atomic { store(AWAKE); stale = false };
  goto down;
forEver:
  atomic { sleepsForEver() }
}

inline mark(parked)
{
  d_step {
    if
#ifdef WRONG_NO_EPOCH
    :: bell == parked -> store(RUNG)
#else
    :: same[me] -> store(RUNG)
#endif
    :: else
    fi;
    same[me] = false
  }
}

proctype Ringer(byte me)
{
  {
    do
    :: d_step { sent[me] < MESSAGES -> sent[me]++; news[me] = true };
       if
       :: !CONTROL(me) && !wants
       :: CONTROL(me) || wants ->
          if
          :: bell == AWAKE || bell == RUNG
          :: d_step { bell == LOOP -> same[me] = true };
#ifdef WRONG_MARK_FIRST
             mark(LOOP);
             fifo = true
#else
             fifo = true;
             mark(LOOP)
#endif
          :: d_step { bell == THREAD -> same[me] = true };
#ifdef WRONG_MARK_FIRST
             mark(THREAD);
             stale = true;
             asleep = false
#else
             stale = true;
             asleep = false;
             mark(THREAD)
#endif
          fi
       fi
    :: sent[me] == MESSAGES -> break
    od
  } unless { dead[me] }
}

/* SIGKILL: for whom, and when, is open. Ringers that do the same are interchangeable: then the first ones die. */
#define KILL(p) d_step { deaths < DEATHS && !dead[p] -> deaths++; dead[p] = true; same[p] = false }

active proctype Fate()
{
  do
  :: KILL(0)
#if !defined(SIMPLE) || DEATHS > 1
  :: KILL(1)
#endif
#if !defined(SIMPLE) && RINGERS > 2
  :: KILL(2)
#endif
  :: deaths == DEATHS -> break
  od
}

init {
  atomic {
    run Ringer(0);
    run Ringer(1);
#if RINGERS > 2
    run Ringer(2)
#endif
  }
}
