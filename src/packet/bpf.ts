// A classic BPF program: its layout here, its opcodes, and the check that every program passes before it runs.
// Specification: McCanne and Jacobson, "The BSD Packet Filter" (1993); bpf(4); the values are those of pcap/bpf.h.
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

export const BPF_LD_W_ABS = 0x20;
export const BPF_LD_H_ABS = 0x28;
export const BPF_LD_B_ABS = 0x30;
export const BPF_LD_W_IND = 0x40;
export const BPF_LD_H_IND = 0x48;
export const BPF_LD_B_IND = 0x50;
export const BPF_LD_LEN = 0x80;
export const BPF_LD_IMM = 0x00;
export const BPF_LD_MEM = 0x60;
export const BPF_LDX_IMM = 0x01;
export const BPF_LDX_MEM = 0x61;
export const BPF_LDX_LEN = 0x81;
/** X <- 4 * (P[k] & 0xf): the length of an IPv4 header. */
export const BPF_LDX_MSH = 0xb1;
export const BPF_ST = 0x02;
export const BPF_STX = 0x03;
export const BPF_ALU_ADD = 0x04;
export const BPF_ALU_SUB = 0x14;
export const BPF_ALU_MUL = 0x24;
export const BPF_ALU_DIV = 0x34;
export const BPF_ALU_OR = 0x44;
export const BPF_ALU_AND = 0x54;
export const BPF_ALU_LSH = 0x64;
export const BPF_ALU_RSH = 0x74;
export const BPF_ALU_NEG = 0x84;
export const BPF_ALU_MOD = 0x94;
export const BPF_ALU_XOR = 0xa4;
export const BPF_JA = 0x05;
export const BPF_JEQ = 0x15;
export const BPF_JGT = 0x25;
export const BPF_JGE = 0x35;
export const BPF_JSET = 0x45;
/** Set in an ALU or conditional jump code: the operand is X, not k. */
export const BPF_X = 0x08;
export const BPF_RET_K = 0x06;
export const BPF_RET_A = 0x16;
export const BPF_TAX = 0x07;
export const BPF_TXA = 0x87;

const ALU = [
  BPF_ALU_ADD,
  BPF_ALU_SUB,
  BPF_ALU_MUL,
  BPF_ALU_DIV,
  BPF_ALU_OR,
  BPF_ALU_AND,
  BPF_ALU_LSH,
  BPF_ALU_RSH,
  BPF_ALU_MOD,
  BPF_ALU_XOR,
];
const CONDITIONAL = [BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET];
const MEMORY = new Set([BPF_LD_MEM, BPF_LDX_MEM, BPF_ST, BPF_STX]);
const RETURNS = new Set([BPF_RET_K, BPF_RET_A]);
const JUMPS = new Set(CONDITIONAL.flatMap((code) => [code, code | BPF_X]));

/** Every opcode there is. Exported for tests that make programs. */
export const BPF_CODES: ReadonlySet<number> = new Set([
  BPF_LD_W_ABS,
  BPF_LD_H_ABS,
  BPF_LD_B_ABS,
  BPF_LDX_MSH,
  ...MEMORY,
  ...RETURNS,
  ...JUMPS,
  ...ALU.flatMap((code) => [code, code | BPF_X]),
  BPF_LD_W_IND,
  BPF_LD_H_IND,
  BPF_LD_B_IND,
  BPF_LD_LEN,
  BPF_LD_IMM,
  BPF_LDX_IMM,
  BPF_LDX_LEN,
  BPF_ALU_NEG,
  BPF_JA,
  BPF_TAX,
  BPF_TXA,
]);

/** Where a conditional jump at `index` goes when its condition holds. */
export const bpfJumpTrue = (program: BpfProgram, index: number): number =>
  index + 1 + ((program[2 * index] >>> 16) & 0xff);
/** Where it goes otherwise. */
export const bpfJumpFalse = (program: BpfProgram, index: number): number => index + 1 + (program[2 * index] >>> 24);
/** Where the unconditional jump at `index` goes; k is signed there, and negative in libpcap's `protochain` loops. */
export const bpfJumpAlways = (program: BpfProgram, index: number): number => index + 1 + (program[2 * index + 1] | 0);
export const isBpfConditional = (code: number): boolean => JUMPS.has(code);

const isDivision = (code: number): boolean => code === BPF_ALU_DIV || code === BPF_ALU_MOD;

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
    if (code === BPF_JA) {
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
    if ((program[2 * index] & 0xffff) === BPF_JA && bpfJumpAlways(program, index) <= index) return true;
  }
  return false;
}
