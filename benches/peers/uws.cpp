// uws: an echo and push server on uWebSockets, to measure against. Every path echoes; what arrives on /broadcast or
// /broadcast/NAME is published to all that are connected there, the sender included.
//
//   uws PORT
//
// build.sh builds it where UWS_DIR names a checkout of uWebSockets with its submodule uSockets.
#include "App.h"

#include <cstdio>
#include <cstdlib>
#include <string>

struct PerSocket {
    std::string room;
};

int main(int argc, char **argv) {
    const int port = argc > 1 ? std::atoi(argv[1]) : 9001;
    uWS::App app;
    uWS::App *publisher = &app;
    app.ws<PerSocket>("/*", {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 16 * 1024 * 1024,
        .idleTimeout = 60,
        .maxBackpressure = 1024 * 1024,
        .upgrade = [](auto *res, auto *req, auto *context) {
            const std::string_view path = req->getUrl();
            PerSocket data;
            if (path.substr(0, 10) == "/broadcast") data.room = path;
            res->template upgrade<PerSocket>(std::move(data), req->getHeader("sec-websocket-key"),
                req->getHeader("sec-websocket-protocol"), req->getHeader("sec-websocket-extensions"), context);
        },
        .open = [](auto *ws) {
            if (!ws->getUserData()->room.empty()) ws->subscribe(ws->getUserData()->room);
        },
        .message = [publisher](auto *ws, std::string_view message, uWS::OpCode opcode) {
            const std::string &room = ws->getUserData()->room;
            if (room.empty()) ws->send(message, opcode);
            else publisher->publish(room, message, opcode);
        },
    });
    app.listen("127.0.0.1", port, [port](auto *socket) {
        if (!socket) {
            std::fprintf(stderr, "uws: cannot listen on %d\n", port);
            std::exit(1);
        }
    });
    app.run();
}
