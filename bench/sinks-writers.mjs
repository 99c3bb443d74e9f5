// The sinks that are measured, and how many flows a second of nfstream6 each is to write on one core.
export const WRITERS = {
  json: { name: 'JSON Lines', ending: 'jsonl', options: {} },
  csv: { name: 'CSV', ending: 'csv', options: {}, target: 300_000, beside: 'copy-csv' },
  'parquet-snappy': {
    name: 'Parquet, snappy',
    ending: 'snappy.parquet',
    options: { compression: 'snappy' },
    target: 150_000,
    beside: 'copy-parquet-snappy',
  },
  'parquet-zstd': {
    name: 'Parquet, zstd',
    ending: 'zstd.parquet',
    options: { compression: 'zstd' },
    target: 150_000,
    beside: 'copy-parquet-zstd',
  },
  arrow: { name: 'Arrow file', ending: 'arrow', options: {} },
  arrows: { name: 'Arrow stream', ending: 'arrows', options: {} },
  duckdb: { name: 'DuckDB database', ending: 'duckdb', options: {} },
};
