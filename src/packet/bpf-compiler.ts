// Turns a validated BPF program (bpf.ts) into the source of a JavaScript function with the interpreter's semantics.
//
// Conditional jumps of BPF only go forward, so they become breaks out of labelled blocks that end at their targets:
//
//    0: ldh [12]                      L3: {
//    1: jeq #0x800  jt 3  jf 2          ...load; if (a === 0x800) break L3; return 0;
//    2: ret #0                        }
//    3: ldb [23]                      ...load
//
// A jump to a constant return becomes that return. Programs that jump backward, or to very many places, are
// interpreted. Invariant: the source consists of this file's text and of numbers, nothing of the filter's text.

import {
  BPF_MEMORY_WORDS,
  type BpfFunction,
  type BpfProgram,
  bpfJumpAlways,
  bpfJumpFalse,
  bpfJumpTrue,
  hasBpfLoop,
  isBpfConditional,
} from './bpf.ts';
import { interpretBpf } from './bpf-interpreter.ts';
import * as op from './bpf-opcode.ts';

/** Blocks nest as deep as there are jump targets; the parser's stack is finite. A long host list needs a few dozen. */
const LABELS_MAX = 400;

/** `program` must have passed `validateBpf`. */
export function compileBpf(program: BpfProgram): BpfFunction {
  const source = bpfSource(program);
  if (source !== null) {
    try {
      return new Function('view', 'at', 'captured', 'wire', source) as BpfFunction;
    } catch (error) {
      // Node says EvalError when it runs with --disallow-code-generation-from-strings.
      if (!(error instanceof EvalError)) throw error;
    }
  }
  return interpretBpf(program);
}

/** The function's body, or null for a program that is better interpreted. */
export function bpfSource(program: BpfProgram): string | null {
  if (hasBpfLoop(program)) return null;
  const count = program.length / 2;
  const labels = new Set<number>();
  const lines: string[] = [];

  /** The statement that goes from `index` to `target`; empty where falling through does it. */
  const jump = (index: number, target: number): string => {
    if ((program[2 * target] & 0xffff) === op.RET_K) return `return ${program[2 * target + 1]};`;
    if (target === index + 1) return '';
    labels.add(target);
    return `break L${target};`;
  };

  for (let index = 0; index < count; index++) {
    const code = program[2 * index] & 0xffff;
    let line: string;
    if (code === op.JA) {
      line = jump(index, bpfJumpAlways(program, index));
    } else if (isBpfConditional(code)) {
      const whenTrue = jump(index, bpfJumpTrue(program, index));
      const whenFalse = jump(index, bpfJumpFalse(program, index));
      const test = condition(code, program[2 * index + 1]);
      line = whenTrue === '' ? `if (!(${test})) { ${whenFalse} }` : `if (${test}) { ${whenTrue} } ${whenFalse}`;
    } else {
      line = statement(code, program[2 * index + 1]);
    }
    lines.push(line);
  }
  if (labels.size > LABELS_MAX) return null;

  const targets = [...labels].sort((left, right) => right - left);
  for (const target of targets) lines[target] = `} ${lines[target]}`;
  return [
    `"use strict"; let a = 0, x = 0, ${Array.from({ length: BPF_MEMORY_WORDS }, (_, at) => `m${at} = 0`).join(', ')};`,
    ...targets.map((target) => `L${target}: {`),
    ...lines,
  ].join('\n');
}

/** Registers are int32 with the bits of BPF's unsigned words; only order and division must know the difference. */
function condition(code: number, k: number): string {
  const isX = (code & op.X) !== 0;
  const signed = isX ? 'x' : `${k | 0}`;
  const unsigned = isX ? '(x >>> 0)' : `${k}`;
  switch (code & ~op.X) {
    case op.JEQ:
      return `a === ${signed}`;
    case op.JGT:
      return `(a >>> 0) > ${unsigned}`;
    case op.JGE:
      return `(a >>> 0) >= ${unsigned}`;
    default:
      return `(a & ${signed}) !== 0`;
  }
}

