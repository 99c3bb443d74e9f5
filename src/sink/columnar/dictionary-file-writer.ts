// An Arrow IPC file whose dictionaries are written once, at the end, when they are known.
//
// The format allows that (a file's list of blocks says where dictionaries are, and readers take them first); the library's
// writer would write what each batch adds as a delta, which several readers refuse.
import { type Dictionary, RecordBatchFileWriter, type Schema } from 'apache-arrow';
import type { FlowColumns } from './flow-columns.ts';
import type { DictionaryTexts } from './texts.ts';

/** What the dictionaries of a file may take together before they are written in parts. */
const MOST_BYTES = 1 << 27;
const MOST_TEXTS = 1 << 20;

export interface DictionaryBounds {
  readonly mostTexts?: number;
}

export class DictionaryFileWriter extends RecordBatchFileWriter {
  readonly #columns: FlowColumns;
  readonly #mostTexts: number;
  /** Dictionaries of which a part is in the file. */
  readonly #begun = new Set<number>();

  constructor(columns: FlowColumns, { mostTexts = MOST_TEXTS }: DictionaryBounds = {}) {
    super();
    this.#columns = columns;
    this.#mostTexts = mostTexts;
  }

  protected override _writeDictionaries(): this {
    const dictionaries = [...this.#columns.dictionaries().values()];
    const bytes = dictionaries.reduce((sum, { dictionaryBytes }) => sum + dictionaryBytes, 0);
    const texts = dictionaries.reduce((sum, { dictionaryLength }) => sum + dictionaryLength, 0);
    if (bytes > MOST_BYTES || texts > this.#mostTexts) this.#writeAll(dictionaries);
    return this;
  }

  protected override _writeFooter(schema: Schema): this {
    this.#writeAll([...this.#columns.dictionaries().values()]);
    return super._writeFooter(schema);
  }

  #writeAll(dictionaries: DictionaryTexts[]): void {
    for (const dictionary of dictionaries) {
      const { id } = dictionary.type as Dictionary;
      const isPart = this.#begun.has(id);
      if (isPart && dictionary.dictionaryLength === 0) continue;
      this._writeDictionaryBatch(dictionary.takeDictionary(), id, isPart);
      this.#begun.add(id);
    }
  }
}
