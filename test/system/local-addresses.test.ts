import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { interfaceIndices, LocalAddresses } from '../../src/system/local-addresses.ts';

const isLinux = process.platform === 'linux';

describe('LocalAddresses', () => {
  it("knows this host's addresses, and no others", () => {
    const addresses = new LocalAddresses();
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    expect(own.length).toBeGreaterThan(0);
    for (const { address } of own) expect(addresses.interfacesOf(address, 0), address).toBeDefined();
    for (const address of ['127.0.0.1', '127.1.2.3']) expect(addresses.interfacesOf(address, 0)).toBeDefined();
    for (const address of ['192.0.2.1', '2001:db8::1', '0.0.0.0', '255.255.255.255', '224.0.0.251', '::', '', '12'])
      expect(addresses.interfacesOf(address, 0), address).toBeUndefined();
  });

  it.skipIf(!isLinux)('tells the interfaces that have an address as the kernel numbers them', () => {
    const addresses = new LocalAddresses();
    for (const [name, list] of Object.entries(networkInterfaces())) {
      if (!readdirSync('/sys/class/net').includes(name)) continue;
      const index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1'));
      for (const { address } of list ?? []) expect(addresses.interfacesOf(address, 0)).toContain(index);
    }
    expect(addresses.interfacesOf('127.1.2.3', 0)).toEqual(addresses.interfacesOf('127.0.0.1', 0));
  });
});

describe('interfaceIndices', () => {
  it('reads both files of proc(5)', () => {
    const igmp =
      'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n' +
      '1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n' +
      '13\teth0.100  :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n' +
      '14\tverylongname15:     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n';
    const ifInet6 =
      'fe8000000000000000fc00fffe000001 0e 40 20 80     eth0\n' +
      'fd000000000000000000000000000002 0e 40 00 82     eth0\n' +
      '00000000000000000000000000000001 01 80 10 80       lo\n';
    expect(Object.fromEntries(interfaceIndices(igmp, ifInet6))).toEqual({
      lo: 1,
      'eth0.100': 13,
      verylongname15: 14,
      eth0: 14,
    });
    expect(interfaceIndices('', '').size).toBe(0);
    expect(interfaceIndices('nonsense\n\n12 x', '::').size).toBe(0);
  });
});