function statement(code: number, k: number): string {
  switch (code) {
    case op.RET_K:
      return `return ${k};`;
    case op.RET_A:
      return 'return a >>> 0;';
    case op.LD_W_ABS:
      return absolute(k, 4, `a = view.getInt32(at + ${k});`);
    case op.LD_H_ABS:
      return absolute(k, 2, `a = view.getUint16(at + ${k});`);
    case op.LD_B_ABS:
      return absolute(k, 1, `a = view.getUint8(at + ${k});`);
    case op.LDX_MSH:
      return absolute(k, 1, `x = (view.getUint8(at + ${k}) & 15) << 2;`);
    case op.LD_W_IND:
      return indirect(k, 4, `a = view.getInt32(at + x + ${k});`);
    case op.LD_H_IND:
      return indirect(k, 2, `a = view.getUint16(at + x + ${k});`);
    case op.LD_B_IND:
      return indirect(k, 1, `a = view.getUint8(at + x + ${k});`);
    case op.LD_LEN:
      return 'a = wire | 0;';
    case op.LDX_LEN:
      return 'x = wire | 0;';
    case op.LD_IMM:
      return `a = ${k | 0};`;
    case op.LDX_IMM:
      return `x = ${k | 0};`;
    case op.LD_MEM:
      return `a = m${k};`;
    case op.LDX_MEM:
      return `x = m${k};`;
    case op.ST:
      return `m${k} = a;`;
    case op.STX:
      return `m${k} = x;`;
    case op.TAX:
      return 'x = a;';
    case op.TXA:
      return 'a = x;';
    case op.ALU_NEG:
      return 'a = -a | 0;';
    default:
      return arithmetic(code, k);
  }
}

/** Frames are shorter than 2^31 bytes, so an end beyond that is beyond every frame. */
function absolute(k: number, size: number, load: string): string {
  return k + size > 0x7fffffff ? 'return 0;' : `if (captured < ${k + size}) return 0; ${load}`;
}

/** A negative x stands for an offset of 2^31 or more. */
function indirect(k: number, size: number, load: string): string {
  return k + size > 0x7fffffff ? 'return 0;' : `if (x < 0 || x > captured - ${k + size}) return 0; ${load}`;
}

function arithmetic(code: number, k: number): string {
  const isX = (code & op.X) !== 0;
  const signed = isX ? 'x' : `(${k | 0})`;
  const unsigned = isX ? '(x >>> 0)' : `${k}`;
  const orReject = isX ? 'if (x === 0) return 0; ' : '';
  switch (code & ~op.X) {
    case op.ALU_ADD:
      return `a = (a + ${signed}) | 0;`;
    case op.ALU_SUB:
      return `a = (a - ${signed}) | 0;`;
    case op.ALU_MUL:
      return `a = Math.imul(a, ${signed});`;
    case op.ALU_DIV:
      return `${orReject}a = ((a >>> 0) / ${unsigned}) | 0;`;
    case op.ALU_MOD:
      return `${orReject}a = ((a >>> 0) % ${unsigned}) | 0;`;
    case op.ALU_OR:
      return `a |= ${signed};`;
    case op.ALU_AND:
      return `a &= ${signed};`;
    case op.ALU_XOR:
      return `a ^= ${signed};`;
    case op.ALU_LSH:
      return isX ? 'a = x >>> 0 > 31 ? 0 : a << x;' : `a = ${k > 31 ? '0' : `a << ${k}`};`;
    case op.ALU_RSH:
      return isX ? 'a = x >>> 0 > 31 ? 0 : (a >>> x) | 0;' : `a = ${k > 31 ? '0' : `(a >>> ${k}) | 0`};`;
    default:
      throw new TypeError(`not a BPF opcode: ${code}`);
  }
}
