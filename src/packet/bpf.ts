// A classic BPF program: its layout, and the check that every program passes before it runs. Opcodes: bpf-opcode.ts.
// Specification: McCanne and Jacobson, "The BSD Packet Filter" (1993); bpf(4), pcap/bpf.h.
//
// libpcap's compiler gives instructions of 64 bits; here they are two words each in one Uint32Array:
//
//    31    24 23    16 15                    0
//   +--------+--------+-----------------------+
//   |   jf   |   jt   |         code          |  word 2i
//   +--------+--------+-----------------------+
//   |                    k                    |  word 2i + 1
//   +-----------------------------------------+
//
// Invariant: what `validateBpf` returns normally for needs no check of opcodes, jump targets, scratch indexes or
// constant divisors at run time. Offsets into the packet are checked at run time, by whoever runs it.
import { NfstreamError } from '../errors.ts';
import * as op from './bpf-opcode.ts';

/** Instructions as above. An odd length is no program. */
export type BpfProgram = Uint32Array;

/**
 * A program made runnable: how many bytes of the frame it accepts, 0 for none. The frame is
 * `view[at .. at + capturedLength)`; nothing outside it is read, and `view` must hold all of it.
 */
export type BpfFunction = (view: DataView, at: number, capturedLength: number, wireLength: number) => number;

/** Words of scratch memory, M[0] to M[15]. */
export const BPF_MEMORY_WORDS = 16;
/** More than that is no filter that anybody wrote; a filter of 10,000 addresses has some 50,000. */
export const BPF_INSTRUCTIONS_MAX = 1 << 18;

const ALU = [
  op.ALU_ADD,
  op.ALU_SUB,
  op.ALU_MUL,
  op.ALU_DIV,
  op.ALU_OR,
  op.ALU_AND,
  op.ALU_LSH,
  op.ALU_RSH,
  op.ALU_MOD,
  op.ALU_XOR,
];
const CONDITIONAL = [op.JEQ, op.JGT, op.JGE, op.JSET];
const MEMORY = new Set([op.LD_MEM, op.LDX_MEM, op.ST, op.STX]);
const RETURNS = new Set([op.RET_K, op.RET_A]);
const JUMPS = new Set(CONDITIONAL.flatMap((code) => [code, code | op.X]));

/** Every opcode there is. Exported for tests that make programs. */
export const BPF_CODES: ReadonlySet<number> = new Set([
  op.LD_W_ABS,
  op.LD_H_ABS,
  op.LD_B_ABS,
  op.LDX_MSH,
  ...MEMORY,
  ...RETURNS,
  ...JUMPS,
  ...ALU.flatMap((code) => [code, code | op.X]),
  op.LD_W_IND,
  op.LD_H_IND,
  op.LD_B_IND,
  op.LD_LEN,
  op.LD_IMM,
  op.LDX_IMM,
  op.LDX_LEN,
  op.ALU_NEG,
  op.JA,
  op.TAX,
  op.TXA,
]);

/** Where a conditional jump at `index` goes when its condition holds. */
export const bpfJumpTrue = (program: BpfProgram, index: number): number =>
  index + 1 + ((program[2 * index] >>> 16) & 0xff);
/** Where it goes otherwise. */
export const bpfJumpFalse = (program: BpfProgram, index: number): number => index + 1 + (program[2 * index] >>> 24);
/** Where the unconditional jump at `index` goes; k is signed there, and negative in libpcap's `protochain` loops. */
export const bpfJumpAlways = (program: BpfProgram, index: number): number => index + 1 + (program[2 * index + 1] | 0);
export const isBpfConditional = (code: number): boolean => JUMPS.has(code);

const isDivision = (code: number): boolean => code === op.ALU_DIV || code === op.ALU_MOD;

/**
 * Throws INVALID_FILTER, naming the instruction, when a program could leave itself, use memory that is not there,
 * divide by a constant zero, has an unknown opcode or does not end in a return.
 */
export function validateBpf(program: BpfProgram): void {
  const count = program.length / 2;
  const refuse = (index: number, expected: string, received: unknown): never => {
    throw new NfstreamError(
      'INVALID_FILTER',
      `Expected ${expected} for instruction ${index} of the filter program and received ${received}`,
    );
  };
  if (!Number.isInteger(count) || count < 1 || count > BPF_INSTRUCTIONS_MAX) {
    throw new NfstreamError(
      'INVALID_FILTER',
      `Expected 1 to ${BPF_INSTRUCTIONS_MAX} instructions for the filter program and received ${count}`,
    );
  }
  for (let index = 0; index < count; index++) {
    const code = program[2 * index] & 0xffff;
    const k = program[2 * index + 1];
    if (!BPF_CODES.has(code)) refuse(index, 'a known opcode', `0x${code.toString(16)}`);
    if (MEMORY.has(code) && k >= BPF_MEMORY_WORDS) refuse(index, 'a scratch index of 0 to 15', k);
    if (isDivision(code) && k === 0) refuse(index, 'a divisor', 0);
    if (code === op.JA) {
      const target = bpfJumpAlways(program, index);
      if (target < 0 || target >= count) refuse(index, `a jump to 0 to ${count - 1}`, target);
    } else if (JUMPS.has(code)) {
      const target = Math.max(bpfJumpTrue(program, index), bpfJumpFalse(program, index));
      if (target >= count) refuse(index, `jumps to at most ${count - 1}`, target);
    }
  }
  const last = program[2 * count - 2] & 0xffff;
  if (!RETURNS.has(last)) refuse(count - 1, 'a return', `0x${last.toString(16)}`);
}

/** Whether a valid program has a backward jump. Only `protochain` makes them. */
export function hasBpfLoop(program: BpfProgram): boolean {
  for (let index = 0; 2 * index < program.length; index++) {
    if ((program[2 * index] & 0xffff) === op.JA && bpfJumpAlways(program, index) <= index) return true;
  }
  return false;
}
