/* Decides who may connect: by token, origin and subprotocol, and not always at once.
 *
 *     ./upgrade [IP:PORT]
 *
 * /open?token=secret   opens, with the subprotocol "chat" if the client offers it, and a cookie
 * /slow?token=secret   is asked about on another thread, as a lookup in a database would be, and opens a little later
 * anything else        401
 * GET /healthz         200, without WebSocket
 *
 * Pages of https://example.com may connect, no others. Ends when standard input does. */

#include "portable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspoll.h>

/* A question to the "database". */
struct question {
    wsp_server *server;
    wsp_conn_id conn;
};

static THREAD_RESULT ask(void *argument) {
    struct question *question = argument;
    wsp_response *response = wsp_response_new(101);
    wsp_response_add_header(response, "X-Answered", "later");
    /* The client may have gone meanwhile, or the handshake timeout may have answered. */
    if (wsp_server_respond(question->server, question->conn, response) != WSP_STATUS_OK)
        fprintf(stderr, "respond: %s\n", wsp_last_error_message());
    wsp_response_free(response);
    wsp_server_free(question->server);
    free(question);
    return 0;
}

static int ask_elsewhere(wsp_server *server, wsp_conn_id conn) {
    thread asker;
    struct question *question = malloc(sizeof *question);
    if (question == NULL)
        return 0;
    question->server = wsp_server_retain(server);
    question->conn = conn;
    if (!thread_start(&asker, ask, question)) {
        wsp_server_free(server);
        free(question);
        return 0;
    }
    thread_detach(asker);
    return 1;
}

static void on_upgrade(wsp_server *server, wsp_conn_id conn, const wsp_request *request,
                       wsp_response *response, void *user) {
    const char *query = wsp_request_query(request);
    size_t i;
    (void)user;
    if (query == NULL || strcmp(query, "token=secret") != 0) {
        static const char reason[] = "no token\n";
        wsp_response_set_status(response, 401);
        wsp_response_add_header(response, "WWW-Authenticate", "Bearer");
        wsp_response_set_body(response, (const uint8_t *)reason, sizeof reason - 1);
        return;
    }
    if (strcmp(wsp_request_path(request), "/slow") == 0) {
        if (ask_elsewhere(server, conn))
            wsp_response_defer(response);
        else
            wsp_response_set_status(response, 503);
        return;
    }
    for (i = 0; i < wsp_request_subprotocol_count(request); i++)
        if (strcmp(wsp_request_subprotocol(request, i), "chat") == 0)
            wsp_response_set_subprotocol(response, "chat");
    wsp_response_add_header(response, "Set-Cookie", "session=1; HttpOnly");
}

static void on_request(wsp_server *server, const wsp_request *request, wsp_response *response,
                       void *user) {
    (void)server;
    (void)user;
    if (strcmp(wsp_request_path(request), "/healthz") == 0)
        wsp_response_set_status(response, 200);
}

static void on_open(wsp_server *server, const wsp_event *event, void *user) {
    wsp_conn_info info = {0};
    char hello[128];
    int len;
    (void)user;
    info.size = sizeof info;
    if (wsp_server_conn_info(server, event->conn, &info) != WSP_STATUS_OK)
        return;
    len = snprintf(hello, sizeof hello, "hello %s, protocol '%.*s'", info.peer_ip,
                   (int)info.subprotocol_len, info.subprotocol ? info.subprotocol : "");
    wsp_server_send_text(server, event->conn, (const uint8_t *)hello, (size_t)len);
}

int main(int argc, char **argv) {
    wsp_callbacks callbacks = {0};
    wsp_config *config = wsp_config_new();
    wsp_server *server;
    wsp_status status;

    wsp_config_add_listen(config, argc > 1 ? argv[1] : "127.0.0.1:8000");
    wsp_config_set_origin(config, "https://example.com");
    callbacks.size = sizeof callbacks;
    callbacks.on_upgrade = on_upgrade;
    callbacks.on_request = on_request;
    callbacks.on_open = on_open;
    status = wsp_server_start(config, &callbacks, &server);
    wsp_config_free(config);
    if (status != WSP_STATUS_OK) {
        fprintf(stderr, "start: %s\n", wsp_last_error_message());
        return 1;
    }
    printf("listening on 127.0.0.1:%u\n", (unsigned)wsp_server_port(server));
    fflush(stdout);

    while (getchar() != EOF)
        continue;
    wsp_server_stop(server, WSP_DRAIN_TIMEOUT_DEFAULT);
    wsp_server_free(server);
    return 0;
}
