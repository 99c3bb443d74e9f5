// An error on its way from one thread to another: code, message, file and offset stay; of what caused it, its text.
import { thrownText } from '../classifier/user-code-error.ts';
import { NfstreamError, type NfstreamErrorCode } from '../errors.ts';

export interface ErrorText {
  /** Undefined for an error that is not ours. */
  readonly code: NfstreamErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
  readonly file: string | undefined;
  readonly offset: number | undefined;
  readonly cause: ErrorText | undefined;
}

/** Causes of causes that are told: an error may be its own cause. */
const MAX_CAUSES = 8;

export function textOf(error: unknown, causes = MAX_CAUSES): ErrorText {
  const isOurs = error instanceof NfstreamError;
  const isError = error instanceof Error;
  const hasCause = isError && error.cause !== undefined && causes > 0;
  return {
    code: isOurs ? error.code : undefined,
    message: isOurs ? error.message : thrownText(error),
    stack: isError && typeof error.stack === 'string' ? error.stack : undefined,
    file: isOurs ? error.file : undefined,
    offset: isOurs ? error.offset : undefined,
    cause: hasCause ? textOf(error.cause, causes - 1) : undefined,
  };
}

export function errorOf({ code, message, stack, file, offset, cause }: ErrorText): Error {
  const inner = cause === undefined ? {} : { cause: errorOf(cause) };
  const error =
    code === undefined
      ? new Error(message, inner)
      : new NfstreamError(code, message, {
          ...inner,
          ...(file === undefined ? {} : { file }),
          ...(offset === undefined ? {} : { offset }),
        });
  if (stack !== undefined) error.stack = stack;
  return error;
}
