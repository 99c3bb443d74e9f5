// The list of interfaces against iproute2's, and how it is shown.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { interfacesTable, stateOf } from '../../src/cli/interfaces.ts';
import { describeTerminal } from '../../src/cli/terminal.ts';
import type { InterfaceInfo } from '../../src/native/capture.ts';
import { nfstream } from './run.ts';

interface IpInterface {
  ifname: string;
  flags: string[];
  addr_info: { local: string }[];
}

interface Listed {
  name: string;
  addresses: string[];
  state: string;
  is_up: boolean;
  is_running: boolean;
  is_loopback: boolean;
}

const ip = spawnSync('ip', ['-j', 'addr'], { encoding: 'utf8' });

describe('nfstream interfaces', () => {
  it.skipIf(ip.status !== 0)('lists what ip lists (skipped without iproute2)', async () => {
    const { code, stdout, stderr } = await nfstream(['interfaces', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const listed: Listed[] = JSON.parse(stdout);
    // Other tests make and remove interfaces meanwhile: those that were there before and after are to be found.
    const after = new Map<string, IpInterface>(
      JSON.parse(spawnSync('ip', ['-j', 'addr'], { encoding: 'utf8' }).stdout).map((one: IpInterface) => [
        one.ifname,
        one,
      ]),
    );
    const known = (JSON.parse(ip.stdout) as IpInterface[]).filter((one) => after.has(one.ifname));
    expect(known.length).toBeGreaterThan(0);
    for (const { ifname, flags, addr_info } of known) {
      const one = listed.find(({ name }) => name === ifname);
      // libpcap leaves out what can't be captured from, such as an interface that is down and has no packet socket.
      expect(one, ifname).toBeDefined();
      expect(one?.addresses.toSorted(), ifname).toEqual(addr_info.map(({ local }) => local).toSorted());
      expect(one?.is_up, ifname).toBe(flags.includes('UP'));
      expect(one?.is_loopback, ifname).toBe(flags.includes('LOOPBACK'));
      expect(one?.is_running, ifname).toBe(flags.includes('UP') && flags.includes('LOWER_UP'));
    }
  });

  it('prints them as a table', async () => {
    const { code, stdout, stderr } = await nfstream(['interfaces']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^name +state +addresses +description\n-+\n/);
    expect(stdout).toMatch(/^lo\d? +up +127\.0\.0\.1 +loopback$/m);
    expect(stdout.split('\n').every((line) => line === line.trimEnd())).toBe(true);
  });

  it('says what to do where the addon is missing', async () => {
    const { code, stdout, stderr } = await nfstream(['interfaces'], { env: { NFSTREAM_NATIVE: 'off' } });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^nfstream: Listing interfaces needs libpcap, but [^\n]* \[CAPTURE_UNAVAILABLE\]\n$/);
  });
});

const one: InterfaceInfo = {
  name: 'eth0',
  description: null,
  addresses: ['192.0.2.1', '2001:db8::1'],
  isUp: true,
  isRunning: true,
  isLoopback: false,
  isWireless: false,
  isConnected: true,
};

describe('the table', () => {
  const list: InterfaceInfo[] = [
    one,
    { ...one, name: 'wlan0', addresses: [], isWireless: true, isConnected: false },
    {
      ...one,
      name: 'odd\x1b[2J',
      addresses: [],
      description: 'made up of many, many words that say little',
      isUp: false,
    },
  ];
  const terminal = describeTerminal(false, 60, { LANG: 'C.UTF-8' });

  it('has a line for each address and fits the terminal', () => {
    const lines = interfacesTable(list, { ...terminal, isTerminal: true, hasColor: false, columns: 64 }).split('\n');
    expect(lines).toEqual([
      'name          state       addresses    description',
      '─'.repeat(64),
      'eth0          up          192.0.2.1',
      '                          2001:db8::1',
      'wlan0         no carrier               wireless',
      'odd\\u001b[2J  down                     made up of many, many wo…',
      '',
    ]);
    // Where nobody's terminal limits it, nothing is cut.
    expect(interfacesTable(list, terminal)).toMatch(/ made up of many, many words that say little\n$/);
    expect(interfacesTable([], terminal)).toMatch(/^There is no interface/);
  });

  it('says up, down or no carrier', () => {
    expect(stateOf(one)).toBe('up');
    expect(stateOf({ ...one, isConnected: null })).toBe('up');
    expect(stateOf({ ...one, isConnected: false })).toBe('no carrier');
    expect(stateOf({ ...one, isRunning: false })).toBe('no carrier');
    expect(stateOf({ ...one, isUp: false, isRunning: false })).toBe('down');
  });
});
