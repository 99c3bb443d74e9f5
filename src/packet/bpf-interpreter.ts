// Runs a validated BPF program instruction by instruction (layout: bpf.ts, opcodes: bpf-opcode.ts).
//
// It is the slower way (see bpf-compiler.ts), for programs that loop and for processes that forbid making code
// from strings. Semantics are libpcap's: registers are unsigned words of 32 bits (kept here as int32, the same
// bits); a load outside the captured bytes and a division by zero reject the packet; registers and memory begin at 0.
import { BPF_MEMORY_WORDS, type BpfFunction, type BpfProgram } from './bpf.ts';
import * as op from './bpf-opcode.ts';

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
        case op.RET_K:
          return k;
        case op.RET_A:
          return a >>> 0;

        case op.LD_W_ABS:
          if (k + 4 > capturedLength) return 0;
          a = view.getInt32(at + k);
          break;
        case op.LD_H_ABS:
          if (k + 2 > capturedLength) return 0;
          a = view.getUint16(at + k);
          break;
        case op.LD_B_ABS:
          if (k + 1 > capturedLength) return 0;
          a = view.getUint8(at + k);
          break;
        case op.LD_W_IND:
          if ((x >>> 0) + k + 4 > capturedLength) return 0;
          a = view.getInt32(at + x + k);
          break;
        case op.LD_H_IND:
          if ((x >>> 0) + k + 2 > capturedLength) return 0;
          a = view.getUint16(at + x + k);
          break;
        case op.LD_B_IND:
          if ((x >>> 0) + k + 1 > capturedLength) return 0;
          a = view.getUint8(at + x + k);
          break;
        case op.LDX_MSH:
          if (k + 1 > capturedLength) return 0;
          x = (view.getUint8(at + k) & 0xf) << 2;
          break;

        case op.LD_LEN:
          a = wireLength | 0;
          break;
        case op.LDX_LEN:
          x = wireLength | 0;
          break;
        case op.LD_IMM:
          a = k | 0;
          break;
        case op.LDX_IMM:
          x = k | 0;
          break;
        case op.LD_MEM:
          a = memory[k];
          break;
        case op.LDX_MEM:
          x = memory[k];
          break;
        case op.ST:
          memory[k] = a;
          break;
        case op.STX:
          memory[k] = x;
          break;
        case op.TAX:
          x = a;
          break;
        case op.TXA:
          a = x;
          break;
        case op.ALU_NEG:
          a = -a | 0;
          break;

        case op.JA: {
          const jump = k | 0;
          if (jump < 0 && --turnsLeft < 0) return 0;
          pc += 2 * jump;
          break;
        }

        default: {
          const operand = ((code & op.X) === 0 ? k : x) >>> 0;
          const left = a >>> 0;
          switch (code & ~op.X) {
            case op.ALU_ADD:
              a = (a + operand) | 0;
              break;
            case op.ALU_SUB:
              a = (a - operand) | 0;
              break;
            case op.ALU_MUL:
              a = Math.imul(a, operand);
              break;
            case op.ALU_DIV:
              if (operand === 0) return 0;
              a = (left / operand) | 0;
              break;
            case op.ALU_MOD:
              if (operand === 0) return 0;
              a = (left % operand) | 0;
              break;
            case op.ALU_OR:
              a |= operand;
              break;
            case op.ALU_AND:
              a &= operand;
              break;
            case op.ALU_XOR:
              a ^= operand;
              break;
            case op.ALU_LSH:
              a = operand > 31 ? 0 : left << operand;
              break;
            case op.ALU_RSH:
              a = operand > 31 ? 0 : (left >>> operand) | 0;
              break;
            case op.JEQ:
              pc += 2 * (left === operand ? (word >>> 16) & 0xff : word >>> 24);
              break;
            case op.JGT:
              pc += 2 * (left > operand ? (word >>> 16) & 0xff : word >>> 24);
              break;
            case op.JGE:
              pc += 2 * (left >= operand ? (word >>> 16) & 0xff : word >>> 24);
              break;
            case op.JSET:
              pc += 2 * ((left & operand) !== 0 ? (word >>> 16) & 0xff : word >>> 24);
              break;
          }
        }
      }
    }
  };
}
