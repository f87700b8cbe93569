/* A TCP echo on the portable poller alone: no WebSocket, no server, only sockets of this program.
 *
 *     ./poller [PORT]
 *
 * Ends when the first client that says "quit" has gone. */

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <wspoll.h>

static int fail(const char *doing) {
    fprintf(stderr, "%s: %s\n", doing, wsp_last_error_message());
    return 1;
}

static int set_nonblocking(int fd) {
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Echoes what has come. Returns 0 when the client has gone. */
static int echo(int fd, int *quit) {
    char buffer[16384];
    ssize_t came = recv(fd, buffer, sizeof buffer, 0);
    ssize_t sent = 0;
    if (came <= 0)
        return 0;
    if (came >= 4 && memcmp(buffer, "quit", 4) == 0)
        *quit = 1;
    while (sent < came) {
        ssize_t n = send(fd, buffer + sent, (size_t)(came - sent), MSG_NOSIGNAL);
        if (n < 0)
            return 0; /* A real program would wait for WSP_INTEREST_WRITE. */
        sent += n;
    }
    return 1;
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    wsp_ready ready[64];
    wsp_poller *poller;
    int quit = 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8000));
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 128) != 0 || set_nonblocking(listener) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("listening");
        return 1;
    }
    if (wsp_poller_new(&poller) != WSP_STATUS_OK)
        return fail("poller");
    /* The key is this program's word for the socket; the descriptor itself is a good one. */
    if (wsp_poller_add(poller, listener, (uint64_t)listener, WSP_INTEREST_READ,
                       WSP_POLL_MODE_LEVEL) != WSP_STATUS_OK)
        return fail("add");
    printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);

    while (!quit) {
        size_t count, i;
        if (wsp_poller_wait(poller, ready, 64, -1, &count) != WSP_STATUS_OK)
            return fail("wait");
        for (i = 0; i < count; i++) {
            int fd = (int)ready[i].key;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                if (client >= 0 && set_nonblocking(client) == 0)
                    wsp_poller_add(poller, client, (uint64_t)client, WSP_INTEREST_READ,
                                   WSP_POLL_MODE_LEVEL);
            } else if (!echo(fd, &quit)) {
                /* Out of the poller before it is closed. */
                wsp_poller_remove(poller, fd);
                close(fd);
            } else if (quit) {
                wsp_poller_remove(poller, fd);
                close(fd);
            }
        }
    }
    wsp_poller_remove(poller, listener);
    close(listener);
    wsp_poller_free(poller);
    return 0;
}
