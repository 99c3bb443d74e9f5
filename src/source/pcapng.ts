// The pcapng file format (draft-ietf-opsawg-pcapng) to batch rows: any number of sections, each with its own byte
// order and interfaces; packets of enhanced, simple and obsolete packet blocks; every other block is skipped.
//
//   block            type 4 | total length 4 | body ... | total length 4       (a multiple of 4, both lengths equal)
//   section header   0a0d0d0a | length | byte order magic 4 | major 2 | minor 2 | section length 8 | options
//   interface        1 | length | link type 2 | reserved 2 | snaplen 4 | options
//   packet           2 | length | interface 2 | drops 2 | time high 4 | time low 4 | captured 4 | wire 4 | frame ...
//   simple packet    3 | length | wire 4 | frame ...
//   enhanced packet  6 | length | interface 4 | time high 4 | time low 4 | captured 4 | wire 4 | frame ...
//
// Invariant: a row is filled only for a block that lies whole in `[at, end)` and whose two lengths agree.
import { InterfaceTable } from './pcapng-interfaces.ts';
import { type Damage, MAX_RECORD_BYTES, type RecordParser } from './record-parser.ts';
import type { PacketBatch } from './source.ts';

/** The section header's type; the same in both byte orders. */
export const BLOCK_SECTION_HEADER = 0x0a0d0d0a;

const BLOCK_INTERFACE = 1;
const BLOCK_PACKET = 2;
const BLOCK_SIMPLE_PACKET = 3;
const BLOCK_ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const SHORTEST_BLOCK = 12;
const SHORTEST_SECTION_HEADER = 28;
const SHORTEST_INTERFACE = 20;
const PACKET_HEADER_BYTES = 28;
const SIMPLE_HEADER_BYTES = 12;
const TRAILER_BYTES = 4;

export class PcapngParser implements RecordParser {
  next = 0;
  need = SHORTEST_SECTION_HEADER;
  damage: Damage | null = null;
  inside = 'the file header';
  private isLittleEndian = true;
  private readonly interfaces = new InterfaceTable();
  /** Of the section's last packet: a simple packet block has no time of its own. */
  private lastTimeMs = 0;
  private hasSection = false;

  /** HOT PATH: called for each batch, one turn of the loop for each block, nothing allocated for a packet. */
  parse(batch: PacketBatch, view: DataView, start: number, end: number): number {
    const { capacity } = batch;
    let { isLittleEndian } = this;
    let at = start;
    let row = 0;
    let need = SHORTEST_BLOCK;
    while (row < capacity && end - at >= SHORTEST_BLOCK) {
      const type = view.getUint32(at, isLittleEndian);
      if (type === BLOCK_SECTION_HEADER) {
        if (!this.readByteOrder(view, at)) break;
        isLittleEndian = this.isLittleEndian;
      }
      const length = view.getUint32(at + 4, isLittleEndian);
      if (length < SHORTEST_BLOCK || (length & 3) !== 0 || length > MAX_RECORD_BYTES) {
        this.fail(`a block has the impossible length ${length}`);
        break;
      }
      const blockEnd = at + length;
      if (blockEnd > end) {
        need = length;
        break;
      }
      const trailer = view.getUint32(blockEnd - TRAILER_BYTES, isLittleEndian);
      if (trailer !== length) {
        this.fail(`a block begins with the length ${length} and ends with the length ${trailer}`);
        break;
      }
      const dataEnd = blockEnd - TRAILER_BYTES;
      if (type === BLOCK_ENHANCED_PACKET || type === BLOCK_PACKET) {
        if (!this.readPacket(batch, row, view, at, dataEnd, type)) break;
        row++;
      } else if (type === BLOCK_SIMPLE_PACKET) {
        if (!this.readSimplePacket(batch, row, view, at, dataEnd)) break;
        row++;
      } else if (type === BLOCK_INTERFACE) {
        if (!this.readInterface(view, at, dataEnd)) break;
      } else if (type === BLOCK_SECTION_HEADER && !this.readSection(view, at, length)) {
        break;
      }
      at = blockEnd;
    }
    this.next = at;
    this.need = need;
    return row;
  }

