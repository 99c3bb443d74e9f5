// A flow seen from its other end: source and destination change places in every column.

/** @param {import('./expected.mjs').Row} row @returns {import('./expected.mjs').Row} */
export function turned(row) {
  const entries = Object.entries(row).map(([column, value]) => [opposite(column), value]);
  return { ...Object.fromEntries(entries), splt_direction: row.splt_direction.map((way) => (way < 0 ? way : 1 - way)) };
}

function opposite(column) {
  if (column.startsWith('src2dst_')) return column.replace('src2dst', 'dst2src');
  if (column.startsWith('dst2src_')) return column.replace('dst2src', 'src2dst');
  if (column.startsWith('src_')) return column.replace('src', 'dst');
  return column.startsWith('dst_') ? column.replace('dst', 'src') : column;
}
