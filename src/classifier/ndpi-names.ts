// Turns nDPI's numbers and texts into the columns of NDPI_FIELDS: names (looked up once each), dates, the parts of a
// certificate's subject.

import type { Findings } from '../flow/fields/ndpi.ts';
import type { NdpiAddon, NdpiDetector, NdpiResult } from '../native/ndpi.ts';

/**
 * nDPI's names of its confidence levels on one scale, which is the one of the nDPI that NFStream 6 uses: nDPI's numbers
 * changed between versions, its names did not. Matches by address have no number of their own there.
 */
const CONFIDENCE: Readonly<Record<string, number>> = {
  Unknown: 0,
  'Match by port': 1,
  'Match by IP': 2,
  nBPF: 2,
  'Match by custom rule': 2,
  'DPI (partial)': 3,
  'DPI (aggressive)': 3,
  'DPI (partial cache)': 4,
  'DPI (cache)': 5,
  DPI: 6,
};
const BY_PORT = 1;

/** The version field of a hello, RFC 8446 section 4.1.2 and RFC 9147 section 5.3. */
const TLS_VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0002, 'SSLv2'],
  [0x0300, 'SSLv3'],
  [0x0301, 'TLSv1'],
  [0x0302, 'TLSv1.1'],
  [0x0303, 'TLSv1.2'],
  [0x0304, 'TLSv1.3'],
  [0xfb1a, 'TLSv1.3 (Fizz)'],
  [0xfeff, 'DTLSv1.0'],
  [0xfefd, 'DTLSv1.2'],
  [0xfefc, 'DTLSv1.3'],
]);

export class NdpiNames {
  readonly #addon: NdpiAddon;
  readonly #detector: NdpiDetector;
  /** By master id << 16 | application id. */
  readonly #applications = new Map<number, string>();
  readonly #categories = new Map<number, string>();
  readonly #ciphers = new Map<number, string>();
  readonly #confidences = new Map<number, number>();

  constructor(addon: NdpiAddon, detector: NdpiDetector) {
    this.#addon = addon;
    this.#detector = detector;
  }

  /** Every column, in the order of NDPI_FIELDS. */
  findingsOf(result: NdpiResult): Findings {
    const [masterId, applicationId, categoryId, confidence, guessed, riskLow, riskHigh, riskScore, ...texts] = result;
    const [httpDnsName, tlsClientName, tlsServerNames, tlsVersion, tlsNotBefore, tlsNotAfter, ...more] = texts;
    const [tlsIssuer, tlsSubject, tlsCipher, tlsAlpn, ja3Client, ja3Server, hasshClient, hasshServer, ...rest] = more;
    const [httpUserAgent, httpContentType, httpUrl, httpStatus, dhcpFingerprint, dnsQueryType, hostName] = rest;
    return {
      application_name: this.#application(masterId, applicationId),
      category_name: this.#category(categoryId),
      http_dns_server_name: httpDnsName ?? '',
      tls_client_server_name: tlsClientName ?? '',
      tls_server_server_name: subjectPart(tlsSubject, 'CN') || firstName(tlsServerNames),
      tls_server_organization: subjectPart(tlsSubject, 'O'),
      tls_version: tlsVersionName(tlsVersion),
      tls_not_before: dateText(tlsNotBefore),
      tls_not_after: dateText(tlsNotAfter),
      application_id: applicationId,
      master_id: masterId,
      category_id: categoryId,
      application_confidence: this.#confidence(confidence, guessed),
      application_is_guessed: guessed,
      risks: this.#risks(riskLow, riskHigh),
      risk_score: riskScore,
      ja3_client: ja3Client ?? '',
      ja3_server: ja3Server ?? '',
      hassh_client: hasshClient ?? '',
      hassh_server: hasshServer ?? '',
      http_user_agent: httpUserAgent ?? '',
      http_content_type: httpContentType ?? '',
      http_url: httpUrl ?? '',
      http_status: httpStatus ?? null,
      tls_alpn: tlsAlpn ?? '',
      tls_issuer: tlsIssuer ?? '',
      tls_subject: tlsSubject ?? '',
      tls_cipher: this.#cipher(tlsCipher),
      dhcp_fingerprint: dhcpFingerprint ?? '',
      dns_query_type: dnsQueryType ?? null,
      host_server_name: hostName ?? '',
    };
  }

  #application(masterId: number, applicationId: number): string {
    const key = masterId * 0x10000 + applicationId;
    let name = this.#applications.get(key);
    if (name === undefined) {
      name = this.#detector.protocolName(masterId, applicationId);
      this.#applications.set(key, name);
    }
    return name;
  }

  #category(id: number): string {
    let name = this.#categories.get(id);
    if (name === undefined) {
      name = this.#detector.categoryName(id);
      this.#categories.set(id, name);
    }
    return name;
  }

  #cipher(id: number | undefined): string {
    if (id === undefined) return '';
    let name = this.#ciphers.get(id);
    if (name === undefined) {
      name = this.#addon.cipherName(id);
      this.#ciphers.set(id, name);
    }
    return name;
  }

  #confidence(id: number, guessed: number): number {
    let confidence = this.#confidences.get(id);
    if (confidence === undefined) {
      confidence = CONFIDENCE[this.#addon.confidenceName(id)] ?? 0;
      this.#confidences.set(id, confidence);
    }
    // A guess without any packet leaves nDPI's own confidence unset.
    return confidence === 0 && guessed === 1 ? BY_PORT : confidence;
  }

  #risks(low: number, high: number): string[] {
    const names: string[] = [];
    for (let bit = 0; low >>> bit !== 0 && bit < 32; bit++)
      if ((low >>> bit) & 1) names.push(this.#addon.riskName(bit));
    for (let bit = 0; high >>> bit !== 0 && bit < 32; bit++) {
      if ((high >>> bit) & 1) names.push(this.#addon.riskName(bit + 32));
    }
    return names;
  }
}

/** As nDPI and NFStream write it: `2014-08-28 00:00:00+00:00`. */
function dateText(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  return new Date(seconds * 1000).toISOString().replace('T', ' ').replace('.000Z', '+00:00');
}

function tlsVersionName(version: number | undefined): string {
  if (version === undefined) return '';
  const name = TLS_VERSIONS.get(version);
  if (name !== undefined) return name;
  // Both bytes alike and 0x?a: a value that means nothing, of RFC 8701. 0x7f00 to 0x7fff: drafts of TLS 1.3.
  if ((version & 0x0f0f) === 0x0a0a && version >> 8 === (version & 0xff)) return 'GREASE';
  if (version >> 8 === 0x7f) return 'TLSv1.3 (draft)';
  return `TLS (${version.toString(16).padStart(4, '0').toUpperCase()})`;
}

/** One attribute of `C=US, O=Facebook, Inc., CN=*.facebook.com`; values may contain commas. */
function subjectPart(subject: string | undefined, key: string): string {
  if (subject === undefined) return '';
  const parts = subject.split(/, (?=[A-Z]{1,2}=)/);
  return parts.find((part) => part.startsWith(`${key}=`))?.slice(key.length + 1) ?? '';
}

function firstName(names: string | undefined): string {
  return names?.split(',', 1)[0] ?? '';
}
