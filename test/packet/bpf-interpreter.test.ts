// What each instruction does, for both ways to run a program. The expected values follow from the definition of the
// machine: unsigned words of 32 bits, big-endian loads, rejection of loads outside and of divisions by zero.

import { describe, expect, it } from 'vitest';
import * as bpf from '../../src/packet/bpf.ts';
import { compileBpf } from '../../src/packet/bpf-compiler.ts';
import { interpretBpf } from '../../src/packet/bpf-interpreter.ts';
import * as op from '../../src/packet/bpf-opcode.ts';
import { type Instruction, program, run } from './bpf-programs.ts';

const FRAME = [0x45, 0x81, 0x02, 0xf3, 0x14, 0xff, 0xfe, 0xfd];
const RET_A: Instruction = { code: op.RET_A };
const REJECTED = 0;

/** A <- a, X <- x, the instruction, return A. */
const on = (a: number, x: number, instruction: Instruction): Instruction[] => [
  { code: op.LDX_IMM, k: x },
  { code: op.LD_IMM, k: a },
  instruction,
  RET_A,
];
const withX = (code: number): number => code | op.X;
/** 1 when the jump is taken, else 2. */
const branch = (a: number, x: number, code: number, k = 0): Instruction[] => [
  ...on(a, x, { code, k, jt: 1, jf: 0 }).slice(0, 3),
  { code: op.RET_K, k: 2 },
  { code: op.RET_K, k: 1 },
];

