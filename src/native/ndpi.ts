// The contract of the ndpi addon (native/ndpi.cc): nDPI's detection, flow by flow. Names, dates and other formatting
// are not its business: it hands over nDPI's own numbers and texts.
import type { AddonBase } from './addon.ts';
import { type LoadedAddon, type LoadFailure, loadAddon } from './load.ts';

/** `process`: not known yet, more packets may tell. */
export const NDPI_UNKNOWN = 0;
/** `process`: known, and more packets may tell more (a certificate, an answer). */
export const NDPI_MORE_WANTED = 1;
/** `process`: known, and further packets add nothing. */
export const NDPI_COMPLETE = 2;
/** `process`: not known, and further packets change nothing: `giveUp` is left. */
export const NDPI_EXHAUSTED = 3;

/** Places of `result`'s array, in the addon's order; the addon's `resultFields` must equal it. */
export const NDPI_RESULT_FIELDS = [
  'master_id',
  'application_id',
  'category_id',
  'confidence',
  'guessed',
  'risk_low',
  'risk_high',
  'risk_score',
  'http_dns_server_name',
  'tls_client_server_name',
  'tls_server_names',
  'tls_version',
  'tls_not_before',
  'tls_not_after',
  'tls_issuer',
  'tls_subject',
  'tls_cipher',
  'tls_alpn',
  'ja3_client',
  'ja3_server',
  'hassh_client',
  'hassh_server',
  'http_user_agent',
  'http_content_type',
  'http_url',
  'http_status',
  'dhcp_fingerprint',
  'dns_query_type',
  'host_server_name',
] as const;

/** What `result` gives: one place for each of NDPI_RESULT_FIELDS; undefined where nDPI does not know. */
export type NdpiResult = readonly [
  masterId: number,
  applicationId: number,
  categoryId: number,
  /** nDPI's own number, which depends on its version: see `confidenceName`. */
  confidence: number,
  /** 0 or 1: whether `giveUp` or `guess` had to guess. */
  guessed: number,
  /** Bits 0 to 31 of the risks. */
  riskLow: number,
  /** Bits 32 to 63. */
  riskHigh: number,
  riskScore: number,
  httpDnsServerName: string | undefined,
  tlsClientServerName: string | undefined,
  /** Names of the server's certificate, separated by commas. */
  tlsServerNames: string | undefined,
  /** The version field as on the wire. */
  tlsVersion: number | undefined,
  /** Seconds since the epoch. */
  tlsNotBefore: number | undefined,
  tlsNotAfter: number | undefined,
  /** `C=US, O=..., CN=...` */
  tlsIssuer: string | undefined,
  tlsSubject: string | undefined,
  /** IANA number of the cipher suite. */
  tlsCipher: number | undefined,
  tlsAlpn: string | undefined,
  ja3Client: string | undefined,
  ja3Server: string | undefined,
  hasshClient: string | undefined,
  hasshServer: string | undefined,
  httpUserAgent: string | undefined,
  httpContentType: string | undefined,
  httpUrl: string | undefined,
  httpStatus: number | undefined,
  dhcpFingerprint: string | undefined,
  dnsQueryType: number | undefined,
  /** Where it is neither of the first two names. */
  hostServerName: string | undefined,
];

/**
 * One nDPI context with the state of the flows it looks at. Handles are small integers. Every function throws
 * ERR_NDPI_CLOSED after `close`, RangeError (ERR_OUT_OF_RANGE) for a handle that is not live or an offset outside
 * `bytes`, and TypeError for arguments of other types.
 */
export interface NdpiDetector {
  /** Begins a flow. */
  open(): number;
  /**
   * Shows a packet of the flow to nDPI: the IP packet at `bytes[at]` to `bytes[end - 1]`. `timeMs` is ms since the
   * epoch. Returns NDPI_UNKNOWN, NDPI_MORE_WANTED, NDPI_COMPLETE or NDPI_EXHAUSTED. The packet is copied; `bytes` is
   * neither kept nor written.
   */
  process(handle: number, bytes: Uint8Array, at: number, end: number, timeMs: number): number;
  /** nDPI's last word about the flow, a guess by port or address if there is nothing better. */
  giveUp(handle: number): void;
  /** A guess from addresses and ports alone, for a flow of which no packet could be shown; addresses 0 for IPv6. */
  guess(handle: number, protocol: number, src: number, srcPort: number, dst: number, dstPort: number): void;
  /** A number for what nDPI knows of the flow by now: the same for all flows of which it knows the same. From 0 on. */
  resultOf(handle: number): number;
  /** The result of this number; throws RangeError where there is none. */
  result(number: number): NdpiResult;
  /** Gives results numbers from 0 on again: the addon keeps every one that has a number. */
  forgetResults(): void;
  /** Ends a flow; its handle will not be accepted any more. */
  free(handle: number): void;
  /** `TLS.Facebook`, as nDPI writes it. */
  protocolName(masterId: number, applicationId: number): string;
  categoryName(id: number): string;
  /** Flows opened and not freed. */
  liveCount(): number;
  /** Frees everything. May be called twice. */
  close(): void;
}

export interface NdpiAddon extends AddonBase {
  /** Version of the headers that the addon was compiled with, for example `4.2.0`. */
  readonly headerVersion: string;
  /** nDPI's own words for the version of the library that is linked. */
  readonly libraryVersion: string;
  readonly resultFields: readonly string[];
  /** Takes tens of milliseconds and some 20 MB; independent of all others. */
  createDetector(): NdpiDetector;
  /** nDPI's name of a risk bit, 0 to 63; '' for none. */
  riskName(bit: number): string;
  /** nDPI's name of a `confidence` number. */
  confidenceName(confidence: number): string;
  /** Name of a TLS cipher suite by its IANA number. */
  cipherName(id: number): string;
}

/** Loads the addon or says why not; never throws. */
export const loadNdpi = (): LoadedAddon<NdpiAddon> | LoadFailure => loadAddon<NdpiAddon>('ndpi');
