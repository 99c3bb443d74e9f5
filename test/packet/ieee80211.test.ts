import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { amsduSubframe, concat, hex, ieee80211, ipv4, llcSnap, radiotap, udp } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const SNAP = llcSnap({ etherType: 0x0800 }, ipv4({ protocol: 17 }, udp()));
const WLAN = { linkType: 105 };
const RADIOTAP = { linkType: 127 };
const QOS = 8;

describe('decodeIeee80211', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`8801 3000 020000000002 020000000001 020000000003 1000 0000 aaaa03 000000 0800
           4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000`),
      WLAN,
    );
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 34 });
  });

  it.each([
    ['plain', {}, 24],
    ['from the distribution system', { flags: 2 }, 24],
    ['four addresses', { flags: 3 }, 30],
    ['QoS', { subtype: QOS }, 26],
    ['QoS, four addresses', { subtype: QOS, flags: 3 }, 32],
    ['QoS, HT control', { subtype: QOS, flags: 0x81 }, 30],
    ['order bit without QoS', { flags: 0x81 }, 24],
  ])('finds the payload: %s', (_, fields, headerBytes) => {
    const frame = ieee80211(fields, SNAP);
    expect(decodeFrame(frame, WLAN)).toMatchObject({ status: 'metered', dstPort: 53, ipAt: headerBytes + 8 });
    expect(statusChanges(decodeTruncations(frame, 105))).toEqual([
      [0, 'short_header'],
      [headerBytes + 32, '17/40000/0'],
    ]);
  });

  it('decodes the first subframe of an A-MSDU', () => {
    const frame = ieee80211({ subtype: QOS, qosControl: 0x80 }, concat(amsduSubframe(SNAP), amsduSubframe(SNAP)));
    expect(decodeFrame(frame, WLAN)).toMatchObject({ status: 'metered', dstPort: 53, ipAt: 48, ipEnd: 76 });
  });

  it.each([
    ['management', { type: 0, subtype: 8 }],
    ['control', { type: 1, subtype: 13 }],
    ['extension', { type: 3 }],
    ['no data', { subtype: 4 }],
    ['QoS without data', { subtype: 12 }],
    ['encrypted', { flags: 0x41 }],
    ['a later fragment', { fragmentNumber: 1 }],
  ])('has no IP in: %s', (_, fields) => {
    expect(decodeFrame(ieee80211(fields, SNAP), WLAN).status).toBe('not_ip');
  });
});

describe('decodeRadiotap', () => {
  const frame = ieee80211({ subtype: QOS }, SNAP);

  it('decodes known bytes', () => {
    const bytes = concat(hex('00 00 1100 03000000 0000000000000001 00'), frame);
    expect(decodeFrame(bytes, RADIOTAP)).toMatchObject({ status: 'metered', dstPort: 53, ipAt: 17 + 34 });
  });

  it('steps over every form of the header', () => {
    for (const tsft of [false, true]) {
      for (const words of [1, 2, 3]) {
        for (const flags of [undefined, 0]) {
          const bytes = radiotap(flags === undefined ? { tsft, words } : { tsft, words, flags }, frame);
          expect(decodeFrame(bytes, RADIOTAP)).toMatchObject({ status: 'metered', dstPort: 53 });
        }
      }
    }
  });

  it('finds the flags after a time stamp and more present words: padding and a bad check sequence', () => {
    const padded = ieee80211({ subtype: QOS, alignment: 4 }, SNAP);
    for (const tsft of [false, true]) {
      for (const words of [1, 2, 3]) {
        expect(decodeFrame(radiotap({ flags: 0x20, tsft, words }, padded), RADIOTAP).status).toBe('metered');
        expect(decodeFrame(radiotap({ flags: 0x40, tsft, words }, frame), RADIOTAP).status).toBe('not_ip');
      }
    }
  });

  it('leaves the frame check sequence out, where the packet has no length of its own', () => {
    const unsized = ieee80211({}, llcSnap({ etherType: 0x0800 }, ipv4({ protocol: 17, totalLength: 0 }, udp())));
    const withSequence = concat(unsized, hex('deadbeef'));
    expect(decodeFrame(radiotap({ flags: 0x10 }, withSequence), RADIOTAP)).toMatchObject({ ipSize: 28 });
    expect(decodeFrame(radiotap({ flags: 0 }, withSequence), RADIOTAP)).toMatchObject({ ipSize: 32 });
    // Cut by the snap length: the check sequence is not there to be left out.
    const cut = radiotap({ flags: 0x10 }, unsized);
    expect(decodeFrame(cut, { ...RADIOTAP, wireLength: cut.length + 4 })).toMatchObject({ ipSize: 28 });
  });

  it('rejects impossible headers', () => {
    expect(decodeFrame(concat(hex('01 00 0800 00000000'), frame), RADIOTAP).status).toBe('not_ip');
    expect(decodeFrame(concat(hex('00 00 0400 00000000'), frame), RADIOTAP).status).toBe('not_ip');
    expect(decodeFrame(concat(hex('00 00 ffff 00000000'), frame), RADIOTAP).status).toBe('short_header');
    expect(decodeFrame(concat(hex('00 00 0800 02000000'), frame), RADIOTAP).status).toBe('not_ip');
    expect(decodeFrame(concat(hex('00 00 0800 00000080'), frame), RADIOTAP).status).toBe('metered');
    expect(decodeFrame(concat(hex('00 00 0800 02000080'), frame), RADIOTAP).status).toBe('not_ip');
    expect(decodeFrame(hex('00 00 0900 02000000 10 0801'), RADIOTAP).status).toBe('short_header');
  });

  it('rejects every cut inside the header', () => {
    expect(statusChanges(decodeTruncations(radiotap({ flags: 0, tsft: true }, frame), 127))).toEqual([
      [0, 'short_header'],
      [17 + 58, '17/40000/0'],
    ]);
  });
});
