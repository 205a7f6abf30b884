// What every contestant in C has in common: a producer and a consumer in two processes that share what open() made before the
// fork, and the bodies that all of them send. The command line and the clock are in rival.c; a contestant is one more file.
#ifndef NARU_BENCH_RIVAL_H
#define NARU_BENCH_RIVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  // Makes what both processes use; before the fork, once for the life of the program.
  void (*open)(void);
  // Flow: the child sends `count` bodies, the parent receives them and gives each to touch().
  void (*produce)(uint64_t count);
  void (*consume)(uint64_t count);
  // Ping: the parent sends a ball and waits for it; the child waits for a ball and sends it back.
  void (*ping)(void);
  void (*pong)(void);
  // How many round trips one look at the clock covers: 1 where a round trip takes longer than the look.
  uint32_t trips_a_time;
} rival;

// The one contestant of this program.
extern const rival the_rival;

// Length of every body, from the command line.
extern size_t body_bytes;

// Writes the body of message `sequence`: its number, then ones.
void make_body(uint8_t *body, uint32_t sequence);
// The consumer has a message: looks at both ends of its body, and with `whole` on the command line at every byte; ends the
// program when it is not the next one.
void touch(const uint8_t *body);
// Ends the program with errno's text.
void fail(const char *what) __attribute__((noreturn));
// Memory that both processes see, with all its pages there.
void *shared_memory(size_t size);
uint64_t now_ns(void);

#endif
