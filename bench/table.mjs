// What benchmarks print: the machine, and tables.
import { readFileSync } from 'node:fs';

/** The first and the last column are text, the others numbers. @param {string[][]} rows */
export function print(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const isText = (column) => column === 0 || column === rows[0].length - 1;
  for (const cells of rows) {
    const padded = cells.map((cell, i) => (isText(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    console.log(padded.join('  ').trimEnd());
  }
}

export function cpuModel() {
  try {
    return /^model name.*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch;
  } catch {
    return process.arch;
  }
}
