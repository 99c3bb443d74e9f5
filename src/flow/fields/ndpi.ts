// The columns that nDPI adds to `flow.metrics`: listed once, in the order in which they appear. Their types, the sinks'
// columns and the data dictionary come from here.
//
// A string that nDPI does not know is '', a number is null, a list is empty. What an nDPI version does not have stays
// so: every version gives all columns.
import type { Field } from './field.ts';

export interface NdpiField extends Omit<Field, 'read' | 'feature'> {
  readonly type: 'string' | 'integer' | 'string-list';
  /** nDPI versions that know it, where not all do. */
  readonly versions?: string;
}

export const NDPI_FIELDS = [
  {
    name: 'application_name',
    type: 'string',
    repeats: true,
    meaning: 'application as nDPI names it, "master.app" where one runs over the other (TLS.Facebook); Unknown',
    ipfix: 'applicationName',
  },
  {
    name: 'category_name',
    type: 'string',
    repeats: true,
    meaning: "nDPI's category of the application; Unspecified",
    ipfix: 'applicationCategoryName',
  },
  {
    name: 'http_dns_server_name',
    type: 'string',
    meaning: 'host that an HTTP request, or name that a DNS, mDNS or LLMNR query asks for',
  },
  { name: 'tls_client_server_name', type: 'string', meaning: 'server name indication of the TLS, DTLS or QUIC client' },
  {
    name: 'tls_server_server_name',
    type: 'string',
    repeats: true,
    meaning: "common name of the server's certificate, or its first alternative name",
  },
  {
    name: 'tls_server_organization',
    type: 'string',
    repeats: true,
    meaning: "organization of the subject of the server's certificate",
  },
  { name: 'tls_version', type: 'string', repeats: true, meaning: 'negotiated version, for example TLSv1.2' },
  {
    name: 'tls_not_before',
    type: 'string',
    meaning: "begin of the certificate's validity, YYYY-MM-DD hh:mm:ss+00:00",
  },
  { name: 'tls_not_after', type: 'string', meaning: "end of the certificate's validity, YYYY-MM-DD hh:mm:ss+00:00" },
  { name: 'application_id', type: 'integer', size: 'int32', meaning: "nDPI's number of the application, 0 unknown" },
  { name: 'master_id', type: 'integer', size: 'int32', meaning: "nDPI's number of the protocol below it, 0 none" },
  { name: 'category_id', type: 'integer', size: 'int32', meaning: "nDPI's number of the category" },
  {
    name: 'application_confidence',
    type: 'integer',
    size: 'int32',
    meaning:
      '0 unknown, 1 by port, 2 by address or custom rule, 3 partial or aggressive inspection, ' +
      '4 the same from a cache, 5 inspection of a related flow (cache), 6 deep packet inspection',
  },
  {
    name: 'application_is_guessed',
    type: 'integer',
    size: 'int32',
    meaning: '1 when packets did not tell and nDPI guessed, otherwise 0',
  },
  { name: 'risks', type: 'string-list', meaning: "names of nDPI's flow risks" },
  { name: 'risk_score', type: 'integer', size: 'int32', meaning: "nDPI's score of these risks, 0 for none" },
  {
    name: 'ja3_client',
    type: 'string',
    repeats: true,
    meaning: 'JA3 fingerprint of the TLS or QUIC client',
    versions: 'below 5.0',
  },
  { name: 'ja3_server', type: 'string', repeats: true, meaning: 'JA3S fingerprint of the TLS server' },
  { name: 'hassh_client', type: 'string', repeats: true, meaning: 'HASSH fingerprint of the SSH client' },
  { name: 'hassh_server', type: 'string', repeats: true, meaning: 'HASSH fingerprint of the SSH server' },
  {
    name: 'http_user_agent',
    type: 'string',
    repeats: true,
    meaning: 'User-Agent of an HTTP request, or of a QUIC client',
    ipfix: 'httpUserAgent',
  },
  {
    name: 'http_content_type',
    type: 'string',
    repeats: true,
    meaning: 'Content-Type of an HTTP response',
    ipfix: 'httpContentType',
  },
  { name: 'http_url', type: 'string', meaning: 'host and path that an HTTP request asks for' },
  {
    name: 'http_status',
    type: 'integer',
    size: 'int32',
    nullable: true,
    meaning: 'status code of the HTTP response',
    ipfix: 'httpStatusCode',
  },
  {
    name: 'tls_alpn',
    type: 'string',
    repeats: true,
    meaning: 'application protocols that the TLS client offers, separated by commas',
  },
  {
    name: 'tls_issuer',
    type: 'string',
    repeats: true,
    meaning: "issuer of the server's certificate (C=.., O=.., CN=..)",
  },
  { name: 'tls_subject', type: 'string', repeats: true, meaning: "subject of the server's certificate" },
  { name: 'tls_cipher', type: 'string', repeats: true, meaning: 'cipher suite that the server chose' },
  {
    name: 'dhcp_fingerprint',
    type: 'string',
    repeats: true,
    meaning: 'parameters that a DHCP client requests (1,3,6,42)',
  },
  {
    name: 'dns_query_type',
    type: 'integer',
    size: 'int32',
    nullable: true,
    meaning: 'type of the DNS query (1 A, 28 AAAA, ...)',
  },
  {
    name: 'host_server_name',
    type: 'string',
    meaning: 'name that another protocol tells of the host it is about (NetBIOS, SSDP, DHCP, ...)',
  },
] as const satisfies readonly NdpiField[];

