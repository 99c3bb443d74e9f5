// Reads the text format of Prometheus, version 0.0.4, strictly: https://prometheus.io/docs/instrumenting/exposition_formats/
// Whatever that page doesn't allow throws.

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

export interface Family {
  type: string;
  help: string;
  samples: Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)( -?\\d+)?$`);
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
/** Of a histogram and a summary: their samples have other names than they. */
const PARTS = /_(bucket|sum|count)$/;

/** Families by name. A family's lines must stand together, HELP and TYPE before its samples, no sample twice. */
export function readExposition(text: string): Record<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no line end');
  const families: Record<string, Family> = {};
  let current = '';
  const seen = new Set<string>();
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment;
      if (!new RegExp(`^${NAME}$`).test(name)) throw new Error(`name of a family: ${line}`);
      if (kind === 'HELP') {
        if (families[name] !== undefined) throw new Error(`a second family: ${line}`);
        families[name] = { type: '', help: rest, samples: [] };
        current = name;
      } else {
        if (name !== current || families[name].type !== '' || families[name].samples.length > 0) {
          throw new Error(`out of place: ${line}`);
        }
        if (!TYPES.includes(rest)) throw new Error(`type: ${line}`);
        families[name].type = rest;
      }
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (sample === null) throw new Error(`neither comment nor sample: ${line}`);
    const [, name, labels = '', value] = sample;
    const family = families[current];
    const isPart = ['histogram', 'summary'].includes(family?.type) && name.replace(PARTS, '') === current;
    if (name !== current && !isPart) throw new Error(`not of the family ${current}: ${line}`);
    const key = `${name}{${labels}}`;
    if (seen.has(key)) throw new Error(`twice: ${line}`);
    seen.add(key);
    family.samples.push({ labels: readLabels(labels), value: readValue(value) });
  }
  for (const [name, { type }] of Object.entries(families)) if (type === '') throw new Error(`no type: ${name}`);
  return families;
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`labels, at ${at}: ${text}`);
    const [, name, value] = match;
    if (Object.hasOwn(labels, name)) throw new Error(`a label twice: ${text}`);
    labels[name] = value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
  }
  return labels;
}

function readValue(text: string): number {
  if (text === '+Inf' || text === '-Inf') return Number(text.replace('Inf', 'Infinity'));
  if (text === 'NaN' || text === 'Nan') return Number.NaN;
  if (!/^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(text)) throw new Error(`value: ${text}`);
  return Number(text);
}
