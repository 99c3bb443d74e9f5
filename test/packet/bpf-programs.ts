// Test support: BPF programs by hand, and random valid ones for property tests.

import fc from 'fast-check';
import * as bpf from '../../src/packet/bpf.ts';
import * as op from '../../src/packet/bpf-opcode.ts';

/** code, jt, jf, k as in `struct bpf_insn`; what is left out is 0. */
export interface Instruction {
  code: number;
  jt?: number;
  jf?: number;
  k?: number;
}

export function program(...instructions: Instruction[]): bpf.BpfProgram {
  return Uint32Array.from(
    instructions.flatMap(({ code, jt = 0, jf = 0, k = 0 }) => [((jf << 24) | (jt << 16) | code) >>> 0, k >>> 0]),
  );
}

/** Runs on a frame that lies between guard bytes, which must not matter. */
export function run(accepts: bpf.BpfFunction, frame: readonly number[], wireLength = frame.length): number {
  const results = [0x00, 0xff].map((guard) => {
    const bytes = new Uint8Array(frame.length + 16).fill(guard);
    bytes.set(frame, 8);
    return accepts(new DataView(bytes.buffer), 8, frame.length, wireLength);
  });
  if (results[0] !== results[1]) throw new Error(`bytes outside of the frame matter: ${results.join(' and ')}`);
  return results[0];
}

const word = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffff000, 0xfffffffe, 0xffffffff) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
);

const MEMORY_CODES = [op.LD_MEM, op.LDX_MEM, op.ST, op.STX];
const RETURN_CODES = [op.RET_K, op.RET_A];

const seed = fc.record({
  // Returns are rare, so that programs get far.
  code: fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(...RETURN_CODES) },
    { weight: 15, arbitrary: fc.constantFrom(...[...bpf.BPF_CODES].filter((code) => !RETURN_CODES.includes(code))) },
  ),
  k: word,
  jt: fc.nat(255),
  jf: fc.nat(255),
});

/** Programs without loops that pass the validator. */
export const validProgram: fc.Arbitrary<bpf.BpfProgram> = fc
  .tuple(fc.array(seed, { minLength: 1, maxLength: 40 }), fc.constantFrom(...RETURN_CODES), word)
  .map(([seeds, code, k]) =>
    program(...seeds.map((instruction, index) => repair(instruction, seeds.length - index - 1)), { code, k }),
  );

/** `left`: instructions between this one and the last. */
function repair({ code, k, jt, jf }: Required<Instruction>, left: number): Instruction {
  if (code === op.JA) return { code, k: k % (left + 1) };
  if (bpf.isBpfConditional(code)) return { code, k, jt: jt % (left + 1), jf: jf % (left + 1) };
  if (MEMORY_CODES.includes(code)) return { code, k: k % bpf.BPF_MEMORY_WORDS };
  if (code === op.ALU_DIV || code === op.ALU_MOD) return { code, k: Math.max(k, 1) };
  return { code, k };
}
