// What nDPI found out about a flow, as a JavaScript array with one place for each RESULT_FIELDS name; a hole means
// that nDPI does not know. Numbers and texts are handed over as nDPI has them: naming and formatting is TypeScript's.
//
// nDPI keeps protocol data in a union: a member is read only when the flow's protocols say that it is the one in use
// (the same condition under which nDPI itself frees it).
#pragma once

#include <initializer_list>

#include "addon.h"
#include "ndpi-detector.h"

namespace nfstream {

#define NFSTREAM_RESULT_FIELDS(FIELD) \
  FIELD(master_id)                    \
  FIELD(application_id)               \
  FIELD(category_id)                  \
  FIELD(confidence)                   \
  FIELD(guessed)                      \
  FIELD(risk_low)                     \
  FIELD(risk_high)                    \
  FIELD(risk_score)                   \
  FIELD(http_dns_server_name)         \
  FIELD(tls_client_server_name)       \
  FIELD(tls_server_names)             \
  FIELD(tls_version)                  \
  FIELD(tls_not_before)               \
  FIELD(tls_not_after)                \
  FIELD(tls_issuer)                   \
  FIELD(tls_subject)                  \
  FIELD(tls_cipher)                   \
  FIELD(tls_alpn)                     \
  FIELD(ja3_client)                   \
  FIELD(ja3_server)                   \
  FIELD(hassh_client)                 \
  FIELD(hassh_server)                 \
  FIELD(http_user_agent)              \
  FIELD(http_content_type)            \
  FIELD(http_url)                     \
  FIELD(http_status)                  \
  FIELD(dhcp_fingerprint)             \
  FIELD(dns_query_type)               \
  FIELD(host_server_name)

enum class Field : uint32_t {
#define NFSTREAM_FIELD_ENUM(name) name,
  NFSTREAM_RESULT_FIELDS(NFSTREAM_FIELD_ENUM)
#undef NFSTREAM_FIELD_ENUM
      count_
};

constexpr const char* RESULT_FIELDS[] = {
#define NFSTREAM_FIELD_NAME(name) #name,
    NFSTREAM_RESULT_FIELDS(NFSTREAM_FIELD_NAME)
#undef NFSTREAM_FIELD_NAME
};

// No text of nDPI is longer in practice; a bound against a missing NUL and against memory exhaustion.
constexpr size_t MAX_TEXT = 16384;

class ResultWriter {
 public:
  explicit ResultWriter(napi_env env) : env_(env) {
    napi_create_array_with_length(env, static_cast<size_t>(Field::count_), &array_);
  }

  napi_value array() const { return array_; }

  void Set(Field field, double number) { Put(field, Number(env_, number)); }

  // Leaves a hole for 0.
  void SetNonZero(Field field, double number) {
    if (number != 0) Set(field, number);
  }

  // Leaves a hole for nullptr and ''. `capacity` bounds the reading of arrays inside nDPI's structures.
  void Set(Field field, const char* text, size_t capacity = MAX_TEXT) {
    if (text == nullptr || text[0] == '\0') return;
    Put(field, String(env_, text, strnlen(text, capacity)));
  }

 private:
  void Put(Field field, napi_value value) {
    if (value != nullptr) napi_set_element(env_, array_, static_cast<uint32_t>(field), value);
  }

  napi_env env_;
  napi_value array_ = nullptr;
};

inline bool HasAny(const Detector::Slot& slot, std::initializer_list<uint16_t> ids) {
  for (const uint16_t id : ids) {
    if (compat::HasProtocol(slot.flow, slot.last, id, compat::First())) return true;
  }
  return false;
}

inline void WriteTls(const Detector::Slot& slot, ResultWriter& out) {
  const auto& tls = slot.flow.protos.tls_quic;
  out.Set(Field::tls_client_server_name, slot.flow.host_server_name, sizeof slot.flow.host_server_name);
  out.Set(Field::tls_server_names, tls.server_names);
  out.SetNonZero(Field::tls_version, tls.ssl_version);
  out.SetNonZero(Field::tls_not_before, tls.notBefore);
  out.SetNonZero(Field::tls_not_after, tls.notAfter);
  out.Set(Field::tls_issuer, tls.issuerDN);
  out.Set(Field::tls_subject, tls.subjectDN);
  out.SetNonZero(Field::tls_cipher, tls.server_cipher);
  out.Set(Field::tls_alpn, compat::TlsAlpn(tls, 0));
  out.Set(Field::ja3_client, compat::Ja3Client(tls, 0), 33);
  out.Set(Field::ja3_server, compat::Ja3Server(tls, 0), 33);
}

inline napi_value WriteResult(napi_env env, const Detector::Slot& slot) {
  const ndpi_flow_struct& flow = slot.flow;
  ResultWriter out(env);
  out.Set(Field::master_id, compat::Master(slot.last));
  out.Set(Field::application_id, compat::App(slot.last));
  out.Set(Field::category_id, slot.last.category);
  out.Set(Field::confidence, flow.confidence);
  out.Set(Field::guessed, slot.guessed);
  out.Set(Field::risk_low, static_cast<uint32_t>(flow.risk));
  out.Set(Field::risk_high, static_cast<uint32_t>(static_cast<uint64_t>(flow.risk) >> 32));
  uint16_t client = 0;
  uint16_t server = 0;
  out.Set(Field::risk_score, flow.risk == 0 ? 0 : ndpi_risk2score(flow.risk, &client, &server));

  if (HasAny(slot, {NDPI_PROTOCOL_TLS, NDPI_PROTOCOL_DTLS, NDPI_PROTOCOL_QUIC, NDPI_PROTOCOL_MAIL_SMTPS,
                    NDPI_PROTOCOL_MAIL_POPS, NDPI_PROTOCOL_MAIL_IMAPS})) {
    WriteTls(slot, out);
  } else {
    const bool dns = HasAny(slot, {NDPI_PROTOCOL_DNS, NDPI_PROTOCOL_MDNS, NDPI_PROTOCOL_LLMNR});
    if (dns) out.SetNonZero(Field::dns_query_type, flow.protos.dns.query_type);
    if (dns || flow.http.url != nullptr ||
        HasAny(slot, {NDPI_PROTOCOL_HTTP, NDPI_PROTOCOL_HTTP_CONNECT, NDPI_PROTOCOL_HTTP_PROXY})) {
      out.Set(Field::http_dns_server_name, flow.host_server_name, sizeof flow.host_server_name);
    } else {
      out.Set(Field::host_server_name, flow.host_server_name, sizeof flow.host_server_name);
    }
    if (HasAny(slot, {NDPI_PROTOCOL_SSH})) {
      out.Set(Field::hassh_client, flow.protos.ssh.hassh_client, sizeof flow.protos.ssh.hassh_client);
      out.Set(Field::hassh_server, flow.protos.ssh.hassh_server, sizeof flow.protos.ssh.hassh_server);
    } else if (HasAny(slot, {NDPI_PROTOCOL_DHCP})) {
      out.Set(Field::dhcp_fingerprint, flow.protos.dhcp.fingerprint, sizeof flow.protos.dhcp.fingerprint);
    }
  }
  out.Set(Field::http_user_agent, flow.http.user_agent);
  out.Set(Field::http_content_type, flow.http.content_type);
  out.Set(Field::http_url, flow.http.url);
  out.SetNonZero(Field::http_status, flow.http.response_status_code);
  return out.array();
}

}  // namespace nfstream
