// What only shows on a terminal: the progress line and colours. Python's pty module makes the terminal.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { manyFlows, pcap } from './capture.ts';
import { BIN, ROOT, temporaryFolder } from './run.ts';

const file = temporaryFolder();
// A container may lack /dev/pts.
const hasTerminals = spawnSync('python3', ['-c', 'import pty; pty.openpty()']).status === 0;

/** Few enough that all rows fit into a pipe that is read at the end. */
const FLOWS = 100;

/** Feeds the capture in two halves, 0.7 s apart; `terminals` are the child's descriptors that lead to the terminal. */
const PYTHON = `
import json, os, pty, subprocess, sys, threading, time
capture, terminals, command = sys.argv[1], sys.argv[2], sys.argv[3:]
main, sub = pty.openpty()
out = sub if '1' in terminals else subprocess.PIPE
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=sub)
def feed():
    data = open(capture, 'rb').read()
    for half in (data[:len(data) // 2], data[len(data) // 2:]):
        child.stdin.write(half)
        child.stdin.flush()
        time.sleep(0.7)
    child.stdin.close()
threading.Thread(target=feed).start()
os.close(sub)
shown = b''
while True:
    try:
        piece = os.read(main, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
print(json.dumps([child.wait(), shown.decode(), child.stdout.read().decode() if child.stdout else '']))
`;

function onTerminal(terminals: '12' | '2', args: readonly string[], env: Record<string, string> = {}) {
  const capture = file('capture.pcap', pcap(manyFlows(FLOWS)));
  const command = [process.execPath, BIN, '-', '--no-ndpi', ...args];
  const { NO_COLOR: _, ...rest } = process.env;
  const { stdout } = spawnSync('python3', ['-c', PYTHON, capture, terminals, ...command], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 15_000,
    env: { ...rest, TERM: 'xterm', LC_ALL: 'C.UTF-8', ...env },
  });
  const [code, shown, piped] = JSON.parse(stdout) as [number, string, string];
  return { code, shown: shown.replaceAll('\x1b', 'ESC'), piped };
}

describe.skipIf(!hasTerminals)('on a terminal (skipped without python3 and pseudo-terminals)', () => {
  it('progress is drawn while rows go elsewhere, and is taken away', () => {
    const { code, shown, piped } = onTerminal('2', []);
    expect(code).toBe(0);
    expect(piped.split('\n')).toHaveLength(FLOWS + 1);
    expect(shown).toMatch(/\rESC\[2K[^\r]*\d packets\/s {2}\d+ flows/);
    expect(shown).toMatch(/\rESC\[2K$/);
    expect(shown.split('\r').length).toBeLessThan(20);
  });

  it('progress stays away from rows on the same terminal, and is off with --quiet and TERM=dumb', () => {
    expect(onTerminal('12', ['--format', 'json']).shown).not.toContain('packets/s');
    expect(onTerminal('2', ['-q']).shown).toBe('');
    expect(onTerminal('2', [], { TERM: 'dumb' }).shown).toBe('');
  });

  it('the summary follows the progress line, in colours unless NO_COLOR says no', () => {
    const { shown } = onTerminal('12', ['--summary']);
    expect(shown).toMatch(/packets\/s[\s\S]*\rESC\[2K\r\n {2}ESC\[1mstandard inputESC\[22m/);
    const plain = onTerminal('12', ['--summary', '-q'], { NO_COLOR: '1' }).shown;
    expect(plain).toContain('standard input');
    expect(plain).not.toContain('ESC');
  });
});
