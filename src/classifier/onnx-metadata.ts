// Reads from the bytes of an ONNX model what the runtimes do not hand out: the trainer's notes (metadata_props, such as
// feature names) and the class names in the order of the probabilities, which classifying operators carry.
//
//   ModelProto      7 graph: GraphProto              14 metadata_props: { 1 key, 2 value }, repeated
//   GraphProto      1 node: NodeProto, repeated
//   NodeProto       5 attribute: AttributeProto, repeated
//   AttributeProto  1 name    8 ints, repeated, packed or not    9 strings, repeated
//
// Specification: onnx.proto3, the encoding of Protocol Buffers. Invariant: any bytes, any cut: never a throw, never a
// loop; reading stops at the first nonsense. Whether the model is sound is the runtime's business.

export interface OnnxNotes {
  /** metadata_props: free text by key, as the trainer wrote it. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Class names in the order of the probabilities, when the model's operators agree on them. */
  readonly classes: readonly string[] | undefined;
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

const MODEL_GRAPH = 7;
const MODEL_METADATA = 14;
const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;
const GRAPH_NODE = 1;
const NODE_ATTRIBUTE = 5;
const ATTRIBUTE_NAME = 1;
const ATTRIBUTE_INTS = 8;
const ATTRIBUTE_STRINGS = 9;

/** TreeEnsembleClassifier and ZipMap; LinearClassifier and SVMClassifier say `ints` without a width. */
const CLASS_ATTRIBUTES = new Set(['classlabels_strings', 'classlabels_int64s', 'classlabels_ints']);

/** A field of a message: its number, and its integer or its bytes. Fixed-width fields have neither. */
interface Field {
  readonly number: number;
  readonly integer: bigint | undefined;
  readonly bytes: Uint8Array | undefined;
}

export function readOnnxNotes(model: Uint8Array): OnnxNotes {
  const metadata = new Map<string, string>();
  const classLists = new Map<string, readonly string[]>();
  for (const { number, bytes } of fields(model)) {
    if (bytes === undefined) continue;
    if (number === MODEL_METADATA) {
      metadata.set(textOf(fields(bytes), ENTRY_KEY), textOf(fields(bytes), ENTRY_VALUE));
    } else if (number === MODEL_GRAPH) {
      for (const list of classListsOf(bytes)) classLists.set(JSON.stringify(list), list);
    }
  }
  const [classes] = classLists.values();
  return { metadata, classes: classLists.size === 1 ? classes : undefined };
}

function* classListsOf(graph: Uint8Array): Generator<readonly string[]> {
  for (const node of fields(graph)) {
    if (node.number !== GRAPH_NODE || node.bytes === undefined) continue;
    for (const attribute of fields(node.bytes)) {
      if (attribute.number !== NODE_ATTRIBUTE || attribute.bytes === undefined) continue;
      const list = classList(attribute.bytes);
      if (list.length > 0) yield list;
    }
  }
}

function classList(attribute: Uint8Array): string[] {
  // The name comes first: of the others, a large forest's lists of nodes, nothing else is read.
  if (!CLASS_ATTRIBUTES.has(textOf(fields(attribute), ATTRIBUTE_NAME))) return [];
  const list: string[] = [];
  for (const { number, integer, bytes } of fields(attribute)) {
    if (number === ATTRIBUTE_STRINGS && bytes !== undefined) list.push(decodeText(bytes));
    if (number === ATTRIBUTE_INTS && integer !== undefined) list.push(signed(integer));
    if (number === ATTRIBUTE_INTS && bytes !== undefined) list.push(...packedIntegers(bytes));
  }
  return list;
}

function* packedIntegers(bytes: Uint8Array): Generator<string> {
  const reader = new Reader(bytes);
  for (let value = reader.varint(); value !== undefined; value = reader.varint()) {
    yield signed(value);
  }
}

/** int64 in two's complement, as text. */
function signed(integer: bigint): string {
  return String(BigInt.asIntN(64, integer));
}

function textOf(message: Iterable<Field>, number: number): string {
  for (const field of message) {
    if (field.number === number && field.bytes !== undefined) return decodeText(field.bytes);
  }
  return '';
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** The fields of a message, up to its end or the first nonsense. */
function* fields(message: Uint8Array): Generator<Field> {
  const reader = new Reader(message);
  for (let tag = reader.varint(); tag !== undefined; tag = reader.varint()) {
    const number = Number(tag >> 3n);
    let integer: bigint | undefined;
    let bytes: Uint8Array | undefined;
    switch (Number(tag & 7n)) {
      case VARINT:
        integer = reader.varint();
        if (integer === undefined) return;
        break;
      case LENGTH_DELIMITED: {
        const length = reader.varint();
        if (length === undefined) return;
        bytes = reader.take(length);
        if (bytes === undefined) return;
        break;
      }
      case FIXED64:
        if (reader.take(8n) === undefined) return;
        break;
      case FIXED32:
        if (reader.take(4n) === undefined) return;
        break;
      default:
        return;
    }
    yield { number, integer, bytes };
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next integer: seven bits a byte, the lowest first; undefined at the end, when cut, or beyond 64 bits. */
  varint(): bigint | undefined {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.#at >= this.#bytes.length) return undefined;
      const byte = this.#bytes[this.#at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  }

  take(length: bigint): Uint8Array | undefined {
    if (length > BigInt(this.#bytes.length - this.#at)) return undefined;
    const from = this.#at;
    this.#at += Number(length);
    return this.#bytes.subarray(from, this.#at);
  }
}
