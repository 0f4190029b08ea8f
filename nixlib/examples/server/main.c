/* Answers every connection with one line over HTTP: server [PORT [PROGRAM [ARGUMENT ...]]].
   With a program, that is started for every connection and has it as standard input and output. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void run(char **command, int client) {
    if (fork() != 0) return;
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    dup2(client, 0);
    dup2(client, 1);
    execv(command[0], command);
    perror(command[0]);
    _exit(127);
}

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 19\r\n"
                             "Connection: close\r\n"
                             "\r\n"
                             "hello from server!\n";

/* Reads up to the empty line that ends a request's head, which may arrive in several pieces: to
   close a connection with a part of it unread would reset it, and the answer could be lost. */
static int read_head(int client) {
    char head[8192];
    size_t length = 0;
    while (length < sizeof head - 1) {
        ssize_t count = read(client, head + length, sizeof head - 1 - length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return 0;
        length += (size_t)count;
        head[length] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL || strstr(head, "\n\n") != NULL) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {0};

    /* As the first process of a container nothing else ends it. */
    signal(SIGTERM, _exit);
    signal(SIGINT, _exit);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
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
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        if (argc > 2) {
            run(argv + 2, client);
        } else if (read_head(client) && write(client, ANSWER, sizeof ANSWER - 1) < 0) {
            perror("server: write");
        }
        close(client);
    }
}
