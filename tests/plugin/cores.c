/* A plugin for QEMU's TCG (9.2 or later): instructions of the engine outside and inside its barriers, on all cores, and how many tasks
 * the cores shared. A line with the three counts since the start is appended to a file whenever the engine ends a request.
 *
 *   out=FILE           where the lines go
 *   barrier=START-END  addresses of a function that waits for, wakes or counts cores (several; hexadecimal, END is behind it)
 *   task=ADDRESS       first instruction of the function that opens a task
 *   mark=ADDRESS       first instruction of the function that ends a request
 *
 * The engine is what has addresses below 2^39. Instructions are counted by translation blocks, which interrupts do not cut short.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "qemu.h"

EXPORTED int qemu_plugin_version = 4;

enum { OUTSIDE, BARRIER, TASKS, COUNTS };
enum { RANGES_MAX = 64 };
static const uint64_t ENGINE_END = UINT64_C(1) << 39;
static struct scoreboard *counts;
static struct { uint64_t start, end; } barriers[RANGES_MAX];
static unsigned barriers_count;
static uint64_t task, mark;
static FILE *out;

static counter counter_of(int kind) {
    return (counter){ counts, (size_t)kind * sizeof(uint64_t) };
}

static bool is_in_barrier(uint64_t address) {
    for (unsigned i = 0; i < barriers_count; i++) {
        if (barriers[i].start <= address && address < barriers[i].end) {
            return true;
        }
    }
    return false;
}

static void at_mark(unsigned cpu, void *data) {
    (void)cpu;
    (void)data;
    for (int kind = 0; kind < COUNTS; kind++) {
        fprintf(out, "%" PRIu64 "%c", qemu_plugin_u64_sum(counter_of(kind)), kind + 1 < COUNTS ? ' ' : '\n');
    }
    fflush(out);
}

static void at_translation(plugin_id id, struct tb *tb) {
    (void)id;
    uint64_t numbers[COUNTS] = { 0 };
    size_t length = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < length; i++) {
        struct insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address >= ENGINE_END) {
            continue;
        }
        numbers[is_in_barrier(address) ? BARRIER : OUTSIDE]++;
        numbers[TASKS] += address == task;
        if (address == mark) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, NO_REGISTERS, NULL);
        }
    }
    for (int kind = 0; kind < COUNTS; kind++) {
        if (numbers[kind] != 0) {
            qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD_U64, counter_of(kind), numbers[kind]);
        }
    }
}

static bool take(const char *argument) {
    const char *value;
    char *end;
    if ((value = value_of(argument, "out="))) {
        out = fopen(value, "w");
        return out != NULL;
    }
    if ((value = value_of(argument, "task="))) {
        task = strtoull(value, NULL, 16);
        return task != 0;
    }
    if ((value = value_of(argument, "mark="))) {
        mark = strtoull(value, NULL, 16);
        return mark != 0;
    }
    if ((value = value_of(argument, "barrier=")) && barriers_count < RANGES_MAX) {
        barriers[barriers_count].start = strtoull(value, &end, 16);
        barriers[barriers_count].end = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;
        return barriers[barriers_count++].end != 0;
    }
    return false;
}

/* The second argument tells about QEMU and is not used. */
EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    if (!take_all("cores", take, argc, argv)) {
        return -1;
    }
    if (out == NULL) {
        fprintf(stderr, "cores plugin: out= is missing\n");
        return -1;
    }
    counts = qemu_plugin_scoreboard_new(COUNTS * sizeof(uint64_t));
    qemu_plugin_register_vcpu_tb_trans_cb(id, at_translation);
    return 0;
}
