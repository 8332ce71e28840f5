/* A plugin for QEMU's TCG (9.2 or later): how long a message waits for its answer. For each line that the guest reads from the UART and
 * that has a text in it, a line with two counts is appended to a file: the instructions from the read of the line's first byte to the
 * write of the next byte, executed by core 0 and by all cores.
 *
 *   out=FILE      where the lines go
 *   uart=ADDRESS  virtual address of the PL011's registers (hexadecimal)
 *   text=TEXT     what a line has in it that is timed
 *
 * Under `-icount` QEMU runs the cores in turn on one thread; the clock is the count of all cores, and QEMU does not tell plugins which
 * core runs. Without it each core has a thread; core 0's count is right, and the count of all means nothing.
 *
 * The other end of the serial line is a process for which the guest's clock does not wait, and QEMU moves 16 bytes at a time. So the time
 * is the wire's, and not counted, from where the guest finds the FIFO empty in the middle of a line until it reads the next byte.
 *
 * Instructions are counted by translation blocks; the rest of a block behind an access to a device counts twice (QEMU begins it anew).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "qemu.h"

EXPORTED int qemu_plugin_version = 4;

enum { CORES = 4, LINE_BYTES = 4096 };
/* PL011 TRM (Arm DDI 0183): UARTDR, UARTFR and its bit RXFE. */
enum { DATA = 0x00, FLAG = 0x18, RECEIVE_EMPTY = 1 << 4, REGISTERS_BYTES = 0x1000 };
static const uint64_t KERNEL_START = UINT64_C(1) << 63;

static struct {
    uint64_t count;
    char padding[64 - sizeof(uint64_t)];
} executed[CORES];
static uint64_t uart;
static const char *text;
static FILE *out;

/* The line that is being read. Only core 0 touches the UART. */
static char line[LINE_BYTES + 1];
static size_t line_bytes;
static bool is_timed, is_wires;
/* Counts up to where the time began that is being counted, and what was counted before. */
static uint64_t own_before, all_before, own, all;

static uint64_t all_executed(void) {
    uint64_t sum = 0;
    for (int core = 0; core < CORES; core++) {
        sum += executed[core].count;
    }
    return sum;
}

static void begin_counting(void) {
    own_before = executed[0].count;
    all_before = all_executed();
}

static void end_counting(void) {
    own += executed[0].count - own_before;
    all += all_executed() - all_before;
}

static void note_received(char byte) {
    if (line_bytes == 0) {
        own = all = 0;
        is_timed = false;
    }
    if (line_bytes == 0 || is_wires) {
        begin_counting();
        is_wires = false;
    }
    if (byte != '\n' && byte != '\r') {
        line[line_bytes] = byte;
        line_bytes += line_bytes < LINE_BYTES;
        return;
    }
    line[line_bytes] = '\0';
    is_timed = line_bytes > 0 && strstr(line, text) != NULL;
    line_bytes = 0;
}

static void note_empty(void) {
    if (line_bytes > 0 && !is_wires) {
        end_counting();
        is_wires = true;
    }
}

static void note_sent(void) {
    if (is_timed) {
        end_counting();
        fprintf(out, "%" PRIu64 " %" PRIu64 "\n", own, all);
        fflush(out);
        is_timed = false;
    }
}

static void at_access(unsigned core, uint32_t access, uint64_t address, void *data) {
    (void)core;
    (void)data;
    if (address - uart >= REGISTERS_BYTES) {
        return;
    }
    bool is_write = qemu_plugin_mem_is_store(access);
    uint32_t value = qemu_plugin_mem_get_value(access).data.u32;
    if (address - uart == FLAG && (value & RECEIVE_EMPTY) != 0) {
        note_empty();
    } else if (address - uart == DATA && is_write) {
        note_sent();
    } else if (address - uart == DATA) {
        note_received((char)value);
    }
}

static void at_block(unsigned core, void *instructions) {
    executed[core % CORES].count += (uintptr_t)instructions;
}

static void at_translation(plugin_id id, struct tb *tb) {
    (void)id;
    size_t length = qemu_plugin_tb_n_insns(tb);
    /* Not inline: QEMU 10.0.2 spoils a constant of the block with that under -icount. */
    qemu_plugin_register_vcpu_tb_exec_cb(tb, at_block, NO_REGISTERS, (void *)(uintptr_t)length);
    for (size_t i = 0; i < length; i++) {
        struct insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (qemu_plugin_insn_vaddr(insn) >= KERNEL_START) {
            qemu_plugin_register_vcpu_mem_cb(insn, at_access, NO_REGISTERS, READS_AND_WRITES, NULL);
        }
    }
}

static bool take(const char *argument) {
    const char *value;
    if ((value = value_of(argument, "out="))) {
        out = fopen(value, "w");
        return out != NULL;
    }
    if ((value = value_of(argument, "uart="))) {
        uart = strtoull(value, NULL, 16);
        return uart != 0;
    }
    if ((value = value_of(argument, "text="))) {
        text = strdup(value);
        return text != NULL;
    }
    return false;
}

/* The second argument tells about QEMU and is not used. */
EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    if (!take_all("response", take, argc, argv)) {
        return -1;
    }
    if (out == NULL || uart == 0 || text == NULL) {
        fprintf(stderr, "response plugin: out=, uart= and text= are needed\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, at_translation);
    return 0;
}
