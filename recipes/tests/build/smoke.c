/* What smoke commands run: does what its first argument says. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    const char *word = argc > 2 ? argv[2] : "";
    if (strcmp(what, "say") == 0) {
        puts(word);
    } else if (strcmp(what, "exit") == 0) {
        fputs("no\tgood\033[31m\n", stderr);
        return atoi(word);
    } else if (strcmp(what, "crash") == 0) {
        abort();
    } else if (strcmp(what, "read") == 0) {
        char text[4096];
        int file = open(word, O_RDONLY);
        ssize_t length = read(file, text, sizeof text);
        return length < 0 || write(1, text, (size_t)length) != length;
    } else if (strcmp(what, "exists") == 0) {
        puts(access(word, F_OK) == 0 ? "yes" : "none");
    } else if (strcmp(what, "write") == 0) {
        int file = open(word, O_WRONLY | O_CREAT, 0600);
        puts(file >= 0 ? "written" : "refused");
    } else if (strcmp(what, "called") == 0) {
        puts(argv[0]);
    }
    return 0;
}