describe.each([
  ['interpretBpf', interpretBpf],
  ['compileBpf', compileBpf],
])('%s', (_, make) => {
  it.each<[string, Instruction[], number]>([
    ['ret #k, as an unsigned word', [{ code: op.RET_K, k: -1 }], 0xffffffff],
    ['ret a of a fresh accumulator', [RET_A], 0],
    ['ret a, as an unsigned word', on(0x80000000, 0, { code: op.ST, k: 0 }), 0x80000000],
    ['ld [k]', [{ code: op.LD_W_ABS, k: 0 }, RET_A], 0x458102f3],
    ['ld [k], the top bit set', [{ code: op.LD_W_ABS, k: 3 }, RET_A], 0xf314fffe],
    ['ld [k], the last word', [{ code: op.LD_W_ABS, k: 4 }, RET_A], 0x14fffefd],
    ['ld [k], a byte too far', [{ code: op.LD_W_ABS, k: 5 }, RET_A], REJECTED],
    ['ldh [k]', [{ code: op.LD_H_ABS, k: 6 }, RET_A], 0xfefd],
    ['ldh [k], a byte too far', [{ code: op.LD_H_ABS, k: 7 }, RET_A], REJECTED],
    ['ldb [k]', [{ code: op.LD_B_ABS, k: 7 }, RET_A], 0xfd],
    ['ldb [k], a byte too far', [{ code: op.LD_B_ABS, k: 8 }, RET_A], REJECTED],
    ['ldb [k], huge', [{ code: op.LD_B_ABS, k: 0x80000000 }, RET_A], REJECTED],
    ['ldb [k], negative, which Linux means something by', [{ code: op.LD_B_ABS, k: -4092 }, RET_A], REJECTED],
    ['ldb [k], at the edge of int32', [{ code: op.LD_B_ABS, k: 0x7fffffff }, RET_A], REJECTED],
    ['ld [x + k]', on(0, 1, { code: op.LD_W_IND, k: 2 }), 0xf314fffe],
    ['ld [x + k], a byte too far', on(0, 1, { code: op.LD_W_IND, k: 4 }), REJECTED],
    ['ldh [x + k]', on(0, 6, { code: op.LD_H_IND, k: 0 }), 0xfefd],
    ['ldh [x + k], a byte too far', on(0, 6, { code: op.LD_H_IND, k: 1 }), REJECTED],
    ['ldb [x + k]', on(0, 3, { code: op.LD_B_IND, k: 4 }), 0xfd],
    ['ldb [x + k], a byte too far', on(0, 4, { code: op.LD_B_IND, k: 4 }), REJECTED],
    ['ldb [x + k], no wrapping: a negative x', on(0, -1, { code: op.LD_B_IND, k: 2 }), REJECTED],
    ['ldb [x + k], no wrapping: a negative k', on(0, 2, { code: op.LD_B_IND, k: -1 }), REJECTED],
    ['ld [x + k], both huge', on(0, 0x7fffffff, { code: op.LD_W_IND, k: 0x7fffffff }), REJECTED],
    ['ld #len', [{ code: op.LD_LEN }, RET_A], 1500],
    ['ldx #len', [{ code: op.LDX_LEN }, { code: op.TXA }, RET_A], 1500],
    ['ldx 4*([k]&0xf)', [{ code: op.LDX_MSH, k: 0 }, { code: op.TXA }, RET_A], 20],
    [
      'ldx 4*([k]&0xf), a byte too far',
      [
        { code: op.LDX_MSH, k: 8 },
        { code: op.RET_K, k: 1 },
      ],
      REJECTED,
    ],
    ['ldx #k, txa', on(1, 7, { code: op.TXA }), 7],
    [
      'st and ldx of memory',
      [
        { code: op.LD_IMM, k: -2 },
        { code: op.ST, k: 15 },
        { code: op.LDX_MEM, k: 15 },
        { code: op.LD_IMM, k: 0 },
        { code: op.TXA },
        RET_A,
      ],
      0xfffffffe,
    ],
    ['stx and ld of memory', [{ code: op.LDX_IMM, k: 9 }, { code: op.STX, k: 3 }, { code: op.LD_MEM, k: 3 }, RET_A], 9],
    ['fresh memory', on(5, 0, { code: op.LD_MEM, k: 7 }), 0],
    [
      'tax',
      [{ code: op.LD_IMM, k: 6 }, { code: op.TAX }, { code: op.LD_IMM, k: 0 }, { code: withX(op.ALU_ADD) }, RET_A],
      6,
    ],
    ['add wraps', on(0xffffffff, 0, { code: op.ALU_ADD, k: 3 }), 2],
    ['add x', on(1, 0xfffffffe, { code: withX(op.ALU_ADD) }), 0xffffffff],
    ['sub wraps', on(1, 0, { code: op.ALU_SUB, k: 2 }), 0xffffffff],
    ['sub x', on(10, 4, { code: withX(op.ALU_SUB) }), 6],
    ['mul, the low 32 bits', on(0xfffffffb, 0, { code: op.ALU_MUL, k: 0xfffffff9 }), 35],
    ['mul x', on(0x10001, 0x10001, { code: withX(op.ALU_MUL) }), 0x20001],
    ['div is unsigned', on(0xfffffffe, 0, { code: op.ALU_DIV, k: 2 }), 0x7fffffff],
    ['div by the largest', on(0xfffffffe, 0, { code: op.ALU_DIV, k: 0xffffffff }), 0],
    ['div by 1 keeps the top bit', on(0xffffffff, 0, { code: op.ALU_DIV, k: 1 }), 0xffffffff],
    ['div x', on(0xffffffff, 0x80000000, { code: withX(op.ALU_DIV) }), 1],
    ['div x of 0', on(7, 0, { code: withX(op.ALU_DIV) }), REJECTED],
    ['mod is unsigned', on(0xffffffff, 0, { code: op.ALU_MOD, k: 10 }), 5],
    ['mod x', on(0xfffffffe, 0xffffffff, { code: withX(op.ALU_MOD) }), 0xfffffffe],
    ['mod x of 0', on(7, 0, { code: withX(op.ALU_MOD) }), REJECTED],
    ['or', on(0x80000001, 0, { code: op.ALU_OR, k: 6 }), 0x80000007],
    ['or x', on(1, 0x80000000, { code: withX(op.ALU_OR) }), 0x80000001],
    ['and', on(0xff00ff00, 0, { code: op.ALU_AND, k: 0x8000ffff }), 0x8000ff00],
    ['and x', on(12, 10, { code: withX(op.ALU_AND) }), 8],
    ['xor', on(0xffffffff, 0, { code: op.ALU_XOR, k: 1 }), 0xfffffffe],
    ['xor x', on(12, 10, { code: withX(op.ALU_XOR) }), 6],
    ['lsh', on(3, 0, { code: op.ALU_LSH, k: 31 }), 0x80000000],
    ['lsh x', on(1, 4, { code: withX(op.ALU_LSH) }), 16],
    ['lsh x by 32', on(1, 32, { code: withX(op.ALU_LSH) }), 0],
    ['lsh x by a negative', on(1, -31, { code: withX(op.ALU_LSH) }), 0],
    ['lsh by 32', on(1, 0, { code: op.ALU_LSH, k: 32 }), 0],
    ['rsh is unsigned', on(0x80000000, 0, { code: op.ALU_RSH, k: 31 }), 1],
    ['rsh by 0 keeps the top bit', on(0x80000000, 0, { code: op.ALU_RSH, k: 0 }), 0x80000000],
    ['rsh x', on(0xf0000000, 28, { code: withX(op.ALU_RSH) }), 15],
    ['rsh x by 33', on(0xffffffff, 33, { code: withX(op.ALU_RSH) }), 0],
    ['neg', on(1, 0, { code: op.ALU_NEG }), 0xffffffff],
    ['neg of 0', on(0, 0, { code: op.ALU_NEG }), 0],
    [
      'ja',
      [
        { code: op.JA, k: 1 },
        { code: op.RET_K, k: 1 },
        { code: op.RET_K, k: 2 },
      ],
      2,
    ],
    ['jeq taken', branch(0xffffffff, 0, op.JEQ, -1), 1],
    ['jeq not taken', branch(5, 0, op.JEQ, 6), 2],
    ['jeq x taken', branch(0x80000000, 0x80000000, withX(op.JEQ)), 1],
    ['jeq x not taken', branch(1, 2, withX(op.JEQ)), 2],
    ['jgt is unsigned', branch(0x80000000, 0, op.JGT, 1), 1],
    ['jgt of the same', branch(7, 0, op.JGT, 7), 2],
    ['jgt x', branch(2, 0xffffffff, withX(op.JGT)), 2],
    ['jge of the same', branch(7, 0, op.JGE, 7), 1],
    ['jge is unsigned', branch(1, 0, op.JGE, 0x80000000), 2],
    ['jge x', branch(0xffffffff, 0xfffffffe, withX(op.JGE)), 1],
    ['jset of the top bit', branch(0x80000000, 0, op.JSET, 0x80000000), 1],
    ['jset of none', branch(6, 0, op.JSET, 9), 2],
    ['jset x', branch(6, 2, withX(op.JSET)), 1],
  ])('%s', (_name, instructions, expected) => {
    const code = program(...instructions);
    bpf.validateBpf(code);
    expect(run(make(code), FRAME, 1500)).toBe(expected);
  });

  it('starts every packet with clear registers and memory', () => {
    const accepts = make(
      program(
        { code: op.LD_MEM, k: 0 },
        { code: op.JEQ, jf: 3 },
        { code: op.LD_IMM, k: 1 },
        { code: op.ST, k: 0 },
        { code: op.RET_K, k: 1 },
        { code: op.RET_K, k: 2 },
      ),
    );
    expect([run(accepts, FRAME), run(accepts, FRAME)]).toEqual([1, 1]);
  });

  it('ends a loop that gets nowhere', () => {
    expect(run(make(program({ code: op.JA, k: -1 }, { code: op.RET_K, k: 1 })), FRAME)).toBe(REJECTED);
  });

  it('walks a loop that ends', () => {
    // X goes up by 1 until P[x] is 0x14.
    const walk = program(
      { code: op.LD_B_IND, k: 0 },
      { code: op.JEQ, k: 0x14, jt: 4 },
      { code: op.TXA },
      { code: op.ALU_ADD, k: 1 },
      { code: op.TAX },
      { code: op.JA, k: -6 },
      { code: op.TXA },
      RET_A,
    );
    expect(run(make(walk), FRAME)).toBe(4);
  });
});
