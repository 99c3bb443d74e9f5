// A reader of CSV by the grammar of RFC 4180, section 2, and nothing of the writer's: the independent half of the
// round trip. A cell is null when nothing stands between its commas, and a text otherwise.
export function readCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = [];
  let at = 0;
  while (at < text.length) {
    const row: (string | null)[] = [];
    for (;;) {
      if (text[at] === '"') {
        let cell = '';
        at++;
        for (;;) {
          if (at >= text.length) throw new Error('a quoted cell has no end');
          if (text[at] === '"' && text[at + 1] === '"') {
            cell += '"';
            at += 2;
          } else if (text[at] === '"') {
            at++;
            break;
          } else {
            cell += text[at++];
          }
        }
        row.push(cell);
      } else {
        const from = at;
        while (at < text.length && text[at] !== ',' && text[at] !== '\n') {
          if (text[at] === '"' || text[at] === '\r') throw new Error(`a bare ${JSON.stringify(text[at])} at ${at}`);
          at++;
        }
        row.push(at === from ? null : text.slice(from, at));
      }
      if (text[at] === '\n') break;
      if (text[at] !== ',') throw new Error(`expected a comma or a line end at ${at}`);
      at++;
    }
    at++;
    rows.push(row);
  }
  return rows;
}
