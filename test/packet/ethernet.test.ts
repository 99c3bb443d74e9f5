import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { ethernet, ethernetIp, hex, ipv4, ipv6, tcp, udp } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

describe('decodeEthernet', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`ffffffffffff 525400123456 0800
           45000028 abcd4000 40060000 c0a8012a 08080404
           c35001bb 00000001 00000002 50120400 00000000`),
    );
    expect(row).toEqual({
      status: 'metered',
      src: '192.168.1.42',
      dst: '8.8.4.4',
      srcPort: 50000,
      dstPort: 443,
      protocol: 6,
      version: 4,
      vlan: 0,
      tunnel: 0,
      tunnelId: 0,
      tcpFlags: 0x12,
      isLaterFragment: false,
      ipAt: 14,
      ipSize: 40,
      transportAt: 34,
      payloadAt: 54,
      ipEnd: 54,
    });
  });

  it('leaves padding after the IP packet out', () => {
    const frame = new Uint8Array(60);
    frame.set(ethernetIp(ipv4({ protocol: 17 }, udp({}, hex('0102')))));
    expect(decodeFrame(frame)).toMatchObject({ status: 'metered', ipSize: 30, payloadAt: 42, ipEnd: 44 });
  });

  it('rejects every cut inside the headers, and uses ports and flags as soon as they are there', () => {
    const rows = decodeTruncations(ethernetIp(ipv4({}, tcp({ flags: 0x02 }, hex('01020304')))));
    expect(statusChanges(rows)).toEqual([
      [0, 'short_header'],
      [38, '6/40000/0'],
    ]);
    expect(rows.map((row) => row.tcpFlags === 0x02).lastIndexOf(false)).toBe(47);
    expect(rows[50]).toMatchObject({ ipSize: 44, ipEnd: 50, payloadAt: 50 });
  });

  it('names frames without IP', () => {
    for (const etherType of [0x0806, 0x88cc, 0x8863, 0x888e, 0x0600, 0xffff, 0x05ff]) {
      expect(decodeFrame(ethernet({ etherType }, new Uint8Array(46))).status, `${etherType}`).toBe('not_ip');
    }
  });

  it('believes the EtherType, not the first four bits', () => {
    expect(decodeFrame(ethernet({ etherType: 0x0800 }, ipv6({}, tcp()))).status).toBe('malformed_ip');
    expect(decodeFrame(ethernet({ etherType: 0x86dd }, ipv4({}, new Uint8Array(60)))).status).toBe('malformed_ip');
  });
});
