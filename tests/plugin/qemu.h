/* What the plugins use of QEMU's TCG (9.2 or later), declared here so that no header has to be installed: docs/devel/tcg-plugins.rst and
 * include/qemu/qemu-plugin.h there. */
#ifndef QEMU_H
#define QEMU_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct tb;
struct insn;
struct scoreboard;
typedef struct {
    struct scoreboard *score;
    size_t offset;
} counter;
/* What an access moved; the width is that of the access. */
typedef struct {
    int kind;
    union {
        uint32_t u32;
        struct {
            uint64_t low, high;
        } u128;
    } data;
} moved_value;
enum { INLINE_ADD_U64 = 0 };
enum { NO_REGISTERS = 0 };
enum { READS_AND_WRITES = 3 };

extern struct scoreboard *qemu_plugin_scoreboard_new(size_t bytes);
extern uint64_t qemu_plugin_u64_sum(counter counter);
extern size_t qemu_plugin_tb_n_insns(const struct tb *tb);
extern struct insn *qemu_plugin_tb_get_insn(const struct tb *tb, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct insn *insn);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id, struct tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *tb, void (*callback)(unsigned, void *), int registers, void *data);
extern void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct tb *tb, int operation, counter counter, uint64_t number);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct insn *insn, void (*callback)(unsigned, void *), int registers, void *data);
extern void qemu_plugin_register_vcpu_mem_cb(struct insn *insn, void (*callback)(unsigned, uint32_t, uint64_t, void *), int registers,
                                             int which, void *data);
extern bool qemu_plugin_mem_is_store(uint32_t access);
extern moved_value qemu_plugin_mem_get_value(uint32_t access);

/* The value of `key=value`; NULL if the argument is another one. The key has its `=`. */
static inline const char *value_of(const char *argument, const char *key) {
    size_t length = strlen(key);
    return strncmp(argument, key, length) == 0 ? argument + length : NULL;
}

/* Takes all arguments; says which one cannot be taken. */
static inline bool take_all(const char *plugin, bool (*take)(const char *), int count, char **arguments) {
    for (int i = 0; i < count; i++) {
        if (!take(arguments[i])) {
            fprintf(stderr, "%s plugin: bad argument %s\n", plugin, arguments[i]);
            return false;
        }
    }
    return true;
}
#endif
