// Test support: JA4 fingerprints computed from what tshark dissects, with no code of src/: the independent reading that
// the metric is compared with. Specification: FoxIO-LLC/ja4, technical_details/JA4.md.
import { createHash } from 'node:crypto';
import { KEY_FIELDS, tsharkFields, tsharkKey } from './tshark-fields.ts';

const FIELDS = [
  'handshake.type',
  'handshake.version',
  'handshake.ciphersuite',
  'handshake.extension.type',
  'handshake.sig_hash_alg_len',
  'handshake.sig_hash_alg',
  'handshake.extensions_alpn_str',
  'handshake.extensions.supported_version',
];
/** Extensions with a list of signature algorithms: signature_algorithms, delegated_credential, ..._cert. */
const WITH_ALGORITHMS = [13, 34, 50];

const isGrease = (value: number) => /^(.a)\1$/.test(value.toString(16).padStart(4, '0'));
const hex = (value: number) => value.toString(16).padStart(4, '0');
const hash = (text: string) =>
  text === '' ? '0'.repeat(12) : createHash('sha256').update(text).digest('hex').slice(0, 12);

const VERSIONS: Record<string, string> = {
  '0002': 's2',
  '0300': 's3',
  '0301': '10',
  '0302': '11',
  '0303': '12',
  '0304': '13',
  feff: 'd1',
  fefd: 'd2',
  fefc: 'd3',
};

/** By flow key: the fingerprint of each ClientHello, in order. */
export function tsharkJa4(file: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const protocol of ['tls', 'dtls']) {
    const filter = `${protocol}.handshake.type==1`;
    const fields = FIELDS.map((field) => `${protocol}.${field}`);
    for (const row of tsharkFields(file, [...KEY_FIELDS, 'frame.protocols', ...fields], ['-Y', filter])) {
      const key = tsharkKey(row);
      const [[protocols], types, ...rest] = row.slice(KEY_FIELDS.length);
      if (types.length !== 1) continue;
      const transport = protocol === 'dtls' ? 'd' : protocols.includes('quic') ? 'q' : 't';
      found.set(key, [...(found.get(key) ?? []), fingerprint(transport, rest)]);
    }
  }
  return found;
}

function fingerprint(transport: string, columns: readonly string[][]): string {
  const [versions, suites, types, lengths, algorithms, alpn, supported] = columns;
  const numbers = (texts: readonly string[]) => texts.map(Number).filter((value) => !isGrease(value));
  const extensions = numbers(types);
  let signature: number[] = [];
  let at = 0;
  let list = 0;
  for (const type of types.map(Number).filter((value) => WITH_ALGORITHMS.includes(value))) {
    const end = at + Number(lengths[list++] ?? 0) / 2;
    if (type === 13) signature = numbers(algorithms.slice(at, end));
    at = end;
  }
  const offered = numbers(supported);
  const version = offered.length > 0 ? Math.max(...offered) : Number(versions[0]);
  const two = (values: readonly unknown[]) => String(Math.min(99, values.length)).padStart(2, '0');
  const sorted = (values: readonly number[]) => values.map(hex).sort().join(',');
  const name = alpn[0] ?? '';
  const hashed = sorted(extensions.filter((type) => type !== 0 && type !== 16));
  const first = [
    transport,
    VERSIONS[hex(version)] ?? '00',
    extensions.includes(0) ? 'd' : 'i',
    two(numbers(suites)),
    two(extensions),
    name === '' ? '00' : name[0] + name.at(-1),
  ].join('');
  const tail = hashed === '' || signature.length === 0 ? '' : `_${signature.map(hex).join(',')}`;
  return `${first}_${hash(sorted(numbers(suites)))}_${hash(hashed + tail)}`;
}