type CellOf<F> = F extends { type: 'string' }
  ? string
  : F extends { type: 'string-list' }
    ? string[]
    : F extends { nullable: true }
      ? number | null
      : number;

/** nDPI's part of `flow.metrics`. */
export type NdpiMetrics = { [F in (typeof NDPI_FIELDS)[number] as F['name']]: CellOf<F> };

/** What nDPI found out about flows: all of which it found out the same share it, so nobody changes it. */
export type Findings = Readonly<NdpiMetrics>;

/** A copy, for one flow alone. Not by spreading, after which one more metric takes ten times as long as all of these. */
export function copyOf(findings: Findings): NdpiMetrics {
  const copy: Partial<NdpiMetrics> = {};
  addTo(copy, findings);
  return copy as NdpiMetrics;
}

/**
 * Adds all columns to `to`, in their order. Property by property: `Object.assign` takes seven times as long, and a loop over
 * names leaves an object whose every property is looked up in a hash table.
 */
export function addTo(to: Partial<NdpiMetrics>, findings: Findings): void {
  to.application_name = findings.application_name;
  to.category_name = findings.category_name;
  to.http_dns_server_name = findings.http_dns_server_name;
  to.tls_client_server_name = findings.tls_client_server_name;
  to.tls_server_server_name = findings.tls_server_server_name;
  to.tls_server_organization = findings.tls_server_organization;
  to.tls_version = findings.tls_version;
  to.tls_not_before = findings.tls_not_before;
  to.tls_not_after = findings.tls_not_after;
  to.application_id = findings.application_id;
  to.master_id = findings.master_id;
  to.category_id = findings.category_id;
  to.application_confidence = findings.application_confidence;
  to.application_is_guessed = findings.application_is_guessed;
  to.risks = [...findings.risks];
  to.risk_score = findings.risk_score;
  to.ja3_client = findings.ja3_client;
  to.ja3_server = findings.ja3_server;
  to.hassh_client = findings.hassh_client;
  to.hassh_server = findings.hassh_server;
  to.http_user_agent = findings.http_user_agent;
  to.http_content_type = findings.http_content_type;
  to.http_url = findings.http_url;
  to.http_status = findings.http_status;
  to.tls_alpn = findings.tls_alpn;
  to.tls_issuer = findings.tls_issuer;
  to.tls_subject = findings.tls_subject;
  to.tls_cipher = findings.tls_cipher;
  to.dhcp_fingerprint = findings.dhcp_fingerprint;
  to.dns_query_type = findings.dns_query_type;
  to.host_server_name = findings.host_server_name;
}
