import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bpfSource, compileBpf } from '../../src/packet/bpf-compiler.ts';
import { interpretBpf } from '../../src/packet/bpf-interpreter.ts';
import * as op from '../../src/packet/bpf-opcode.ts';
import { program, run, validProgram } from './bpf-programs.ts';

describe('compileBpf', () => {
  it('agrees with the interpreter on random programs and frames', () => {
    const frame = fc.array(fc.oneof(fc.nat(255), fc.nat(15)), { maxLength: 48 });
    const wireLength = fc.oneof(fc.nat(2000), fc.nat(0xffffffff));
    const results = new Set<number>();
    fc.assert(
      fc.property(validProgram, frame, wireLength, (code, bytes, wire) => {
        expect(bpfSource(code)).not.toBeNull();
        const result = run(compileBpf(code), bytes, wire);
        expect(result).toBe(run(interpretBpf(code), bytes, wire));
        results.add(result);
      }),
      { numRuns: 3000 },
    );
    // Not merely all rejected.
    expect(results.size).toBeGreaterThan(50);
  });

  it('agrees with the interpreter where hundreds of jumps cross', () => {
    // Byte i decides between the next instruction and one 40 further on.
    const bytes = 120;
    const steps = Array.from({ length: bytes }, (_, at) => [
      { code: op.LD_B_ABS, k: at },
      { code: op.JEQ, k: 1, jt: at < bytes - 20 ? 39 : 0, jf: 0 },
    ]);
    const code = program(...steps.flat(), { code: op.RET_A });
    expect(bpfSource(code)?.match(/^L\d+: \{$/gm)?.length).toBe(bytes - 20);
    fc.assert(
      fc.property(fc.array(fc.nat(2), { minLength: bytes - 5, maxLength: bytes }), (frame) => {
        expect(run(compileBpf(code), frame)).toBe(run(interpretBpf(code), frame));
      }),
    );
  });

  it('leaves loops, and more jump targets than may nest, to the interpreter', () => {
    expect(bpfSource(program({ code: op.JA, k: -1 }, { code: op.RET_K }))).toBeNull();

    const jumps = Array.from({ length: 1000 }, () => ({ code: op.JEQ, k: 0, jt: 1, jf: 0 }));
    const many = program(...jumps, { code: op.LD_IMM, k: 3 }, { code: op.LD_IMM, k: 4 }, { code: op.RET_A });
    expect(bpfSource(many)).toBeNull();
    expect(run(compileBpf(many), [])).toBe(run(interpretBpf(many), []));
  });

  it('puts nothing but numbers of the program into its source', () => {
    fc.assert(
      fc.property(validProgram, (code) => {
        expect(bpfSource(code)).toMatch(/^[\w\s"{}();:=<>|&^!?+*/%.,-]*$/);
      }),
    );
  });
});
