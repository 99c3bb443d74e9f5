// Lists by what their items are.

/** Whether a value is a list of which each item is one of those; a hole, which `every` passes over, is none. */
export function isListOf<T>(value: unknown, isOne: (item: unknown) => item is T): value is T[] {
  if (!Array.isArray(value)) return false;
  for (let i = 0; i < value.length; i++) if (!isOne(value[i])) return false;
  return true;
}

/** What JSON has as a number. */
export function isFiniteNumber(item: unknown): item is number {
  return Number.isFinite(item);
}
