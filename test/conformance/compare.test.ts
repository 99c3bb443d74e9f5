// The comparison itself: it must see what differs, or the conformance test proves nothing.
import { describe, expect, it } from 'vitest';
import { compareFlows, type Row } from '../../conformance/compare.mjs';
import { rowOf, splitLine } from '../../conformance/expected.mjs';

const ROW: Row = {
  src: '10.0.0.1 1000',
  dst: '10.0.0.2 80',
  protocol: 6,
  vlan: 0,
  first: 1000,
  last: 2000,
  packets: '3/2',
  bytes: '300/200',
  flags: 'syn 1/1',
  application: 'HTTP',
};

describe('compareFlows', () => {
  it('pairs equal flows off in any order; the application does not count', () => {
    const other = { ...ROW, vlan: 7 };
    const { equal, differences } = compareFlows([ROW, other], [other, { ...ROW, application: '' }]);
    expect({ equal, differences }).toEqual({ equal: 2, differences: [] });
  });

  it.each([
    ['times', { last: 2001 }],
    ['times', { first: 999 }],
    ['packets', { packets: '3/3' }],
    ['bytes', { bytes: '301/200' }],
    ['flags', { flags: 'syn 2/1' }],
    ['direction', { src: ROW.dst, dst: ROW.src }],
    ['packets bytes', { packets: '4/2', bytes: '400/200' }],
  ])('says %s', (reason, change) => {
    const ours = { ...ROW, ...change };
    expect(compareFlows([ROW], [ours])).toMatchObject({ equal: 0, differences: [{ reason, expected: ROW, ours }] });
  });

  it.each([{ vlan: 5 }, { protocol: 17 }, { src: '10.0.0.3 1000' }])(
    'takes another key for another flow: %o',
    (change) => {
      const reasons = compareFlows([ROW], [{ ...ROW, ...change }]).differences.map(({ reason }) => reason);
      expect(reasons.sort()).toEqual(['extra', 'missing']);
    },
  );

  it('counts flows of one key one by one', () => {
    const later = { ...ROW, first: 5000, last: 6000 };
    expect(compareFlows([ROW, later], [later]).differences).toEqual([{ reason: 'missing', expected: ROW }]);
    expect(compareFlows([later], [ROW, later]).differences).toEqual([{ reason: 'extra', ours: ROW }]);
    expect(compareFlows([ROW], [ROW, ROW]).differences).toEqual([{ reason: 'extra', ours: ROW }]);
  });
});

describe('splitLine', () => {
  it('reads quotes, commas and empty cells', () => {
    expect(splitLine('1,"a,b","say ""x""",,')).toEqual(['1', 'a,b', 'say "x"', '', '']);
    expect(splitLine('one')).toEqual(['one']);
    expect(splitLine('a,"b"')).toEqual(['a', 'b']);
  });
});

describe('rowOf', () => {
  it('cuts times to milliseconds as NFStream does, and leaves out flags that are 0', () => {
    const none = { cwr_count: [0, 0], ece_count: [0, 0], urg_count: [0, 0], psh_count: [0, 0], rst_count: [0, 0] };
    const flow = { ...none, syn_count: [1, 0], ack_count: [0, 2], fin_count: [1, 1] };
    const rest = { ip_src: 'a', src_port: 1, ip_dst: 'b', dst_port: 2, ip_protocol: 6, vlan_id: 3, metrics: {} };
    const sizes = { src_to_dst_pkts: 2, dst_to_src_pkts: 2, src_to_dst_bytes: 20, dst_to_src_bytes: 30 };
    expect(rowOf({ ...flow, ...rest, ...sizes, start_time: 1.999, end_time: 3 })).toEqual({
      src: 'a 1',
      dst: 'b 2',
      protocol: 6,
      vlan: 3,
      first: 1,
      last: 3,
      packets: '2/2',
      bytes: '20/30',
      flags: 'syn 1/0 ack 0/2 fin 1/1',
      application: '',
    });
  });
});
