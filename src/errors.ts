// Every error that leaves this package is an NfstreamError with a stable code. The table below is the single
// list of codes: docs/errors.md and the CLI's exit codes are checked against it by tests.

/** What each code means, and the CLI's exit code for it. */
export const ERROR_CODES = {
  UNKNOWN_OPTION: { exit: 2, meaning: 'an option that does not exist; the message names the nearest one' },
  INVALID_OPTION: { exit: 2, meaning: 'an option has a value that it does not take' },
  USAGE: { exit: 2, meaning: 'the command line is wrong' },
  INVALID_FILTER: { exit: 2, meaning: 'libpcap does not compile the filter' },
  SOURCE_NOT_FOUND: { exit: 1, meaning: 'no such file or interface' },
  SOURCE_DENIED: { exit: 1, meaning: 'no permission to read the source' },
  SOURCE_IS_DIRECTORY: { exit: 1, meaning: 'the source is a folder' },
  SOURCE_UNREADABLE: { exit: 1, meaning: 'reading the source failed' },
  CAPTURE_UNAVAILABLE: { exit: 1, meaning: 'an interface was given but the capture addon (libpcap) does not load' },
  CAPTURE_DENIED: { exit: 1, meaning: 'no right to capture; the message has the command that grants it' },
  CAPTURE_FAILED: { exit: 1, meaning: 'libpcap can not capture from the interface, or no longer' },
  INTERFACE_DOWN: { exit: 1, meaning: 'the interface is down, went down or vanished' },
  NOT_A_CAPTURE: { exit: 1, meaning: 'the bytes are no capture format that is known here' },
  EMPTY_CAPTURE: { exit: 3, meaning: 'the source has no bytes at all' },
  TRUNCATED_CAPTURE: { exit: 3, meaning: 'the capture ends in the middle of a record' },
  DAMAGED_CAPTURE: { exit: 3, meaning: 'a record of the capture contradicts itself' },
  DAMAGED_COMPRESSION: { exit: 3, meaning: 'the compressed data is cut or does not decompress' },
  FILTER_UNAVAILABLE: { exit: 1, meaning: 'a filter was given but the capture addon (libpcap) does not load' },
  NDPI_UNAVAILABLE: { exit: 1, meaning: 'nDPI was asked for but its addon does not load' },
  SYSTEM_UNAVAILABLE: { exit: 1, meaning: 'systemVisibility was asked for on a system that does not offer it' },
  METER_FAILED: { exit: 1, meaning: 'one of several meters ended on its own: out of memory, or a crash of its thread' },
  NATIVE_BUILD_FAILED: { exit: 1, meaning: 'compiling a native addon failed' },
  OUT_OF_MEMORY: { exit: 1, meaning: 'no memory, or no address space, is left for the table of live flows' },
  ALREADY_ITERATED: { exit: 1, meaning: 'a Streamer was iterated a second time' },
  USER_METRIC_FAILED: { exit: 1, meaning: 'a user metric threw, or returned no value' },
  USER_CLASSIFIER_FAILED: { exit: 1, meaning: 'a user classifier threw, or a promise of it rejected' },
  READ_ONLY_COLUMN: { exit: 1, meaning: 'user code assigned to a column of a flow' },
  NOT_MEASURED: { exit: 1, meaning: 'a field was read from a flow of a run that does not measure it' },
  PACKET_KEPT: { exit: 1, meaning: 'user code kept a packet or its bytes beyond the call (found with debug on)' },
  MODEL_NOT_FOUND: { exit: 1, meaning: 'no such model file' },
  INVALID_MODEL: { exit: 1, meaning: 'the model can not be read, does not load, or fails to predict' },
  MODEL_MISMATCH: {
    exit: 1,
    meaning: 'the model takes other inputs than the features given, gives no prediction, or a feature does not fit it',
  },
  MODEL_RUNTIME_UNAVAILABLE: { exit: 1, meaning: 'neither onnxruntime-node nor onnxruntime-web can be imported' },
  PLUGIN_FAILED: { exit: 1, meaning: 'a plugin file is missing, does not parse, throws, or exports nothing to use' },
  METRICS_SERVER_FAILED: { exit: 1, meaning: 'the counters can not be served: the port is taken, or not allowed' },
  USER_CHANGE_FAILED: { exit: 1, meaning: 'changing to the user that --user names failed' },
  OUTPUT_EXISTS: { exit: 1, meaning: 'the file to write is there already, and overwriting it was not asked for' },
  SINK_UNAVAILABLE: { exit: 1, meaning: 'a package that an output format takes is not installed, or does not load' },
  OUTPUT_FAILED: { exit: 1, meaning: 'writing the output failed' },
} as const;

export type NfstreamErrorCode = keyof typeof ERROR_CODES;

export interface NfstreamErrorDetails {
  /** The file, or `-` for standard input, that the error is about. */
  file?: string;
  /** Byte offset in the capture (after decompression) where the damage begins. */
  offset?: number;
  /** What was caught, when another error caused this one. */
  cause?: unknown;
}

/** The only class of error that this package throws on purpose. */
export class NfstreamError extends Error {
  override readonly name = 'NfstreamError';
  readonly code: NfstreamErrorCode;
  readonly file: string | undefined;
  readonly offset: number | undefined;

  constructor(code: NfstreamErrorCode, message: string, details: NfstreamErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.file = details.file;
    this.offset = details.offset;
  }
}
