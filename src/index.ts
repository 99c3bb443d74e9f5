// What the package exports.
export { type Direction, NFStreamClassifier, type RunInfo } from './classifier/classifier.ts';
export type { NdpiMetrics } from './classifier/ndpi-fields.ts';
export { OnnxClassifier } from './classifier/onnx-classifier.ts';
export type { OnnxClassifierOptions, PredictAt } from './classifier/onnx-options.ts';
export type { Prediction } from './classifier/onnx-outputs.ts';
export type { Packet } from './classifier/packet.ts';
export { ERROR_CODES, NfstreamError, type NfstreamErrorCode } from './errors.ts';
export type { Flow } from './flow/flow.ts';
export type { FlowBatch } from './flow/flow-batch.ts';
export type { FlagCount, FlowMetrics, FlowRecord, MetricValue } from './flow/schema.ts';
export { metric, type UserMetric } from './metric/metric.ts';
export { type PayloadEntropyOptions, payloadEntropy } from './metric/payload-entropy.ts';
export { type TcpHandshakeRttOptions, tcpHandshakeRtt } from './metric/tcp-handshake.ts';
export { tcpRetransmissions } from './metric/tcp-retransmissions.ts';
export type { StreamerOptions } from './options.ts';
export type { SingleSource, SourceInput } from './source/open-source.ts';
export type { StreamerStats } from './stats.ts';
export { type MetricsOf, Streamer } from './streamer.ts';
