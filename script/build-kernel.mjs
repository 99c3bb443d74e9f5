// Compiles kernel/ (AssemblyScript) to WebAssembly and writes it into src/kernel/wasm.ts, which is under version control:
// whoever installs or tests the package needs no compiler. With --check says whether that file is what the sources make.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const TARGET = join(ROOT, 'src/kernel/wasm.ts');
const LINE = 100;

const text = moduleText(await compile());
if (process.argv.includes('--check')) {
  if (readFileSync(TARGET, 'utf8') === text) process.exit(0);
  console.error('src/kernel/wasm.ts is not what kernel/ compiles to: npm run build:kernel');
  process.exit(1);
}
writeFileSync(TARGET, text);

async function compile() {
  const folder = mkdtempSync(join(tmpdir(), 'kernel-'));
  const binary = join(folder, 'kernel.wasm');
  try {
    const options = ['--runtime', 'stub', '--importMemory', '-O3', '--noAssert', '--use', 'abort=', '--enable', 'simd'];
    const { error, stderr } = await asc.main([join(ROOT, 'kernel/index.ts'), '-o', binary, ...options]);
    if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
    return readFileSync(binary);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {Buffer} binary */
function moduleText(binary) {
  const base64 = binary.toString('base64');
  const lines = base64.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return `// The compiled kernel, ${binary.length} bytes in base64. Made from kernel/ by npm run build:kernel; not for editing.
export const KERNEL: string = \`
${lines.join('\n')}
\`;
`;
}
