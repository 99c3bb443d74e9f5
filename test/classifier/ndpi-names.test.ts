import { describe, expect, it } from 'vitest';
import { NdpiNames } from '../../src/classifier/ndpi-names.ts';
import { NDPI_FIELDS, type NdpiMetrics } from '../../src/flow/fields/ndpi.ts';
import { NDPI_RESULT_FIELDS, type NdpiAddon, type NdpiDetector, type NdpiResult } from '../../src/native/ndpi.ts';

/** nDPI's names of confidence levels in later versions; 4.2 has five of them. */
const CONFIDENCE_NAMES = [
  'Unknown',
  'Match by port',
  'nBPF',
  'DPI (partial)',
  'DPI (partial cache)',
  'DPI (cache)',
  'DPI',
  'Match by IP',
  'DPI (aggressive)',
  'Match by custom rule',
  'of a later version',
];

let asked: string[] = [];
const note = (question: string) => {
  asked.push(question);
  return question;
};
const addon = {
  riskName: (bit: number) => note(`risk ${bit}`),
  cipherName: (id: number) => note(`cipher ${id}`),
  confidenceName: (id: number) => CONFIDENCE_NAMES[id],
} as unknown as NdpiAddon;
const detector = {
  protocolName: (master: number, app: number) => note(`${master}.${app}`),
  categoryName: (id: number) => note(`category ${id}`),
} as unknown as NdpiDetector;

function findingsOf(known: Partial<Record<(typeof NDPI_RESULT_FIELDS)[number], number | string>>): NdpiMetrics {
  asked = [];
  const zero = { master_id: 0, application_id: 0, category_id: 0, confidence: 0, guessed: 0 };
  const values = { ...zero, risk_low: 0, risk_high: 0, risk_score: 0, ...known };
  const result = NDPI_RESULT_FIELDS.map((name) => values[name as keyof typeof values]);
  return names.findingsOf(result as unknown as NdpiResult);
}
let names = new NdpiNames(addon, detector);

describe('NdpiNames', () => {
  it('writes all columns in the order of NDPI_FIELDS, empty where nDPI does not know', () => {
    const metrics = findingsOf({});
    expect(Object.keys(metrics)).toEqual(NDPI_FIELDS.map(({ name }) => name));
    for (const { name, type, ...field } of NDPI_FIELDS) {
      if (name === 'application_name' || name === 'category_name') continue;
      const empty = type === 'string' ? '' : type === 'string-list' ? [] : 'nullable' in field ? null : 0;
      expect(metrics[name], name).toEqual(empty);
    }
  });

  it('takes each value from its own place', () => {
    const texts = NDPI_RESULT_FIELDS.filter((name) => /client|server|http_u|http_c|alpn|issuer|dhcp/.test(name));
    const metrics = findingsOf({
      ...Object.fromEntries(texts.map((name) => [name, `<${name}>`])),
      http_status: 204,
      dns_query_type: 28,
      risk_score: 30,
      master_id: 91,
      application_id: 119,
      category_id: 6,
    });
    expect(metrics).toMatchObject({
      application_name: '91.119',
      category_name: 'category 6',
      http_dns_server_name: '<http_dns_server_name>',
      tls_client_server_name: '<tls_client_server_name>',
      tls_server_server_name: '<tls_server_names>',
      application_id: 119,
      master_id: 91,
      category_id: 6,
      risk_score: 30,
      ja3_client: '<ja3_client>',
      ja3_server: '<ja3_server>',
      hassh_client: '<hassh_client>',
      hassh_server: '<hassh_server>',
      http_user_agent: '<http_user_agent>',
      http_content_type: '<http_content_type>',
      http_url: '<http_url>',
      http_status: 204,
      tls_alpn: '<tls_alpn>',
      tls_issuer: '<tls_issuer>',
      dhcp_fingerprint: '<dhcp_fingerprint>',
      dns_query_type: 28,
      host_server_name: '<host_server_name>',
    });
  });

  it('asks for each name once', () => {
    names = new NdpiNames(addon, detector);
    const known = { master_id: 5, application_id: 176, category_id: 5, tls_cipher: 0xc02b };
    findingsOf(known);
    expect(asked).toEqual(['5.176', 'category 5', 'cipher 49195']);
    expect(findingsOf(known)).toMatchObject({ application_name: '5.176', tls_cipher: 'cipher 49195' });
    expect(asked).toEqual([]);
    expect(findingsOf({ master_id: 0, application_id: 5 * 65536 + 176 }).application_name).toBe('5.176');
  });

  it("brings nDPI's confidence to one scale", () => {
    const scale = CONFIDENCE_NAMES.map((_, confidence) => findingsOf({ confidence }).application_confidence);
    expect(scale).toEqual([0, 1, 2, 3, 4, 5, 6, 2, 3, 2, 0]);
    expect(findingsOf({ confidence: 0, guessed: 1 })).toMatchObject({
      application_confidence: 1,
      application_is_guessed: 1,
    });
  });

  it.each([
    [0, 0, []],
    [1, 0, [0]],
    [2 ** 31, 0, [31]],
    [2 ** 31 + 2 ** 10 + 2, 0, [1, 10, 31]],
    [0, 1, [32]],
    [4, 2 ** 31 + 8, [2, 35, 63]],
  ])('names the risks %i, %i', (risk_low, risk_high, bits) => {
    expect(findingsOf({ risk_low, risk_high }).risks).toEqual(bits.map((bit) => `risk ${bit}`));
  });

  it.each([
    [0x0300, 'SSLv3'],
    [0x0301, 'TLSv1'],
    [0x0302, 'TLSv1.1'],
    [0x0303, 'TLSv1.2'],
    [0x0304, 'TLSv1.3'],
    [0xfeff, 'DTLSv1.0'],
    [0xfefd, 'DTLSv1.2'],
    [0xfefc, 'DTLSv1.3'],
    [0x7f1c, 'TLSv1.3 (draft)'],
    [0x3a3a, 'GREASE'],
    [0x3a4a, 'TLS (3A4A)'],
    [0x0005, 'TLS (0005)'],
  ])('names TLS version %i %s', (tls_version, name) => {
    expect(findingsOf({ tls_version }).tls_version).toBe(name);
  });

  it('writes dates as UTC', () => {
    expect(findingsOf({ tls_not_before: 1409184000, tls_not_after: 0xffffffff })).toMatchObject({
      tls_not_before: '2014-08-28 00:00:00+00:00',
      tls_not_after: '2106-02-07 06:28:15+00:00',
    });
  });

  it.each([
    ['C=US, ST=CA, L=Menlo Park, O=Facebook, Inc., CN=*.facebook.com', '*.facebook.com', 'Facebook, Inc.'],
    ['CN=example.org', 'example.org', ''],
    ['O=A=B, CN= CN=x', ' CN=x', 'A=B'],
    ['OU=O=not this', 'first.example', ''],
    ['', 'first.example', ''],
  ])('reads the subject %s', (tls_subject, name, organization) => {
    expect(findingsOf({ tls_subject, tls_server_names: 'first.example,second.example' })).toMatchObject({
      tls_server_server_name: name,
      tls_server_organization: organization,
    });
  });
});
