/* Echoes every message in hosted mode: this program's own thread drives the shard and gets what happened in batches.
 *
 *     ./batch [IP:PORT]
 *
 * Each batch is answered by one call. The payloads lie in the shard's buffers and are sent from there. Ends when standard
 * input does. */

#include "portable.h"

#include <stdio.h>

#include <wspoll.h>

enum { BATCH = 256 };

/* Drives one shard until the server has been stopped and the last connection is gone. */
static int drive(wsp_server *server, uint32_t shard) {
    static wsp_event events[BATCH];
    static wsp_outgoing answers[BATCH];
    for (;;) {
        size_t count, i, n = 0, sent;
        wsp_status status = wsp_server_poll(server, shard, events, BATCH, -1, &count);
        if (status == WSP_STATUS_SHUT_DOWN)
            return 0;
        if (status != WSP_STATUS_OK) {
            fprintf(stderr, "poll: %s\n", wsp_last_error_message());
            return 1;
        }
        for (i = 0; i < count; i++) {
            const wsp_event *event = &events[i];
            if (event->kind == WSP_EVENT_MESSAGE) {
                answers[n].conn = event->conn;
                answers[n].data = event->data;
                answers[n].len = event->len;
                answers[n].kind =
                    event->flags & WSP_EVENT_FLAG_TEXT ? WSP_MESSAGE_TEXT : WSP_MESSAGE_BINARY;
                n++;
            }
        }
        if (wsp_server_send_many(server, answers, n, &sent) != WSP_STATUS_OK || sent < n)
            fprintf(stderr, "%zu answers were not taken\n", n - sent);
        /* They leave with the next poll, in one write for each connection. */
    }
}

/* Waits for the end of standard input. */
static THREAD_RESULT wait_for_end(void *argument) {
    wsp_server *server = (wsp_server *)argument;
    while (getchar() != EOF)
        continue;
    /* Hosted mode: returns at once; the poll tells when everything is over. */
    wsp_server_stop(server, WSP_DRAIN_TIMEOUT_DEFAULT);
    wsp_server_free(server);
    return 0;
}

int main(int argc, char **argv) {
    wsp_config *config = wsp_config_new();
    wsp_server *server;
    wsp_status status;
    thread waiter;
    int code;

    wsp_config_add_listen(config, argc > 1 ? argv[1] : "127.0.0.1:8000");
    wsp_config_set_shards(config, 1);
    status = wsp_server_start_hosted(config, &server);
    wsp_config_free(config);
    if (status != WSP_STATUS_OK) {
        fprintf(stderr, "start: %s\n", wsp_last_error_message());
        return 1;
    }
    printf("listening on 127.0.0.1:%u\n", (unsigned)wsp_server_port(server));
    fflush(stdout);

    if (!thread_start(&waiter, wait_for_end, wsp_server_retain(server)))
        return 1;
    code = drive(server, 0);
    thread_join(waiter);
    wsp_server_free(server);
    return code;
}
