# The guest of the accelerator probe: does what any kernel does first, and reports through QEMU's
# isa-debug-exit. It is entered as the PVH boot ABI says (Xen docs/misc/pvh.pandoc): 32-bit
# protected mode, flat segments, no paging. Then: paging, long mode, cpuid, fresh memory, an
# interrupt of the timer. A virtual processor that fails in any of these never reaches the report.

#include "probe_report.h"

        .set    kCodeSegment, 0x08
        .set    kDataSegment, 0x10
        .set    kTimerVector, 0x20
        .set    kLocalApic, 0xfee00000
        .set    kFreshMemory, 32 << 20  # of 64 MiB
        .set    kFreshBytes, 1 << 20

        .section .note, "a", @note
        .balign 4
        .long   4, 4, 18                # XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   start

        .text
        .code32
        .globl  start
start:
        cli
        mov     $stack_end, %esp

        # One gigabyte mapped to itself in pages of 2 MiB.
        movl    $(level3 + 3), level4
        movl    $(level2 + 3), level3
        mov     $level2, %edi
        mov     $0x83, %eax             # present, writable, large
        mov     $512, %ecx
1:      mov     %eax, (%edi)
        add     $0x200000, %eax
        add     $8, %edi
        loop    1b
        # And the local APIC's registers, uncached.
        movl    $(apic_level2 + 3), level3 + 3 * 8
        movl    $(kLocalApic + 0x9b), apic_level2 + ((kLocalApic >> 21) & 511) * 8

        mov     $level4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $0x20, %eax             # PAE
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $0x100, %eax            # LME
        wrmsr
        mov     %cr0, %eax
        or      $0x80000001, %eax       # PG, PE
        mov     %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $kCodeSegment, $long_mode

        .code64
long_mode:
        mov     $kDataSegment, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss

        xor     %eax, %eax
        cpuid
        mov     $1, %eax
        cpuid
        mov     $0x80000001, %eax
        cpuid
        bt      $29, %edx               # LM: the mode we are in
        jnc     stop
        rdtsc

        # Memory that nobody has touched yet, cleared as a kernel clears its own. On some nested
        # hosts the first write to each page takes milliseconds, and Linux seems to hang.
        mov     $kFreshMemory, %edi
        mov     $kFreshBytes, %ecx
        xor     %eax, %eax
        rep stosb

        # The gate of the timer's vector.
        lea     on_timer(%rip), %rax
        lea     idt + kTimerVector * 16(%rip), %rdi
        mov     %ax, (%rdi)
        movw    $kCodeSegment, 2(%rdi)
        movw    $0x8e00, 4(%rdi)        # present, 64-bit interrupt gate
        shr     $16, %rax
        mov     %ax, 6(%rdi)
        movl    $0, 8(%rdi)
        lidt    idt_pointer(%rip)

        # The local APIC: on, and its timer to fire once after a million of its ticks, 1 ms.
        mov     $kLocalApic, %ebx
        movl    $0x1ff, 0xf0(%rbx)      # spurious vector, enabled
        movl    $0xb, 0x3e0(%rbx)       # divide by 1
        movl    $kTimerVector, 0x320(%rbx)
        movl    $1000000, 0x380(%rbx)
        sti
2:      hlt
        jmp     2b

on_timer:
        mov     $PROBE_REPORT, %al
        out     %al, $0xf4
stop:   cli
        hlt
        jmp     stop

        .data
        .balign 16
gdt:    .quad   0
        .quad   0x00af9b000000ffff      # 64-bit code
        .quad   0x00cf93000000ffff      # data
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt
        .balign 16
idt_pointer:
        .word   (kTimerVector + 1) * 16 - 1
        .quad   idt

        .bss
        .balign 4096
level4: .skip   4096
level3: .skip   4096
level2: .skip   4096
apic_level2:
        .skip   4096
idt:    .skip   (kTimerVector + 1) * 16
        .balign 16
        .skip   4096
stack_end:
