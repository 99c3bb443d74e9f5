// The columns that nDPI adds to `flow.metrics`: listed once, in the order in which they appear. Their types, the sinks'
// columns and the data dictionary come from here.
//
// A string that nDPI does not know is '', a number is null, a list is empty. What an nDPI version does not have stays
// so: every version gives all columns.
import type { Column } from '../flow/schema.ts';

export interface NdpiColumn extends Column {
  readonly type: 'string' | 'integer' | 'string-list';
  /** False for integers that are always known. */
  readonly nullable?: boolean;
  /** nDPI versions that know it, where not all do. */
  readonly versions?: string;
}

export const NDPI_FIELDS = [
  {
    name: 'application_name',
    type: 'string',
    meaning: 'application as nDPI names it, "master.app" where one runs over the other (TLS.Facebook); Unknown',
  },
  { name: 'category_name', type: 'string', meaning: "nDPI's category of the application; Unspecified" },
  {
    name: 'http_dns_server_name',
    type: 'string',
    meaning: 'host that an HTTP request, or name that a DNS, mDNS or LLMNR query asks for',
  },
  { name: 'tls_client_server_name', type: 'string', meaning: 'server name indication of the TLS, DTLS or QUIC client' },
  {
    name: 'tls_server_server_name',
    type: 'string',
    meaning: "common name of the server's certificate, or its first alternative name",
  },
  {
    name: 'tls_server_organization',
    type: 'string',
    meaning: "organization of the subject of the server's certificate",
  },
  { name: 'tls_version', type: 'string', meaning: 'negotiated version, for example TLSv1.2' },
  {
    name: 'tls_not_before',
    type: 'string',
    meaning: "begin of the certificate's validity, YYYY-MM-DD hh:mm:ss+00:00",
  },
  { name: 'tls_not_after', type: 'string', meaning: "end of the certificate's validity, YYYY-MM-DD hh:mm:ss+00:00" },
  { name: 'application_id', type: 'integer', nullable: false, meaning: "nDPI's number of the application, 0 unknown" },
  { name: 'master_id', type: 'integer', nullable: false, meaning: "nDPI's number of the protocol below it, 0 none" },
  { name: 'category_id', type: 'integer', nullable: false, meaning: "nDPI's number of the category" },
  {
    name: 'application_confidence',
    type: 'integer',
    nullable: false,
    meaning:
      '0 unknown, 1 by port, 2 by address or custom rule, 3 partial or aggressive inspection, ' +
      '4 the same from a cache, 5 inspection of a related flow (cache), 6 deep packet inspection',
  },
  {
    name: 'application_is_guessed',
    type: 'integer',
    nullable: false,
    meaning: '1 when packets did not tell and nDPI guessed, otherwise 0',
  },
  { name: 'risks', type: 'string-list', meaning: "names of nDPI's flow risks" },
  { name: 'risk_score', type: 'integer', nullable: false, meaning: "nDPI's score of these risks, 0 for none" },
  { name: 'ja3_client', type: 'string', meaning: 'JA3 fingerprint of the TLS or QUIC client', versions: 'below 5.0' },
  { name: 'ja3_server', type: 'string', meaning: 'JA3S fingerprint of the TLS server' },
  { name: 'hassh_client', type: 'string', meaning: 'HASSH fingerprint of the SSH client' },
  { name: 'hassh_server', type: 'string', meaning: 'HASSH fingerprint of the SSH server' },
  { name: 'http_user_agent', type: 'string', meaning: 'User-Agent of an HTTP request, or of a QUIC client' },
  { name: 'http_content_type', type: 'string', meaning: 'Content-Type of an HTTP response' },
  { name: 'http_url', type: 'string', meaning: 'host and path that an HTTP request asks for' },
  { name: 'http_status', type: 'integer', meaning: 'status code of the HTTP response' },
  {
    name: 'tls_alpn',
    type: 'string',
    meaning: 'application protocols that the TLS client offers, separated by commas',
  },
  { name: 'tls_issuer', type: 'string', meaning: "issuer of the server's certificate (C=.., O=.., CN=..)" },
  { name: 'tls_subject', type: 'string', meaning: "subject of the server's certificate" },
  { name: 'tls_cipher', type: 'string', meaning: 'cipher suite that the server chose' },
  { name: 'dhcp_fingerprint', type: 'string', meaning: 'parameters that a DHCP client requests (1,3,6,42)' },
  { name: 'dns_query_type', type: 'integer', meaning: 'type of the DNS query (1 A, 28 AAAA, ...)' },
] as const satisfies readonly NdpiColumn[];

type NdpiField = (typeof NDPI_FIELDS)[number];

type CellOf<F> = F extends { type: 'string' }
  ? string
  : F extends { type: 'string-list' }
    ? string[]
    : F extends { nullable: false }
      ? number
      : number | null;

/** nDPI's part of `flow.metrics`. */
export type NdpiMetrics = { [F in NdpiField as F['name']]: CellOf<F> };
