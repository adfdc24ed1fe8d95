# The smallest guest that proves an accelerator: one boot sector that goes from real mode over
# protected mode to long mode, works for a while there, and says so.
#
# It writes one letter to the debug console (port 0xe9) at each stage, so that the host knows how
# far a guest came and can time the work:
#
#   R  real mode: the firmware ran and loaded this sector
#   P  protected mode, 32 bits
#   L  long mode, 64 bits, paging on; a round of work begins
#   D  a round of work is done (ROUNDS times, each beginning with L)
#   F  the work gave a wrong result
#
# and ends the machine through isa-debug-exit (port 0xf4): 0x10 when all was well, 0x11 otherwise.
#
# Build:  as --64 -o boot_probe.o boot_probe.S
#         ld -m elf_x86_64 -Ttext 0x7c00 --oformat binary -o boot_probe.bin boot_probe.o

        .intel_syntax noprefix

        .set    CONSOLE, 0xe9
        .set    FINISH, 0xf4
        .set    TABLES, 0x1000          # three page tables, 4 KiB each, in free low memory
        .set    SCRATCH, 0x8000         # 32 KiB for the work, free low memory
        .set    ROUNDS, 3
        .set    ITERATIONS, 2000000     # of the inner loop, in each round
        .set    EXPECTED, 0x66ecdddc8734788d    # what a round must compute

        .globl  _start
        .code16
_start: cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        ljmp    0, offset real          # some firmware starts us at 07c0:0000
real:   mov     al, 'R'
        out     CONSOLE, al

        in      al, 0x92                # address line 20, by the quick way
        or      al, 2
        and     al, 0xfe
        out     0x92, al

        mov     di, TABLES              # one level each, mapping the first 2 MiB to themselves
        mov     cx, 3 * 4096 / 2
        xor     ax, ax
        rep stosw
        mov     word ptr [TABLES], TABLES + 0x1000 + 3
        mov     word ptr [TABLES + 0x1000], TABLES + 0x2000 + 3
        mov     word ptr [TABLES + 0x2000], 0x83

        lgdt    [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        ljmp    0x08, offset protected

        .code32
protected:
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, 0x7c00
        mov     al, 'P'
        out     CONSOLE, al

        mov     eax, cr4
        or      al, 1 << 5              # physical address extension
        mov     cr4, eax
        mov     eax, TABLES
        mov     cr3, eax
        mov     ecx, 0xc0000080         # EFER
        rdmsr
        or      ah, 1                   # long mode enable
        wrmsr
        mov     eax, cr0
        or      eax, 1 << 31            # paging
        mov     cr0, eax
        ljmp    0x18, offset long

        .code64
long:   mov     ebp, ROUNDS
round:  mov     al, 'L'
        out     CONSOLE, al
        mov     ecx, ITERATIONS
        mov     rax, 0x9e3779b97f4a7c15 # any odd constant; this one is 2^64 divided by the golden ratio
        xor     ebx, ebx
        # What guests do all day: arithmetic, loads and stores in different places, calls, branches
        # that go both ways.
work:   imul    rbx, rax
        add     rbx, rcx
        mov     rdx, rbx
        shr     rdx, 49                 # 15 bits: a place in the scratch memory
        and     dl, 0xf8
        mov     [rdx + SCRATCH], rcx
        test    bl, 1
        jz      even
        call    mix
even:   xor     rbx, [rdx + SCRATCH]
        add     rbx, rdx
        dec     ecx
        jnz     work
        jmp     check
mix:    rol     rbx, 17
        ret
check:  mov     rdx, EXPECTED
        cmp     rbx, rdx
        jne     wrong
        mov     al, 'D'
        out     CONSOLE, al
        dec     ebp
        jnz     round
        mov     eax, 0x10
        jmp     finish
wrong:  mov     al, 'F'
        out     CONSOLE, al
        mov     eax, 0x11
finish: out     FINISH, eax
halt:   hlt
        jmp     halt

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff      # 0x08: code, 32 bits, 4 GiB
        .quad   0x00cf92000000ffff      # 0x10: data, 4 GiB
        .quad   0x00af9a000000ffff      # 0x18: code, 64 bits
gdt_pointer:
        .word   4 * 8 - 1
        .long   gdt

        .org    510
        .word   0xaa55
