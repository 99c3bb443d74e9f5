// The kinds of difference: what NFStream does otherwise, as a change to the frames that makes our meter do the same, or,
// where no frame could, to the flows.
//
// A kind explains a difference when the flows are the expected ones then, in every column, whatever the capture is
// called. Each changes only frames (or flows) that show its cause (`imitate` and `imitateRows` return the same list when
// there are none), so that a difference with another cause stays. The order is that of the table: what a frame is read
// as, then what is dropped, then ports, addresses, times and directions.
import { locator } from './frames.mjs';
import { takeAddresses2And3 } from './ieee80211.mjs';
import { readAsIp } from './not-ip.mjs';
import { hideTunnel, readByTunnelPort, takeOutOfIp } from './tunnels.mjs';
import { turned } from './turn.mjs';

/**
 * @typedef {import('./frames.mjs').Frame} Frame
 * @typedef {import('./frames.mjs').Capture} Capture
 * @typedef {import('./frames.mjs').Library} Library
 * @typedef {import('./expected.mjs').Row} Row
 * @typedef {object} Kind
 * @property {string} name
 * @property {string} text what NFStream does, what we do, and what is checked
 * @property {(frames: Frame[], library: Library, capture: Capture) => Frame[]} [imitate]
 * @property {(rows: readonly Row[]) => readonly Row[]} [imitateRows] of a kind without `imitate`
 */

/** Of these, flows of 0, 1, 9, 101, 113 and 228 were compared and are equal. */
const LINK_TYPES_OF_NFSTREAM = new Set([0, 1, 9, 12, 50, 101, 104, 113, 127, 228, 229]);
const PROTOCOL_SCTP = 132;
const IPV6_HEADER_BYTES = 40;

