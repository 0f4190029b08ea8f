/* Answers every connection with one line over HTTP. The port is the first argument, else 8080. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 19\r\n"
                             "Connection: close\r\n"
                             "\r\n"
                             "hello from server!\n";

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    struct sockaddr_in address = {0};

    /* As the first process of a container nothing else ends it. */
    signal(SIGTERM, _exit);
    signal(SIGINT, _exit);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    address.sin_port = htons((unsigned short)port);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 16) < 0) {
        fprintf(stderr, "server: port %d: %s\n", port, strerror(errno));
        return 1;
    }
    printf("server: listening on port %d\n", port);
    fflush(stdout);
    for (;;) {
        char request[4096];
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        if (read(client, request, sizeof request) > 0 &&
            write(client, ANSWER, sizeof ANSWER - 1) < 0) {
            perror("server: write");
        }
        close(client);
    }
}
