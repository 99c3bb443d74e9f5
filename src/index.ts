// What the package exports.
export { type Direction, NFStreamClassifier, type RunInfo } from './classifier/classifier.ts';
export type { Feature, FeatureValue } from './classifier/features.ts';
export { OnnxClassifier } from './classifier/onnx-classifier.ts';
export type { OnnxClassifierOptions, PredictAt } from './classifier/onnx-options.ts';
export type { Prediction } from './classifier/onnx-outputs.ts';
export type { OnnxRuntimeName } from './classifier/onnx-runtime.ts';
export type { Packet } from './classifier/packet.ts';
export { ERROR_CODES, NfstreamError, type NfstreamErrorCode } from './errors.ts';
export type { AccountingMode } from './flow/accounting.ts';
export type { NdpiMetrics } from './flow/fields/ndpi.ts';
export type { ProcessMetrics } from './flow/fields/process.ts';
export type { Flow } from './flow/flow.ts';
export type { FlowBatch } from './flow/flow-batch.ts';
export type { JsonSchema } from './flow/json-schema.ts';
export {
  type AnyRecord,
  type Column,
  type ColumnType,
  type FieldValues,
  type FlagCount,
  type FlowMetrics,
  type FlowRecord,
  type IntegerSize,
  type MetricValue,
  type Nfstream6NdpiValues,
  type Nfstream6ProcessValues,
  type Nfstream6Record,
  SCHEMAS,
  type SchemaName,
  type SpltValues,
  type StatisticsValues,
} from './flow/schema.ts';
export { jsonSchema } from './json-schema.ts';
export { type CommunityIdOptions, communityId } from './metric/community-id.ts';
export { type DhcpClient, type DhcpOptions, dhcpOptions } from './metric/dhcp-options.ts';
export { EXPORT_SLICED, FlowSlicer, type FlowSlicerOptions } from './metric/flow-slicer.ts';
export { ja4 } from './metric/ja4.ts';
export { type MdnsNamesOptions, mdnsNames } from './metric/mdns-names.ts';
export { metric, type UserMetric } from './metric/metric.ts';
export { type PayloadEntropyOptions, payloadEntropy } from './metric/payload-entropy.ts';
export { type HandshakePart, type TcpHandshakeRttOptions, tcpHandshakeRtt } from './metric/tcp-handshake.ts';
export { tcpRetransmissions } from './metric/tcp-retransmissions.ts';
export type { StreamerOptions } from './options.ts';
export type { SinkOptions } from './sink/open-sink.ts';
export type { InterfaceName, SingleSource, SourceInput } from './source/open-source.ts';
export type { CaptureStats, StreamerStats } from './stats.ts';
export { type FlowOf, type MetricsOf, type RecordOf, Streamer } from './streamer.ts';
export type { WrittenFlows } from './write-flows.ts';
