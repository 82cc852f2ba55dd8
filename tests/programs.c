/* SPDX-License-Identifier: MIT */
/*
 * Runs one of the self-tests that czmq's library exports, by its name. It ends with 0; a self-test that finds a fault
 * aborts, and a name that is not there is 99. For programs.py.
 */
#include <czmq.h>

#include <dlfcn.h>

int main(int count, char **words)
{
    void (*test)(bool verbose) = count == 2 ? (void (*)(bool))dlsym(RTLD_DEFAULT, words[1]) : NULL;
    if (!test)
        return 99;
    test(false);
    return 0;
}
