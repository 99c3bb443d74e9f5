// Short texts as machine words, for writers that put bytes into buffers.

/** Up to four ASCII characters as the little-endian word that has them in a row: a table of these writes several by one store. */
export function packed(text: string): number {
  let word = 0;
  for (let i = 0; i < text.length; i++) word |= text.charCodeAt(i) << (8 * i);
  return word;
}
