// What the conformance modules need of the project, from the sources.
import { PacketDecoder } from '../../src/packet/packet-decoder.ts';
import { openSource } from '../../src/source/open-source.ts';
import { PacketBatch } from '../../src/source/source.ts';
import { Streamer } from '../../src/streamer.ts';

export const LIBRARY = { Streamer, openSource, PacketBatch, PacketDecoder };
