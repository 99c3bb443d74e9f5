// Accuracy and confusion matrix as text: a row for each true label, a column for each predicted one.

export interface Outcome {
  /** '' where it is not known: left out. */
  truth: string;
  /** null where the model abstained. */
  predicted: string | null;
}

export function confusionMatrix(all: readonly Outcome[]): string {
  const outcomes = all.filter(({ truth }) => truth !== '');
  const labels = [...new Set(outcomes.map(({ truth }) => truth))].sort();
  const answered = outcomes.filter(({ predicted }) => predicted !== null);
  const right = answered.filter(({ truth, predicted }) => truth === predicted).length;
  const isPartial = answered.length < outcomes.length;
  const columns: (string | null)[] = isPartial ? [...labels, null] : labels;
  const cell = (text: string | number) => String(text).padStart(9);
  const line = (first: string, cells: (string | number)[]) => cell(first) + cells.map(cell).join('');
  const share = `${((100 * right) / answered.length).toFixed(1)} %`;
  return [
    `${right} of ${answered.length} flows right: ${share}${isPartial ? `, ${outcomes.length - answered.length} not answered` : ''}`,
    line(
      'true',
      columns.map((label) => label ?? '(none)'),
    ),
    ...labels.map((truth) =>
      line(
        truth,
        columns.map((column) => outcomes.filter((o) => o.truth === truth && o.predicted === column).length || '.'),
      ),
    ),
  ].join('\n');
}
