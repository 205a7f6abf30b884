// The ring in C with what Naru's records hold beside the body: an envelope of 16 bytes. Its messages are read where they lie.
#define ENVELOPED
#define IN_PLACE
#include "ring.c"
