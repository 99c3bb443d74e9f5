import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NfstreamError } from '../../src/errors.ts';
import { BPF_CODES, hasBpfLoop, validateBpf } from '../../src/packet/bpf.ts';
import { compileBpf } from '../../src/packet/bpf-compiler.ts';
import { interpretBpf } from '../../src/packet/bpf-interpreter.ts';
import * as op from '../../src/packet/bpf-opcode.ts';
import { type Instruction, program, run, validProgram } from './bpf-programs.ts';

const RET: Instruction = { code: op.RET_K };

describe('validateBpf', () => {
  it.each<[string, Uint32Array, RegExp]>([
    ['nothing', new Uint32Array(0), /1 to \d+ instructions .* received 0/],
    ['half an instruction', new Uint32Array([op.RET_K, 0, op.RET_K]), /received 1.5/],
    ['too many instructions', new Uint32Array(2 * ((1 << 18) + 1)).fill(op.RET_K), /received 262145/],
    ['an unknown opcode', program({ code: 0xff }, RET), /known opcode for instruction 0 .* received 0xff/],
    ['the NetBSD coprocessor', program({ code: 0x27 }, RET), /known opcode .* received 0x27/],
    ['bits above the opcode', program({ code: 0x100 }, RET), /known opcode .* received 0x100/],
    ['no return at the end', program(RET, { code: op.LD_IMM }), /a return for instruction 1/],
    ['a jump as the end', program({ code: op.JA, k: -1 }), /a return for instruction 0/],
    ['a conditional jump just past the end', program({ code: op.JEQ, jt: 1 }, RET), /at most 1 .* received 2/],
    ['the false branch past the end', program({ code: op.JEQ, jf: 255 }, RET), /received 256/],
    ['a long jump past the end', program({ code: op.JA, k: 1 }, RET), /jump to 0 to 1 .* received 2/],
    ['a long jump before the start', program(RET, { code: op.JA, k: -3 }, RET), /received -1/],
    ['a store past the memory', program({ code: op.ST, k: 16 }, RET), /0 to 15 .* received 16/],
    ['a load past the memory', program({ code: op.LD_MEM, k: 0xffffffff }, RET), /received 4294967295/],
    ['a division by zero', program({ code: op.ALU_DIV }, RET), /a divisor/],
    ['a remainder by zero', program({ code: op.ALU_MOD }, RET), /a divisor/],
  ])('refuses %s', (_, bad, message) => {
    expect(() => validateBpf(bad)).toThrow(message);
    expect(() => validateBpf(bad)).toThrow(expect.objectContaining({ code: 'INVALID_FILTER' }));
  });

  it.each<[string, Uint32Array]>([
    ['a lone return', program(RET)],
    ['the furthest jumps', program({ code: op.JEQ, jt: 1, jf: 0 }, RET, RET)],
    ['the last word of memory', program({ code: op.ST, k: 15 }, RET)],
    ['a division by X', program({ code: op.ALU_DIV | op.X }, RET)],
    ['a huge offset, which no packet has', program({ code: op.LD_B_ABS, k: -1 }, RET)],
    ['a huge constant beside X', program({ code: op.LD_B_IND, k: -1 }, RET)],
  ])('takes %s', (_, good) => {
    validateBpf(good);
  });

  it('takes every opcode of pcap/bpf.h', () => {
    // Classes LD, LDX, ST, STX, ALU (10 operations with K or X, and NEG), JMP (4 with K or X, and JA), RET, MISC.
    expect(BPF_CODES.size).toBe(9 + 4 + 1 + 1 + 21 + 9 + 2 + 2);
    for (const code of BPF_CODES) validateBpf(program({ code, k: code === op.JA ? 0 : 1 }, RET));
  });

  it('either refuses random bytes or what it let pass runs to its end', () => {
    const bytes = fc.array(fc.tuple(fc.constantFrom(...BPF_CODES, 0xff), fc.nat(), fc.integer()), { maxLength: 12 });
    const frame = fc.array(fc.nat(255), { maxLength: 40 });
    let taken = 0;
    fc.assert(
      fc.property(bytes, frame, (words, packet) => {
        const any = program(
          ...words.map(([code, jumps, k]) => ({ code, jt: jumps & 3, jf: (jumps >> 2) & 3, k })),
          RET,
        );
        try {
          validateBpf(any);
        } catch (error) {
          expect(error).toBeInstanceOf(NfstreamError);
          return;
        }
        taken++;
        for (const accepts of [interpretBpf(any), compileBpf(any)])
          expect(run(accepts, packet)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  it('takes what the generator of valid programs makes', () => {
    fc.assert(fc.property(validProgram, (valid) => validateBpf(valid)));
  });
});

describe('hasBpfLoop', () => {
  it('is true for a jump backward or onto itself only', () => {
    expect(hasBpfLoop(program({ code: op.JA, k: 0 }, RET))).toBe(false);
    expect(hasBpfLoop(program({ code: op.JA, k: -1 }, RET))).toBe(true);
    expect(hasBpfLoop(program(RET, { code: op.JA, k: -2 }, RET))).toBe(true);
  });
});
