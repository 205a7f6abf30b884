// A pair of Unix sockets, SOCK_STREAM.
#include "stream.h"

#include <sys/socket.h>

static void socket_open(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) fail("socketpair");
  // One pair for both ways: what is written into one end comes out of the other.
  write_ends[1] = read_ends[0] = ends[0];
  write_ends[0] = read_ends[1] = ends[1];
  make_buffer();
}

const rival the_rival = {socket_open, stream_produce, stream_consume, stream_ping, stream_pong, 1};
