// What benchmarks print: the machine, and tables.
import { readFileSync } from 'node:fs';

/**
 * The first and the last column are text, the others numbers.
 * @param {readonly (readonly string[])[]} rows the first has the columns' names
 * @param {{ markdown?: boolean, text?: readonly number[] }} [options] `text`: other columns that are text
 */
export function print(rows, { markdown = false, text = [] } = {}) {
  const isText = (column) => column === 0 || column === rows[0].length - 1 || text.includes(column);
  if (markdown) {
    const line = (cells) => `| ${cells.join(' | ')} |`.replace(/ {2,}/g, ' ');
    const rule = rows[0].map((_, column) => (isText(column) ? '---' : '--:'));
    // Tables without a text at the end have an empty last column.
    const columns = rows.every((cells) => cells.at(-1) === '') ? -1 : undefined;
    console.log([rows[0], rule, ...rows.slice(1)].map((cells) => line(cells.slice(0, columns))).join('\n'));
    return;
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
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