/** @type {readonly Kind[]} */
export const KINDS = [
  {
    name: 'truncated',
    text: 'NFStream gives no flows of a capture that breaks off; we give those before the damage. Checked: reading ends in an error, and nothing is expected.',
    imitate: (frames, _, { damage }) => (damage === undefined ? frames : []),
  },
  {
    name: 'record_fields',
    text: "NFStream takes a record's microseconds as a signed number and cuts the length on the wire to 16 bits; we take both as the unsigned 32-bit numbers that the format defines. Checked: flows are equal with such fields changed so.",
    imitate: (frames) =>
      map(frames, (frame) =>
        frame.signedMs === undefined && frame.wire <= 0xffff
          ? frame
          : { ...frame, timeMs: frame.signedMs ?? frame.timeMs, wire: frame.wire & 0xffff },
      ),
  },
  {
    name: 'link_type',
    text: 'NFStream does not know the link type (LINUX_SLL2, say). Checked: flows are equal without frames of such types.',
    imitate: (frames) => filter(frames, ({ linkType }) => LINK_TYPES_OF_NFSTREAM.has(linkType)),
  },
  {
    name: 'not_ip',
    text: 'NFStream reads a frame as IP by its first four bits, whatever the EtherType or the address family say, then without a look at the fragment offset, and takes an IPv4 header that states less than 20 bytes; we skip these as not_ip and malformed_ip, as tshark does. Checked: flows are equal with such frames made IP.',
    imitate: (frames) => map(frames, readAsIp),
  },
  {
    name: 'ip_in_ip',
    text: 'NFStream has no tunnel number for IP in IP, and loses such packets when there is no IP inside; we give the packet inside tunnel 7, or meter the outer one. Checked: flows are equal with the outer IP headers taken away.',
    imitate: (frames, library) => {
      const locate = locator(library, false);
      return map(frames, (frame) => takeOutOfIp(frame, locate));
    },
  },
  {
    name: 'tunnel',
    text: 'NFStream does not look into GRE, VXLAN and Geneve; we meter what they carry. Checked: flows are equal with these headers spoiled, so that the outer packet counts.',
    imitate: (frames, library) => {
      const locate = locator(library, false);
      return map(frames, (frame) => hideTunnel(frame, locate(frame)));
    },
  },
  {
    name: 'tunnel_port',
    text: "NFStream takes UDP from or to a tunnel's port (GTP-U, TZSP, CAPWAP) for the tunnel on less evidence, loses some of it, and knows fewer forms of these tunnels; we ask for headers that fit. Checked: flows are equal with UDP on these ports read so.",
    imitate: (frames, library) => {
      const outer = locator(library, false);
      const inner = locator(library, true);
      return map(frames, (frame) => readByTunnelPort(frame, outer, inner));
    },
  },
  {
    name: 'total_length_0',
    text: 'NFStream drops IPv4 packets whose header states a total length of 0, as the system leaves it to the network card to cut them; we meter them up to the end of the frame. Checked: flows are equal without exactly these packets.',
    imitate: (frames, library) => {
      const locate = locator(library, true);
      return filter(frames, (frame) => {
        const headers = locate(frame);
        return headers?.version !== 4 || uint16(frame.bytes, headers.ipAt + 2) !== 0;
      });
    },
  },
  {
    name: 'ipv6_cut',
    text: 'NFStream drops IPv6 packets of which not all bytes were captured; we meter them. Checked: flows are equal without exactly these packets.',
    imitate: (frames, library) => {
      const locate = locator(library, true);
      return filter(frames, (frame) => {
        const headers = locate(frame);
        if (headers?.version !== 6) return true;
        const end = headers.ipAt + IPV6_HEADER_BYTES + uint16(frame.bytes, headers.ipAt + 4);
        return end <= frame.bytes.length;
      });
    },
  },
  {
    name: 'sctp_ports',
    text: 'NFStream gives SCTP port 0; we read the ports, as tshark does. Checked: flows are equal with these ports set to 0.',
    imitate: (frames, library) => {
      const locate = locator(library, true);
      return map(frames, (frame) => {
        const headers = locate(frame);
        if (headers?.protocol !== PROTOCOL_SCTP || headers.srcPort + headers.dstPort === 0) return frame;
        const bytes = frame.bytes.slice();
        bytes.fill(0, headers.transportAt, headers.transportAt + 4);
        return { ...frame, bytes };
      });
    },
  },
  {
    name: 'mac_80211',
    text: "NFStream takes an 802.11 frame's address 2 for the sender's and address 3 for the receiver's, whichever way the frame goes; we go by its ToDS and FromDS bits. Checked: flows are equal with frames to the distribution system in place of others, where these are the addresses.",
    imitate: (frames, library) => {
      const outer = locator(library, false);
      const inner = locator(library, true);
      return map(frames, (frame) => takeAddresses2And3(frame, outer, inner));
    },
  },
  {
    name: 'clock',
    text: 'NFStream moves a packet that is older than one before it (of another flow, even) forward to the newest time seen; we keep the time that the capture states. Checked: flows are equal with the times moved so.',
    imitate: (frames, library) => withoutStepsBack(frames, locator(library, true)),
  },
  {
    name: 'whole_ms',
    text: 'NFStream cuts times to whole milliseconds, which decides otherwise at the edge of a timeout. Checked: flows are equal with the times cut so.',
    imitate: (frames) =>
      map(frames, (frame) => {
        const timeMs = Math.floor(frame.timeMs);
        return timeMs === frame.timeMs ? frame : { ...frame, timeMs };
      }),
  },
  {
    name: 'segment_direction',
    text: 'NFStream takes the first packet after an active timeout for one of src to dst; we keep the direction of the conversation, which goes on. Checked: flows are equal with those whose first packet goes the other way seen from the other end.',
    imitateRows: (rows) =>
      map(rows, (row) => (/** @type {number[]} */ (row.splt_direction)[0] === 1 ? turned(row) : row)),
  },
];

/** The same array when `change` gives the same for each. */
function map(list, change) {
  const changed = list.map(change);
  return changed.every((one, i) => one === list[i]) ? list : changed;
}

/** Packets that are not metered have no part in it. */
function withoutStepsBack(frames, locate) {
  let newest = Number.NEGATIVE_INFINITY;
  return map(frames, (frame) => {
    if (locate(frame) === undefined) return frame;
    newest = Math.max(newest, frame.timeMs);
    return frame.timeMs === newest ? frame : { ...frame, timeMs: newest };
  });
}

function filter(frames, keep) {
  const kept = frames.filter(keep);
  return kept.length === frames.length ? frames : kept;
}

function uint16(bytes, at) {
  return (bytes[at] << 8) | bytes[at + 1];
}
