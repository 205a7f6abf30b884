/*
 * The lock of docs/internals/sync-layout.md: USERS handles take it, are in it, and let go, ROUNDS times each; who finds it taken sets its bit,
 * parks, looks again and sleeps, and may give up. Every shared load and store is one step. Up to DEATHS of them die, each at any step, also in
 * the middle of clearing up after another; with STOP, one that has it is stopped for ever. The doorbell is a model of its own (doorbell.pml): here
 * a ring is one step. The look every 50 ms may come at any moment where there are deaths;
 * elsewhere a sleeper must never need it.
 * Wrong on purpose, and refuted: the WRONG_… variants; scripts/check-models.mjs lists them.
 */

#ifndef USERS
#define USERS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif

#define FREE 0
#define ORPHANED 9
#define NOBODY 9

byte word = FREE;         /* FREE, ORPHANED, or the user's number + 1 */
bool waiting[USERS + 1];
bool parked[USERS];
bool rung[USERS];
bool dead[USERS + 1];    /* the last is the stopped one */
bool vacant[USERS + 1];  /* recovered: its seat is free */
bool stopped;
byte clearing = FREE;     /* the lock of the folder: who has it, + 1; the kernel takes it from the dead */
byte deaths;
#ifdef GIVES_UP
byte givenUp;
#endif

/* What must hold: one at a time, and who comes after a death in the lock is told. */
byte inside;
bool within[USERS];
bool dirty;

/* One step: has it, or not; told when it was orphaned. */
inline take()
{
  d_step {
    has = false;
    told = false;
    if
    :: word == FREE -> word = me + 1; has = true
    :: word == ORPHANED -> word = me + 1; has = true; told = true
    :: else
    fi
  }
}

inline ringOne()
{
  d_step {
    if
    :: waiting[0] && parked[0] && !rung[0] && me != 0 -> rung[0] = true
    :: else ->
      if
      :: waiting[1] && parked[1] && !rung[1] && me != 1 -> rung[1] = true
      :: else ->
        if
#if USERS > 2
        :: waiting[2] && parked[2] && !rung[2] && me != 2 -> rung[2] = true
#endif
        :: else
        fi
      fi
    fi
  }
}

inline ringAll()
{
  d_step {
    if :: waiting[0] && parked[0] -> rung[0] = true :: else fi;
    if :: waiting[1] && parked[1] -> rung[1] = true :: else fi;
#if USERS > 2
    if :: waiting[2] && parked[2] -> rung[2] = true :: else fi
#endif
  }
}

#if USERS > 2
#define ANYBODY_WAITS (waiting[0] || waiting[1] || waiting[2])
#else
#define ANYBODY_WAITS (waiting[0] || waiting[1])
#endif

/* Under the folder's lock; a death in here leaves all of it to the next. */
inline recover(one)
{
  atomic { clearing == FREE || dead[clearing - 1] -> clearing = me + 1 };
  if
#ifdef WRONG_ROB
  :: !vacant[one] && (dead[one] || stopped) ->
#else
  :: !vacant[one] && dead[one] ->
#endif
#ifdef WRONG_FREE_EARLY
     vacant[one] = true;
#endif
     d_step {
       if
#ifdef WRONG_NOT_TOLD
       :: word == one + 1 -> word = FREE
#else
       :: word == one + 1 -> word = ORPHANED
#endif
       :: else
       fi
     };
     waiting[one] = false;
     ringAll();
     vacant[one] = true
  :: else
  fi;
  clearing = FREE
}

inline holderIsDead()
{
#ifdef WRONG_ROB
  goner = (word != FREE && word != ORPHANED && (dead[word - 1] || stopped) -> word - 1 : NOBODY)
#else
  goner = (word != FREE && word != ORPHANED && dead[word - 1] -> word - 1 : NOBODY)
#endif
}

proctype User(byte me)
{
  bool has;
  bool told;
  byte round;
  byte goner;
  {
    do
    :: round == ROUNDS -> break
    :: else ->
       round++;
       take();
       if
       :: has -> goto entered
       :: else
       fi;
sleeping:
       skip;
#ifdef WRONG_BIT_LATE
       parked[me] = true;
       take();
       waiting[me] = true;
#else
       waiting[me] = true;
       parked[me] = true;
#ifndef WRONG_NO_LOOK
       take();
#endif
#endif
       if
       :: has -> atomic { parked[me] = false; rung[me] = false }; waiting[me] = false; goto entered
       :: else
       fi;
       if
       :: atomic { rung[me] -> rung[me] = false; parked[me] = false }
#if DEATHS > 0
       /* Its time to look may come at any moment. */
       :: atomic { true -> parked[me] = false; rung[me] = false };
#else
       /* Nobody else moves, and still this one sleeps: only a stop explains that. */
       :: atomic { timeout -> parked[me] = false; rung[me] = false; assert(stopped) };
#endif
          /* A lock of somebody who was cleared away already would never be free again. */
          assert(word == FREE || word == ORPHANED || !vacant[word - 1]);
          holderIsDead();
          if
          :: goner != NOBODY -> recover(goner)
          :: else
          fi
#ifdef GIVES_UP
       :: atomic { givenUp < GIVES_UP -> givenUp++; parked[me] = false; rung[me] = false };
          waiting[me] = false;
#ifndef WRONG_NO_PASS_ON
          if
          :: (word == FREE || word == ORPHANED) && ANYBODY_WAITS -> ringOne()
          :: else
          fi;
#endif
          goto next
#endif
       fi;
       take();
       if
       :: has -> waiting[me] = false
       :: else -> goto sleeping
       fi;
entered:
       skip;
       d_step {
         assert(inside == 0);
         assert(!dirty || told);
         inside++;
         within[me] = true;
         dirty = false
       };
       d_step { inside--; within[me] = false };
       d_step { assert(word == me + 1 || stopped); word = FREE };
#ifndef WRONG_SILENT
       if
       :: ANYBODY_WAITS -> ringOne()
       :: else
       fi;
#endif
next:
       skip
    od
  } unless { dead[me] }
}

/* SIGKILL. Who dies in the lock leaves what it guards half changed. */
#define KILL(one) d_step { deaths < DEATHS && !dead[one] && !vacant[one] -> deaths++; dead[one] = true; \
  if :: within[one] -> within[one] = false; inside--; dirty = true \
     :: !within[one] && word == one + 1 -> dirty = true :: else fi }

active proctype Fate()
{
end:
  do
#if DEATHS > 0
  :: KILL(0)
  :: KILL(1)
#if USERS > 2
  :: KILL(2)
#endif
#endif
  :: deaths == DEATHS -> break
  od
}

#ifdef STOP
/* It is in the lock, and does nothing any more. */
active proctype Stopped()
{
  atomic { word == FREE -> word = USERS + 1; stopped = true; inside++ }
}
#endif

init {
  atomic {
    run User(0);
    run User(1);
#if USERS > 2
    run User(2)
#endif
  }
}
