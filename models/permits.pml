/*
 * The semaphore of docs/internals/sync-layout.md: SEATS handles take and give permits, STEPS changes each in any order, and one handle adds ADDS
 * permits that nobody had. Every shared load, store and swap is one step. Up to DEATHS of the handles die, each at any step. Recoverers, one at
 * a time, find out what a dead one had and give it back; with RDEATHS they die at any step too, and the next begins anew.
 * Numbers grow without end here (a byte is enough); that the code's wrap is in sync-words.test.ts.
 * Wrong on purpose, and refuted: the WRONG_… variants; scripts/check-models.mjs lists them.
 */

#ifndef SEATS
#define SEATS 2
#endif
#ifndef STEPS
#define STEPS 2
#endif
#ifndef PERMITS
#define PERMITS 1
#endif
#ifndef ADDS
#define ADDS 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef RDEATHS
#define RDEATHS 0
#endif

#define NONE 0
#define TAKE 1
#define GIVE 2
#define GIVE_ALL 3

/* The value: one word of 64 bits, read and swapped as a whole. */
byte left = PERMITS;
byte name = SEATS;        /* SEATS: nobody's */
byte number;

/* A seat's words. */
byte held[SEATS];         /* with kind: one word */
byte kind[SEATS];
byte announced[SEATS];
byte made[SEATS];

bool dead[SEATS];
bool settled[SEATS];      /* recovered */
byte deaths;
byte rdeaths;

/* What must hold: what each seat really has, from the moment of its swap. */
byte has[SEATS];
byte added;

inline read()
{
  d_step { wasLeft = left; wasName = name; wasNumber = number }
}

/* Whose name is in the value: its change was made. Never steps back. */
inline mark()
{
#ifndef WRONG_NO_MARK
  do
  :: wasName == SEATS -> break
  :: else ->
     known = made[wasName];
#ifdef WRONG_STEP_BACK
     if
     :: known == wasNumber -> break
     :: else
     fi;
#else
     if
     :: known >= wasNumber -> break
     :: else
     fi;
#endif
     if
     :: d_step { made[wasName] == known -> made[wasName] = wasNumber }; break
     :: d_step { made[wasName] != known -> known = 0 }
     fi
  od
#else
  skip
#endif
}

#define SAME (left == wasLeft && name == wasName && number == wasNumber)

proctype Seat(byte me)
{
  byte wasLeft;
  byte wasName;
  byte wasNumber;
  byte known;
  byte step;
  byte what;
  byte own;
  {
    do
    :: step == STEPS -> break
    :: else ->
       step++;
       if
       :: what = TAKE
       :: held[me] > 0 -> what = GIVE
       fi;
       own++;
       announced[me] = own;
       kind[me] = what;
again:
       skip;
       read();
       if
       :: what == TAKE && wasLeft == 0 -> kind[me] = NONE; goto next
       :: else
       fi;
#ifndef WRONG_MARK_LATE
       mark();
#endif
       if
       :: d_step { SAME ->
            left = (what == TAKE -> left - 1 : left + 1); name = me; number = own;
            has[me] = (what == TAKE -> has[me] + 1 : has[me] - 1) }
       :: d_step { !SAME -> wasLeft = 0 }; goto again
       fi;
#ifdef WRONG_MARK_LATE
       mark();
       skip;
#endif
       d_step { held[me] = (what == TAKE -> held[me] + 1 : held[me] - 1); kind[me] = NONE };
next:
       skip
    od
  } unless { dead[me] }
}

#if ADDS > 0
active proctype Adder()
{
  byte wasLeft;
  byte wasName;
  byte wasNumber;
  byte known;
  do
  :: added == ADDS -> break
  :: else ->
     read();
     mark();
     if
     :: d_step { SAME -> left++; name = SEATS; number = 0; added++ }
     :: d_step { !SAME -> wasLeft = 0 }
     fi
  od
}
#endif

/* Under the lock of the folder, which the kernel takes from a dead recoverer. */
proctype Recoverer(byte one; byte life)
{
  byte wasLeft;
  byte wasName;
  byte wasNumber;
  byte known;
  byte had;
  byte last;
  byte first;
  {
    /* What it has. */
    had = held[one];
    last = announced[one];
    if
    :: kind[one] == NONE
    :: kind[one] != NONE ->
#ifdef WRONG_ORDER
       first = made[one];
       read();
#else
       read();
       first = made[one];
#endif
       if
       :: (wasName == one && wasNumber == last) || first == last ->
          had = (kind[one] == TAKE -> had + 1 : (kind[one] == GIVE -> had - 1 : 0))
       :: else
       fi
    fi;
    assert(had == has[one]);
    if
    :: had > 0 ->
#ifndef WRONG_NOT_SETTLED
       d_step { held[one] = had; kind[one] = NONE };
#endif
       announced[one] = last + 1;
       d_step { held[one] = had; kind[one] = GIVE_ALL };
       do
       :: true -> read();
          mark();
          if
          :: d_step { SAME -> left = left + had; name = one; number = last + 1; has[one] = 0 }; break
          :: d_step { !SAME -> wasLeft = 0 }
          fi
       od
    :: else
    fi;
    skip;
    d_step { held[one] = 0; kind[one] = NONE };
    settled[one] = true
  } unless { rdeaths > life }
}

#define KILL(one) d_step { deaths < DEATHS && !dead[one] -> deaths++; dead[one] = true }

active proctype Fate()
{
  byte one;
  byte life;
#if DEATHS > 0
  do
  :: KILL(0); one = 0; break
#if DEATHS > 1 || defined(BOTH)
  :: KILL(1); one = 1; break
#endif
  :: true -> goto over
  od;
  do
  :: run Recoverer(one, life);
     if
     :: settled[one] -> break
#if RDEATHS > 0
     :: d_step { rdeaths < RDEATHS && !settled[one] -> rdeaths++; life++ }
#endif
     fi
  od;
over:
#endif
  skip
}

/* Whatever happened: all permits are there. */
active proctype Judge()
{
  timeout ->
  assert(left + has[0] + has[1]
#if SEATS > 2
    + has[2]
#endif
    == PERMITS + added);
  assert(dead[0] || held[0] == has[0]);
  assert(dead[1] || held[1] == has[1]);
}

init {
  atomic {
    run Seat(0);
    run Seat(1);
#if SEATS > 2
    run Seat(2)
#endif
  }
}
