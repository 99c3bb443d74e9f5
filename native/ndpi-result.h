// What nDPI found out about a flow: its fields one after the other as bytes, by which equal results are told, and from
// which each different one is turned into a JavaScript array once. The array has one place for each RESULT_FIELDS name; a
// hole means that nDPI does not know. Numbers and texts are handed over as nDPI has them: naming and formatting is
// TypeScript's.
//
// nDPI keeps protocol data in a union: a member is read only when the flow's protocols say that it is the one in use
// (the same condition under which nDPI itself frees it).
#pragma once

#include <cstring>
#include <initializer_list>
#include <string>
#include <unordered_map>
#include <vector>

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

// A field is its number (texts: with kText), then a double, or the length of a text and its bytes.
constexpr uint8_t kText = 0x80;
static_assert(static_cast<uint32_t>(Field::count_) < kText, "the number of a field takes 7 bits");

class ResultWriter {
 public:
  explicit ResultWriter(std::string* out) : out_(out) { out->clear(); }

  void Set(Field field, double number) {
    out_->push_back(static_cast<char>(field));
    out_->append(reinterpret_cast<const char*>(&number), sizeof number);
  }

  // Leaves a hole for 0.
  void SetNonZero(Field field, double number) {
    if (number != 0) Set(field, number);
  }

  // Leaves a hole for nullptr and ''. `capacity` bounds the reading of arrays inside nDPI's structures.
  void Set(Field field, const char* text, size_t capacity = MAX_TEXT) {
    if (text == nullptr || text[0] == '\0') return;
    const uint32_t length = static_cast<uint32_t>(strnlen(text, capacity));
    out_->push_back(static_cast<char>(static_cast<uint8_t>(field) | kText));
    out_->append(reinterpret_cast<const char*>(&length), sizeof length);
    out_->append(text, length);
  }

 private:
  std::string* out_;
};

// The array of a result that a ResultWriter wrote.
inline napi_value ReadResult(napi_env env, const std::string& result) {
  napi_value array = nullptr;
  if (napi_create_array_with_length(env, static_cast<size_t>(Field::count_), &array) != napi_ok) return nullptr;
  for (const char *at = result.data(), *end = at + result.size(); at < end;) {
    const uint8_t field = static_cast<uint8_t>(*at++);
    napi_value value;
    if (field & kText) {
      uint32_t length;
      std::memcpy(&length, at, sizeof length);
      at += sizeof length;
      value = String(env, at, length);
      at += length;
    } else {
      double number;
      std::memcpy(&number, at, sizeof number);
      at += sizeof number;
      value = Number(env, number);
    }
    if (value == nullptr || napi_set_element(env, array, field & ~kText, value) != napi_ok) return nullptr;
  }
  return array;
}

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

inline void WriteResult(const Detector::Slot& slot, std::string* result) {
  const ndpi_flow_struct& flow = slot.flow;
  ResultWriter out(result);
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
}

// The different results so far, numbered from 0.
class Results {
 public:
  uint32_t NumberOf(const Detector::Slot& slot) {
    WriteResult(slot, &written_);
    const auto known = numbers_.find(written_);
    if (known != numbers_.end()) return known->second;
    const uint32_t number = static_cast<uint32_t>(list_.size());
    list_.push_back(nullptr);
    try {
      list_.back() = &numbers_.emplace(written_, number).first->first;
    } catch (...) {
      list_.pop_back();
      throw;
    }
    return number;
  }

  // nullptr for a number that stands for none.
  const std::string* Find(int64_t number) const {
    return number >= 0 && static_cast<uint64_t>(number) < list_.size() ? list_[static_cast<size_t>(number)] : nullptr;
  }

  void Forget() {
    list_.clear();
    numbers_.clear();
  }

 private:
  // A map's keys stay where they are.
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<const std::string*> list_;
  std::string written_;
};

}  // namespace nfstream
