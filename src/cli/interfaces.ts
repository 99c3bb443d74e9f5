// What can be captured from: `nfstream interfaces`, as a table for people or as JSON for programs.
import { NfstreamError } from '../errors.ts';
import { type InterfaceInfo, loadCapture } from '../native/capture.ts';
import { printable, styled, type Terminal, terminalOf } from './terminal.ts';

const HEADING = ['name', 'state', 'addresses', 'description'] as const;
const GAP = 2;
/** A narrower description says nothing any more. */
const LEAST_DESCRIPTION = 12;

/** @throws NfstreamError CAPTURE_UNAVAILABLE, CAPTURE_FAILED */
export function interfacesText(isJson: boolean): string {
  const loaded = loadCapture();
  if (!loaded.ok) {
    throw new NfstreamError('CAPTURE_UNAVAILABLE', `Listing interfaces needs libpcap, but ${loaded.message}`);
  }
  const list = loaded.addon.listInterfaces();
  if (typeof list === 'string') throw new NfstreamError('CAPTURE_FAILED', `Listing the interfaces failed: ${list}`);
  if (isJson) return `${JSON.stringify(list.map(jsonOf), null, 2)}\n`;
  return interfacesTable(list, terminalOf('stdout'));
}

/** Data have names of data: snake_case. */
function jsonOf(one: InterfaceInfo): Record<string, unknown> {
  return {
    name: one.name,
    description: one.description,
    addresses: one.addresses,
    state: stateOf(one),
    is_up: one.isUp,
    is_running: one.isRunning,
    is_loopback: one.isLoopback,
    is_wireless: one.isWireless,
    is_connected: one.isConnected,
  };
}

/** `no carrier` where nothing can arrive though it is up: no cable, no access point, or a driver that does not run. */
export function stateOf({ isUp, isRunning, isConnected }: InterfaceInfo): 'up' | 'down' | 'no carrier' {
  if (!isUp) return 'down';
  return isRunning && isConnected !== false ? 'up' : 'no carrier';
}

function descriptionOf({ description, isLoopback, isWireless }: InterfaceInfo): string {
  if (description !== null && description !== '') return description;
  return isLoopback ? 'loopback' : isWireless ? 'wireless' : '';
}

/** A line for each interface, and for each further address; descriptions give way where the terminal is narrow. */
export function interfacesTable(list: readonly InterfaceInfo[], terminal: Terminal): string {
  if (list.length === 0) return 'There is no interface that can be captured from.\n';
  const rows: string[][] = [];
  for (const one of list) {
    const [first = '', ...more] = one.addresses;
    rows.push([one.name, stateOf(one), first, descriptionOf(one)].map(printable));
    for (const address of more) rows.push(['', '', printable(address), '']);
  }
  const widths = HEADING.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const taken = widths[0] + widths[1] + widths[2] + 3 * GAP;
  if (terminal.isTerminal) widths[3] = Math.max(LEAST_DESCRIPTION, Math.min(widths[3], terminal.columns - taken));
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, i) => toWidth(cell, widths[i], terminal));
    return padded.join(' '.repeat(GAP)).trimEnd();
  };
  const heading = styled(terminal, 'bold', line(HEADING));
  const rule = styled(terminal, 'dim', (terminal.hasUnicode ? '─' : '-').repeat(taken + widths[3]));
  return [heading, rule, ...rows.map(line)].map((text) => `${text}\n`).join('');
}

function toWidth(text: string, width: number, terminal: Terminal): string {
  if (text.length <= width) return text.padEnd(width);
  return `${text.slice(0, width - 1)}${terminal.hasUnicode ? '…' : '~'}`;
}
