/* SPDX-License-Identifier: Apache-2.0
 *
 * A switch of stacks is a function call that returns elsewhere: it saves what the ABI has a callee save. A stack ends
 * in a page that may not be touched.
 */
#include "fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if SIMT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK ((size_t)256 << 10)
#define GUARD ((size_t)4096)

extern "C" void simt_switch(void **save, void *to);
#if defined(__x86_64__)
__asm__(".text\n.globl simt_switch\n.hidden simt_switch\n.type simt_switch,@function\nsimt_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size simt_switch,.-simt_switch\n");

static void *first_frame(char *stack, void (*entry)(void))
{
    void **top = (void **)(stack + STACK) - 1; /* entry finds the stack as a call would leave it */

    *--top = (void *)entry;
    for (int n = 0; n < 6; n++)
        *--top = NULL;
    return top;
}
#elif defined(__aarch64__)
__asm__(".text\n.globl simt_switch\n.hidden simt_switch\n.type simt_switch,%function\nsimt_switch:\n"
        "sub sp, sp, #160\nstp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\n"
        "stp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
        "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\n"
        "ldp x25, x26, [sp, #48]\nldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\n"
        "ldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\n"
        "add sp, sp, #160\nret\n"
        ".size simt_switch,.-simt_switch\n");

static void *first_frame(char *stack, void (*entry)(void))
{
    void **top = (void **)(stack + STACK) - 20;

    memset(top, 0, 160);
    top[11] = (void *)entry;
    return top;
}
#else
#error "write simt_switch for this machine"
#endif

/* AddressSanitizer follows the stacks: `fake` is NULL when the one that is left ends. */
static void announce(void **fake, const context *to)
{
#if SIMT_ASAN
    __sanitizer_start_switch_fiber(fake, to->bottom, to->size);
#else
    (void)fake, (void)to;
#endif
}

static void arrived(void *fake, const void **bottom, size_t *size)
{
#if SIMT_ASAN
    __sanitizer_finish_switch_fiber(fake, bottom, size);
#else
    (void)fake, (void)bottom, (void)size;
#endif
}

void fiber_switch(context *from, context *to, int ends)
{
    announce(ends ? NULL : &from->fake, to);
    simt_switch(&from->sp, to->sp);
    arrived(from->fake, NULL, NULL);
}

void fiber_entered(context *from)
{
    arrived(NULL, &from->bottom, &from->size);
}

void fiber_begin(context *c, void (*entry)(void))
{
    if (!c->bottom) {
        char *stack = (char *)mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (stack == (char *)MAP_FAILED || mprotect(stack, GUARD, PROT_NONE)) {
            perror("simt: no stack");
            exit(1);
        }
        c->bottom = stack;
        c->size = STACK;
    }
    ASAN_UNPOISON_MEMORY_REGION((char *)c->bottom + GUARD, STACK - GUARD);
    c->sp = first_frame((char *)c->bottom, entry);
    c->fake = NULL;
}
