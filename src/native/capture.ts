// The contract of the capture addon (native/capture.cc): libpcap's filter compiler and what `nfstream doctor` asks.
import type { AddonBase } from './addon.ts';
import { type LoadedAddon, type LoadFailure, loadAddon } from './load.ts';

export interface CaptureAddon extends AddonBase {
  /** libpcap's own words, for example `libpcap version 1.10.3 (with TPACKET_V3)`. */
  libVersion(): string;

  /**
   * Compiles a filter for frames of a capture file: a BPF program as in src/packet/bpf.ts (two words an instruction),
   * or libpcap's message when it does not compile. Host and service names are looked up, which may block.
   *
   * @param linkType LINKTYPE_ value of the file, 0 to 65535
   * @param snaplen what the program returns for a match, 1 to 2^31 - 1
   * @param bigEndian the byte order that the file was written in; it matters for LINKTYPE_NULL headers
   * @param optimizeUpTo programs of more instructions are not optimized
   * @throws TypeError, RangeError for other arguments, and for an expression with NUL or over 64 KiB
   */
  compileFilter(
    expression: string,
    linkType: number,
    snaplen: number,
    bigEndian: boolean,
    optimizeUpTo: number,
  ): Uint32Array | string;

  /** '' when this process may capture from `device`, else libpcap's message. Opens it for a moment, captures nothing. */
  probeCapture(device: string): string;
}

/** Loads the addon or says why not; never throws. */
export const loadCapture = (): LoadedAddon<CaptureAddon> | LoadFailure => loadAddon<CaptureAddon>('capture');
