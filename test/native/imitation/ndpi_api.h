// An imitation of nDPI's interface at later versions: only what native/ndpi*.h uses, only declarations, written from
// the facts of nDPI's change log and headers. It proves that the adapters of native/ndpi-compat.h fit these shapes;
// it says nothing about how those versions behave.
//
// Compile with -DIMITATE=406, 410, 412 or 500.
#pragma once

#include <sys/types.h>

#include <cstddef>

#define NDPI_MAJOR (IMITATE == 500 ? 5 : 4)
#define NDPI_MINOR (IMITATE == 500 ? 0 : IMITATE == 412 ? 12 : IMITATE == 410 ? 10 : 6)
#define NDPI_PATCH 0
#define NDPI_API_VERSION 1

struct ndpi_detection_module_struct;
struct ndpi_global_context;
struct ndpi_flow_struct;
struct ndpi_flow_input_info;

enum {
  NDPI_PROTOCOL_UNKNOWN = 0,
  NDPI_PROTOCOL_MAIL_POPS,
  NDPI_PROTOCOL_MAIL_SMTPS,
  NDPI_PROTOCOL_DNS,
  NDPI_PROTOCOL_HTTP,
  NDPI_PROTOCOL_MDNS,
  NDPI_PROTOCOL_DHCP,
  NDPI_PROTOCOL_DTLS,
  NDPI_PROTOCOL_MAIL_IMAPS,
  NDPI_PROTOCOL_TLS,
  NDPI_PROTOCOL_SSH,
  NDPI_PROTOCOL_HTTP_CONNECT,
  NDPI_PROTOCOL_HTTP_PROXY,
  NDPI_PROTOCOL_LLMNR,
  NDPI_PROTOCOL_QUIC
};
typedef enum { NDPI_NO_RISK = 0, NDPI_MAX_RISK = 57 } ndpi_risk_enum;
typedef enum {
  NDPI_CONFIDENCE_UNKNOWN = 0,
  NDPI_CONFIDENCE_DPI_CACHE = 5,
  NDPI_CONFIDENCE_DPI,
  NDPI_CONFIDENCE_MAX = 9
} ndpi_confidence_t;
typedef enum { NDPI_PROTOCOL_CATEGORY_UNSPECIFIED = 0, NDPI_PROTOCOL_NUM_CATEGORIES = 116 } ndpi_protocol_category_t;
typedef u_int64_t ndpi_risk;

#if IMITATE >= 412
typedef struct {
  u_int16_t master_protocol, app_protocol;
} ndpi_master_app_protocol;
#endif

#if IMITATE >= 500
struct ndpi_proto_stack {
  u_int16_t protos[4];
  u_int16_t protos_num;
};
typedef enum { NDPI_STATE_INSPECTING = 0, NDPI_STATE_CLASSIFIED } ndpi_classification_state;
#endif

typedef struct ndpi_proto {
#if IMITATE >= 412
  ndpi_master_app_protocol proto;
  u_int16_t protocol_by_ip;
#else
  u_int16_t master_protocol, app_protocol;
#endif
  ndpi_protocol_category_t category;
#if IMITATE >= 500
  ndpi_classification_state state;
  struct ndpi_proto_stack protocol_stack;
#endif
} ndpi_protocol;

struct ndpi_flow_struct {
#if IMITATE < 500
  u_int16_t detected_protocol_stack[2];
#endif
  u_int8_t l4_proto, fail_with_unknown : 1;
  ndpi_confidence_t confidence;
  u_int16_t num_processed_pkts;
  int (*extra_packets_func)(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*);
  char host_server_name[80];
  ndpi_risk risk;
  struct {
    u_int16_t response_status_code;
    char *url, *content_type, *request_content_type, *user_agent, *server;
  } http;
  union {
    struct {
      u_int16_t query_type;
    } dns;
    struct {
      char *server_names, *advertised_alpns, *negotiated_alpn, *issuerDN, *subjectDN;
      u_int32_t notBefore, notAfter;
#if IMITATE < 500
      char ja3_client[33];
#endif
      char ja3_server[33], ja4_client[37];
      u_int16_t server_cipher, ssl_version;
    } tls_quic;
    struct {
      char hassh_client[33], hassh_server[33];
    } ssh;
    struct {
      char fingerprint[48];
    } dhcp;
  } protos;
};

extern "C" {
#if IMITATE >= 410
struct ndpi_detection_module_struct* ndpi_init_detection_module(struct ndpi_global_context*);
int ndpi_finalize_initialization(struct ndpi_detection_module_struct*);
#else
typedef u_int32_t ndpi_init_prefs;
struct ndpi_detection_module_struct* ndpi_init_detection_module(ndpi_init_prefs);
void ndpi_finalize_initialization(struct ndpi_detection_module_struct*);
#endif
#if IMITATE < 500
typedef struct {
  u_int32_t fds_bits[16];
} NDPI_PROTOCOL_BITMASK;
int ndpi_set_protocol_detection_bitmask2(struct ndpi_detection_module_struct*, const NDPI_PROTOCOL_BITMASK*);
u_int8_t ndpi_extra_dissection_possible(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*);
#endif
void ndpi_exit_detection_module(struct ndpi_detection_module_struct*);
void ndpi_free_flow_data(struct ndpi_flow_struct*);
ndpi_protocol ndpi_detection_process_packet(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*,
                                            const unsigned char*, const unsigned short, const u_int64_t,
#if IMITATE >= 500
                                            struct ndpi_flow_input_info*
#else
                                            const struct ndpi_flow_input_info*
#endif
);
#if IMITATE >= 500
ndpi_protocol ndpi_detection_giveup(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*);
#elif IMITATE >= 410
ndpi_protocol ndpi_detection_giveup(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*, u_int8_t*);
#else
ndpi_protocol ndpi_detection_giveup(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*, u_int8_t,
                                    u_int8_t*);
#endif
ndpi_protocol ndpi_guess_undetected_protocol(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*, u_int8_t);
ndpi_protocol ndpi_guess_undetected_protocol_v4(struct ndpi_detection_module_struct*, struct ndpi_flow_struct*,
                                                u_int8_t, u_int32_t, u_int16_t, u_int32_t, u_int16_t);
#if IMITATE >= 412
char* ndpi_protocol2name(struct ndpi_detection_module_struct*, ndpi_master_app_protocol, char*, u_int);
const char* ndpi_cipher2str(u_int32_t, char[8]);
#else
char* ndpi_protocol2name(struct ndpi_detection_module_struct*, ndpi_protocol, char*, u_int);
const char* ndpi_cipher2str(u_int32_t);
#endif
const char* ndpi_category_get_name(struct ndpi_detection_module_struct*, ndpi_protocol_category_t);
const char* ndpi_confidence_get_name(ndpi_confidence_t);
const char* ndpi_risk2str(ndpi_risk_enum);
u_int16_t ndpi_risk2score(ndpi_risk, u_int16_t*, u_int16_t*);
char* ndpi_revision(void);
u_int8_t ndpi_detection_get_l4(const u_int8_t*, u_int16_t, const u_int8_t**, u_int16_t*, u_int8_t*, u_int32_t);
u_int16_t ndpi_get_api_version(void);
u_int32_t ndpi_detection_get_sizeof_ndpi_flow_struct(void);
}
