// A table on a terminal: the first column to the left, the last too where it has words, numbers to the right.

/** @param {readonly (readonly string[])[]} rows the headings first */
export function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const isText = rows[0].map((_, i) => i === 0 || rows.every((cells) => !/^[\d.]+$/.test(cells[i])));
  for (const cells of rows) {
    const padded = cells.map((cell, i) => (isText[i] ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    console.log(padded.join('  ').trimEnd());
  }
}

/** @param {number} value */
export const thousands = (value) => Math.round(value).toLocaleString('en');
