// The kernel: the passes over a batch that every packet goes through, compiled to WebAssembly by AssemblyScript.
//
//   decode -> take (which rows) -> hash -> find (which flows) -> count
//
// It keeps to numbers in its memory and has no policy: what begins and ends flows is in src/flow.
export { count } from './count';
export * from './decode';
export * from './layout';
export { find, findOne, hash } from './lookup';
export { setIndexSize, setTables, setTimeouts } from './tables';
export { take } from './take';