  private readPacket(
    batch: PacketBatch,
    row: number,
    view: DataView,
    at: number,
    dataEnd: number,
    type: number,
  ): boolean {
    const { interfaces, isLittleEndian } = this;
    const dataAt = at + PACKET_HEADER_BYTES;
    if (dataAt > dataEnd) return this.fail('a packet block is too short for its header');
    const id =
      type === BLOCK_ENHANCED_PACKET ? view.getUint32(at + 8, isLittleEndian) : view.getUint16(at + 8, isLittleEndian);
    const captured = view.getUint32(at + 20, isLittleEndian);
    if (id >= interfaces.count) return this.fail(`a packet names interface ${id} of ${interfaces.count}`);
    if (captured > dataEnd - dataAt) {
      return this.fail(`a packet of ${captured} captured bytes lies in a block with room for ${dataEnd - dataAt}`);
    }
    const high = view.getUint32(at + 12, isLittleEndian);
    const low = view.getUint32(at + 16, isLittleEndian);
    const timeMs = interfaces.timeMs(id, high, low);
    this.lastTimeMs = timeMs;
    batch.timeMs[row] = timeMs;
    batch.frameAt[row] = dataAt;
    batch.capturedLength[row] = captured;
    batch.wireLength[row] = view.getUint32(at + 24, isLittleEndian);
    batch.linkType[row] = interfaces.linkTypes[id];
    return true;
  }

  private readSimplePacket(batch: PacketBatch, row: number, view: DataView, at: number, dataEnd: number): boolean {
    const { interfaces } = this;
    const dataAt = at + SIMPLE_HEADER_BYTES;
    if (dataAt > dataEnd) return this.fail('a simple packet block is too short for its header');
    if (interfaces.count === 0) return this.fail('a simple packet comes before any interface');
    const wire = view.getUint32(at + 8, this.isLittleEndian);
    const captured = Math.min(wire, interfaces.snaplens[0]);
    if (captured > dataEnd - dataAt) {
      return this.fail(`a packet of ${captured} captured bytes lies in a block with room for ${dataEnd - dataAt}`);
    }
    batch.timeMs[row] = this.lastTimeMs;
    batch.frameAt[row] = dataAt;
    batch.capturedLength[row] = captured;
    batch.wireLength[row] = wire;
    batch.linkType[row] = interfaces.linkTypes[0];
    return true;
  }

  private readInterface(view: DataView, at: number, dataEnd: number): boolean {
    if (dataEnd + TRAILER_BYTES - at < SHORTEST_INTERFACE) {
      return this.fail('an interface block is too short for its header');
    }
    const problem = this.interfaces.add(view, at + 8, dataEnd, this.isLittleEndian);
    return problem === null || this.fail(problem);
  }

  private readByteOrder(view: DataView, at: number): boolean {
    if (view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) this.isLittleEndian = true;
    else if (view.getUint32(at + 8, false) === BYTE_ORDER_MAGIC) this.isLittleEndian = false;
    else return this.fail('a section header has no byte order magic');
    return true;
  }

  private readSection(view: DataView, at: number, length: number): boolean {
    if (length < SHORTEST_SECTION_HEADER) return this.fail('a section header block is too short');
    const major = view.getUint16(at + 12, this.isLittleEndian);
    const minor = view.getUint16(at + 14, this.isLittleEndian);
    if (major !== 1) {
      if (this.hasSection) return this.fail(`a section has the unknown version ${major}.${minor}`);
      const problem = `expected pcapng version 1.0 and received ${major}.${minor}`;
      this.damage = { code: 'NOT_A_CAPTURE', problem };
      return false;
    }
    this.hasSection = true;
    this.inside = 'a block';
    this.interfaces.clear();
    this.lastTimeMs = 0;
    return true;
  }

  private fail(problem: string): false {
    this.damage = { code: this.hasSection ? 'DAMAGED_CAPTURE' : 'NOT_A_CAPTURE', problem };
    return false;
  }
}
