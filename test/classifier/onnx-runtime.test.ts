// Which runtime is taken, and what is said when there is none. Absent packages are imitated; those present are used.
import { afterEach, describe, expect, it, vi } from 'vitest';

const ABSENT = ['onnxruntime-node', 'onnxruntime-web'];

/** The loader as in an installation without some packages. */
async function loaderWithout(...modules: string[]): Promise<typeof import('../../src/classifier/onnx-runtime.ts')> {
  vi.resetModules();
  for (const module of modules) {
    vi.doMock(module, () => {
      throw new Error(`Cannot find package '${module}'`);
    });
  }
  return import('../../src/classifier/onnx-runtime.ts');
}

afterEach(() => {
  for (const module of ABSENT) vi.doUnmock(module);
});

describe('the runtime', () => {
  it('is onnxruntime-node where there is one', async () => {
    const { loadOnnxRuntime } = await loaderWithout('onnxruntime-web');
    const runtime = await loadOnnxRuntime('auto', 1);
    expect(runtime).toHaveProperty('listSupportedBackends');
    expect(await loadOnnxRuntime('node', 1)).toBe(runtime);
    await expect(loadOnnxRuntime('web', 1)).rejects.toMatchObject({ code: 'MODEL_RUNTIME_UNAVAILABLE' });
  });

  it('is onnxruntime-web where there is no onnxruntime-node, with as many threads as asked for', async () => {
    const { loadOnnxRuntime } = await loaderWithout('onnxruntime-node');
    const runtime = await loadOnnxRuntime('auto', 1);
    expect(runtime).not.toHaveProperty('listSupportedBackends');
    expect(runtime.env.wasm.numThreads).toBe(1);
    expect(await loadOnnxRuntime('web', 1)).toBe(runtime);
    await expect(loadOnnxRuntime('node', 1)).rejects.toMatchObject({ code: 'MODEL_RUNTIME_UNAVAILABLE' });
  });

  it('that is not there is an error that says what to install, and how to skip the download', async () => {
    const { loadOnnxRuntime } = await loaderWithout(...ABSENT);
    const error: unknown = await loadOnnxRuntime('auto', 1).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'NfstreamError', code: 'MODEL_RUNTIME_UNAVAILABLE' });
    const { message } = error as Error;
    for (const module of ABSENT) expect(message).toContain(`${module}: `);
    expect(message).toContain('`ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node`');
    expect(message).toContain('`npm install onnxruntime-web`');
    expect(message).not.toContain('\n');
  });
});
