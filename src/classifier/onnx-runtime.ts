// Finds a runtime for ONNX models. Both are optional peers, imported with the first model and never before:
// onnxruntime-node (native, the faster one), else onnxruntime-web, whose WebAssembly comes from its own package folder.
//
// The interfaces below are the part of onnxruntime-common's API that is used here, written out so that our types stand
// without theirs. Invariant: nothing of a runtime is touched outside this folder.
import { NfstreamError } from '../errors.ts';

/** Which runtime: 'auto' takes onnxruntime-node when it can be imported, else onnxruntime-web. */
export type OnnxRuntimeName = 'auto' | 'node' | 'web';

export interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: ArrayLike<number | bigint | string>;
}

/** What a model takes or gives; `type` and `shape` of tensors only. An open dimension is a text, empty or a name. */
export interface OrtValueMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

export interface OrtSession {
  readonly inputMetadata: readonly OrtValueMetadata[];
  readonly outputMetadata: readonly OrtValueMetadata[];
  run(feeds: Record<string, OrtTensor>, fetches: readonly string[]): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

export interface OnnxRuntime {
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => OrtTensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<OrtSession>;
  };
  readonly env: { readonly wasm: { numThreads?: number } };
}

const HOW_TO_INSTALL =
  'Install one: `ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node` (the variable skips a download of GPU ' +
  'libraries that are not used here), or `npm install onnxruntime-web` where that has no binary';

const PACKAGES = [
  { name: 'node', module: 'onnxruntime-node', load: () => import('onnxruntime-node') as Promise<unknown> },
  { name: 'web', module: 'onnxruntime-web', load: () => import('onnxruntime-web') as Promise<unknown> },
] as const;

/**
 * @param threads Cores that one prediction may use.
 * @throws NfstreamError MODEL_RUNTIME_UNAVAILABLE: what was tried, why it failed, what to install.
 */
export async function loadOnnxRuntime(wanted: OnnxRuntimeName, threads: number): Promise<OnnxRuntime> {
  const problems: string[] = [];
  const causes: unknown[] = [];
  for (const { name, module, load } of PACKAGES) {
    if (wanted !== 'auto' && wanted !== name) continue;
    try {
      const loaded = (await load()) as { default?: OnnxRuntime };
      // onnxruntime-node is CommonJS: all of it is the default export.
      const runtime = loaded.default ?? (loaded as unknown as OnnxRuntime);
      if (name === 'web') runtime.env.wasm.numThreads = threads;
      return runtime;
    } catch (cause) {
      causes.push(cause);
      problems.push(`${module}: ${reasonOf(cause)}`);
    }
  }
  throw new NfstreamError(
    'MODEL_RUNTIME_UNAVAILABLE',
    `No runtime for ONNX models (${problems.join('; ')}). ${HOW_TO_INSTALL}`,
    { cause: causes[0] },
  );
}

/** What was thrown, on one line. */
export function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/\s+/g, ' ').trim();
}
