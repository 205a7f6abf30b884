// The ring in C without the copy on the consumer's side: it looks at a message where it lies, then acks it.
#define IN_PLACE
#include "ring.c"
