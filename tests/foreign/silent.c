/*
 * A server that never says a word, until it is killed; then who waits for it is told by a reset.
 */
#include <stdio.h>
#include <unistd.h>

#include "tests/support.h"

int main(void)
{
    struct sockaddr_in addr;
    int listener = support_listen(&addr, 16);
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    for (;;)
        CHECK_GE(accept(listener, NULL, NULL), 0);
}
