// Runs a validated BPF program instruction by instruction (layout and opcodes: bpf.ts).
//
// It is the slower way (see bpf-compiler.ts), for programs that loop and for processes that forbid making code
// from strings. Semantics are libpcap's: registers are unsigned words of 32 bits (kept here as int32, the same
// bits); a load outside the captured bytes and a division by zero reject the packet; registers and memory begin at 0.
import {
  BPF_ALU_ADD,
  BPF_ALU_AND,
  BPF_ALU_DIV,
  BPF_ALU_LSH,
  BPF_ALU_MOD,
  BPF_ALU_MUL,
  BPF_ALU_NEG,
  BPF_ALU_OR,
  BPF_ALU_RSH,
  BPF_ALU_SUB,
  BPF_ALU_XOR,
  BPF_JA,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JSET,
  BPF_LD_B_ABS,
  BPF_LD_B_IND,
  BPF_LD_H_ABS,
  BPF_LD_H_IND,
  BPF_LD_IMM,
  BPF_LD_LEN,
  BPF_LD_MEM,
  BPF_LD_W_ABS,
  BPF_LD_W_IND,
  BPF_LDX_IMM,
  BPF_LDX_LEN,
  BPF_LDX_MEM,
  BPF_LDX_MSH,
  BPF_MEMORY_WORDS,
  BPF_RET_A,
  BPF_RET_K,
  BPF_ST,
  BPF_STX,
  BPF_TAX,
  BPF_TXA,
  BPF_X,
  type BpfFunction,
  type BpfProgram,
} from './bpf.ts';

/** `program` must have passed `validateBpf`. The function has scratch memory of its own: one caller at a time. */
export function interpretBpf(program: BpfProgram): BpfFunction {
  const memory = new Int32Array(BPF_MEMORY_WORDS);

  return (view, at, capturedLength, wireLength) => {
    let a = 0;
    let x = 0;
    // Each turn of a `protochain` loop moves at least one byte on, so more turns than bytes are no real loop.
    let turnsLeft = capturedLength;
    memory.fill(0);

    for (let pc = 0; ; pc += 2) {
      const word = program[pc];
      const code = word & 0xffff;
      const k = program[pc + 1];
      switch (code) {
        case BPF_RET_K:
          return k;
        case BPF_RET_A:
          return a >>> 0;

        case BPF_LD_W_ABS:
          if (k + 4 > capturedLength) return 0;
          a = view.getInt32(at + k);
          break;
        case BPF_LD_H_ABS:
          if (k + 2 > capturedLength) return 0;
          a = view.getUint16(at + k);
          break;
        case BPF_LD_B_ABS:
          if (k + 1 > capturedLength) return 0;
          a = view.getUint8(at + k);
          break;
        case BPF_LD_W_IND:
          if ((x >>> 0) + k + 4 > capturedLength) return 0;
          a = view.getInt32(at + x + k);
          break;
        case BPF_LD_H_IND:
          if ((x >>> 0) + k + 2 > capturedLength) return 0;
          a = view.getUint16(at + x + k);
          break;
        case BPF_LD_B_IND:
          if ((x >>> 0) + k + 1 > capturedLength) return 0;
          a = view.getUint8(at + x + k);
          break;
        case BPF_LDX_MSH:
          if (k + 1 > capturedLength) return 0;
          x = (view.getUint8(at + k) & 0xf) << 2;
          break;

        case BPF_LD_LEN:
          a = wireLength | 0;
          break;
        case BPF_LDX_LEN:
          x = wireLength | 0;
          break;
        case BPF_LD_IMM:
          a = k | 0;
          break;
        case BPF_LDX_IMM:
          x = k | 0;
          break;
        case BPF_LD_MEM:
          a = memory[k];
          break;
        case BPF_LDX_MEM:
          x = memory[k];
          break;
        case BPF_ST:
          memory[k] = a;
          break;
        case BPF_STX:
          memory[k] = x;
          break;
        case BPF_TAX:
          x = a;
          break;
        case BPF_TXA:
          a = x;
          break;
        case BPF_ALU_NEG:
          a = -a | 0;
          break;

        case BPF_JA: {
          const jump = k | 0;
          if (jump < 0 && --turnsLeft < 0) return 0;
          pc += 2 * jump;
          break;
        }

        default: {
          const operand = ((code & BPF_X) === 0 ? k : x) >>> 0;
          const left = a >>> 0;
          switch (code & ~BPF_X) {
            case BPF_ALU_ADD:
              a = (a + operand) | 0;
              break;
            case BPF_ALU_SUB:
              a = (a - operand) | 0;
              break;
            case BPF_ALU_MUL:
              a = Math.imul(a, operand);
              break;
            case BPF_ALU_DIV:
              if (operand === 0) return 0;
              a = (left / operand) | 0;
              break;
            case BPF_ALU_MOD:
              if (operand === 0) return 0;
              a = (left % operand) | 0;
              break;
            case BPF_ALU_OR:
              a |= operand;
              break;
            case BPF_ALU_AND:
              a &= operand;
              break;
            case BPF_ALU_XOR:
              a ^= operand;
              break;
            case BPF_ALU_LSH:
              a = operand > 31 ? 0 : left << operand;
              break;
            case BPF_ALU_RSH:
              a = operand > 31 ? 0 : (left >>> operand) | 0;
              break;
            case BPF_JEQ:
              pc += 2 * (left === operand ? (word >>> 16) & 0xff : word >>> 24);
              break;
            case BPF_JGT:
              pc += 2 * (left > operand ? (word >>> 16) & 0xff : word >>> 24);
              break;
            case BPF_JGE:
              pc += 2 * (left >= operand ? (word >>> 16) & 0xff : word >>> 24);
              break;
            case BPF_JSET:
              pc += 2 * ((left & operand) !== 0 ? (word >>> 16) & 0xff : word >>> 24);
              break;
          }
        }
      }
    }
  };
}
