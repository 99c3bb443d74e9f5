import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { nearest } from '../src/check-option.ts';
import { NFStreamClassifier } from '../src/classifier/classifier.ts';
import { resolveOptions, type StreamerOptions } from '../src/options.ts';

const resolve = (options: object) => resolveOptions({ source: 'x.pcap', ...options } as StreamerOptions);

class Named extends NFStreamClassifier {}
class Greedy extends NFStreamClassifier {
  override readonly concurrency = 0;
}

describe('options', () => {
  it('have the defaults of the design', () => {
    expect(resolve({})).toMatchObject({
      source: ['x.pcap'],
      capacity: 524288,
      onCapacity: 'drop',
      activeTimeout: 60,
      inactiveTimeout: 30,
      userMetrics: {},
      userClassifiers: [],
      enableNdpi: true,
      dissections: 20,
      bpfFilter: undefined,
      snaplen: 65535,
      fragments: 'assign',
      decodeTunnels: true,
      interfaces: null,
      promiscuous: true,
      bufferSize: 33554432,
      batchTimeoutMs: 50,
      immediate: false,
      reconnect: false,
      duration: Number.POSITIVE_INFINITY,
      packets: Number.POSITIVE_INFINITY,
      replaySpeed: undefined,
      meters: 1,
      plugins: [],
      systemVisibility: false,
    });
  });

  it('take as many meters as there are processors, and one where functions can not be sent to threads', () => {
    const meters = (options: object) => resolve({ source: 'a.pcap', meters: 'auto', ...options }).meters;
    expect(meters({})).toBe(Math.min(availableParallelism(), 64));
    expect(meters({ plugins: 'a.ts' })).toBe(Math.min(availableParallelism(), 64));
    expect(meters({ userMetrics: { size: () => 0 } })).toBe(1);
    expect(meters({ userClassifiers: new Named('a') })).toBe(1);
    expect(meters({ userMetrics: {}, userClassifiers: [] })).toBe(Math.min(availableParallelism(), 64));
  });

  it('tell interfaces from captures: a file comes first, then an interface, then a file that is missing', () => {
    const interfaces = (source: unknown) => resolve({ source }).interfaces;
    expect(interfaces({ interface: 'no-such' })).toEqual(['no-such']);
    expect(interfaces([{ interface: 'a' }, { interface: 'b' }])).toEqual(['a', 'b']);
    expect(interfaces('package.json')).toBeNull();
    expect(interfaces('./lo')).toBeNull();
    expect(interfaces('no-such')).toBeNull();
    expect(interfaces('-')).toBeNull();
  });

  it.skipIf(!existsSync('/sys/class/net/lo'))('take the name of an interface for one', () => {
    expect(resolve({ source: 'lo' }).interfaces).toEqual(['lo']);
  });

  it.each([
    [{ inactivetimeout: 3 }, 'Unknown option "inactivetimeout"; did you mean "inactiveTimeout"?'],
    [{ bpf_filter: 'tcp' }, 'did you mean "bpfFilter"?'],
  ])('that do not exist are refused with the nearest name: %j', (options, message) => {
    expect(() => resolve(options)).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTION' }));
    expect(() => resolve(options)).toThrow(message);
  });

  it.each([
    [{ source: undefined }, 'source'],
    [{ source: '' }, 'source'],
    [{ source: [] }, 'source'],
    [{ source: ['a.pcap', 7] }, 'source'],
    [{ source: {} }, 'source'],
    [{ capacity: 0 }, 'capacity'],
    [{ capacity: 1.5 }, 'capacity'],
    [{ capacity: 2 ** 25 }, 'capacity'],
    [{ capacity: '10' }, 'capacity'],
    [{ onCapacity: 'keep' }, 'onCapacity'],
    [{ activeTimeout: -1 }, 'activeTimeout'],
    [{ inactiveTimeout: Number.NaN }, 'inactiveTimeout'],
    [{ inactiveTimeout: '30' }, 'inactiveTimeout'],
    [{ enableNdpi: 'yes' }, 'enableNdpi'],
    [{ dissections: -1 }, 'dissections'],
    [{ bpfFilter: 7 }, 'bpfFilter'],
    [{ snaplen: 0 }, 'snaplen'],
    [{ fragments: 'drop' }, 'fragments'],
    [{ decodeTunnels: 1 }, 'decodeTunnels'],
    [{ signal: {} }, 'signal'],
    [{ handleSigint: null }, 'handleSigint'],
    [{ userMetrics: [] }, 'userMetrics'],
    [{ userMetrics: new Map([['size', () => 0]]) }, 'userMetrics'],
    [{ userMetrics: { size: 7 } }, 'userMetrics.size'],
    [{ userMetrics: { ip_src: () => 0 } }, 'userMetrics.ip_src'],
    [{ userMetrics: { application_name: () => 0 } }, 'userMetrics.application_name has the name of a finding of nDPI'],
    [
      { source: { interface: 'lo' }, systemVisibility: true, userMetrics: { process_id: () => 0 } },
      'userMetrics.process_id has the name of a finding of systemVisibility',
    ],
    [{ userMetrics: { ['__proto__']: () => 0 } }, 'userMetrics'],
    [{ debug: 1 }, 'debug'],
    [{ source: { interface: '' } }, 'source'],
    [{ source: [{ interface: 'lo' }, 'x.pcap'] }, 'the interface "lo" and "x.pcap", which is none'],
    [{ source: [{ interface: 'lo' }, { interface: 'lo' }] }, '"lo" twice'],
    [{ promiscuous: 1 }, 'promiscuous'],
    [{ bufferSize: 1000 }, 'Expected an integer from 65536 to 2147483647 for bufferSize but received 1000'],
    [{ batchTimeoutMs: 0 }, 'batchTimeoutMs'],
    [{ immediate: 'no' }, 'immediate'],
    [{ reconnect: 3 }, 'reconnect'],
    [{ duration: -1 }, 'duration'],
    [{ duration: '60' }, 'duration'],
    [{ packets: 0.5 }, 'packets'],
    [{ replaySpeed: 0 }, 'Expected a number above 0 (1 is the recorded pace) or "max" for replaySpeed but received 0'],
    [{ replaySpeed: Number.POSITIVE_INFINITY }, 'replaySpeed'],
    [{ replaySpeed: 'fast' }, 'replaySpeed'],
    [{ replaySpeed: 1, source: { interface: 'lo' } }, 'a capture for replaySpeed but received the interface lo'],
    [{ meters: 0 }, 'meters'],
    [{ meters: 65 }, 'Expected an integer from 1 to 64 or "auto" for meters but received 65'],
    [{ meters: 'all' }, 'meters'],
    [{ meters: 2, userMetrics: { size: () => 0 } }, 'Expected 1 for meters with userMetrics'],
    [{ meters: 2, userClassifiers: new Named('a') }, 'Expected 1 for meters with userClassifiers'],
    [{ plugins: [7] }, 'plugins'],
    [{ plugins: '' }, 'plugins'],
    [{ systemVisibility: 'yes' }, 'systemVisibility'],
    [{ systemVisibility: true }, 'Expected an interface for systemVisibility but received a capture'],
    [{ userClassifiers: new Named('ip_src') }, 'The classifier "ip_src" has the name of a core column'],
    [{ userClassifiers: new Named('risks') }, 'The classifier "risks" has the name of a finding of nDPI'],
    [
      { userClassifiers: new Named('m'), userMetrics: { m: () => 0 } },
      'The classifier "m" has the name of a user metric',
    ],
    [{ userClassifiers: new Named('') }, 'the name of a Named in userClassifiers'],
    [{ userClassifiers: new Greedy('g') }, 'concurrency of the classifier "g"'],
    [{ userClassifiers: class extends Named {} }, 'userClassifiers but received a function'],
    [{ userClassifiers: {} }, 'userClassifiers'],
    [{ userClassifiers: [new Named('a'), new Named('a')] }, 'userClassifiers'],
    [{ userClassifiers: Array.from({ length: 31 }, (_, i) => new Named(`c${i}`)) }, 'userClassifiers'],
  ])('with a wrong value are refused by name: %o', (options, name) => {
    expect(() => resolve(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    expect(() => resolve(options)).toThrow(name);
  });

  it('say what was expected and what was received', () => {
    expect(() => resolve({ fragments: 'drop' })).toThrow(
      'Expected "assign" or "ignore" for fragments but received "drop"',
    );
    expect(() => resolve({ capacity: -5 })).toThrow(
      'Expected an integer from 1 to 16777216 for capacity but received -5',
    );
  });

  it('are all in the guide', () => {
    const guide = readFileSync(new URL('../docs/guide.md', import.meta.url), 'utf8');
    const names = Object.keys(resolve({})).filter((name) => name !== 'interfaces');
    expect(names.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('the nearest name', () => {
  it('is the one with the fewest edits', () => {
    expect(nearest('captcity', ['source', 'capacity', 'snaplen'])).toBe('capacity');
    expect(nearest('NDPI', ['enableNdpi', 'signal', 'ndpi'])).toBe('ndpi');
  });
});
