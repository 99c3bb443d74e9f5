// The part of ml-cart that is used here; the package has no types of its own.
declare module 'ml-cart' {
  export class DecisionTreeClassifier {
    constructor(options?: { minNumSamples?: number; maxDepth?: number });
    train(rows: number[][], labels: number[]): void;
    predict(rows: number[][]): number[];
    toJSON(): object;
    static load(model: object): DecisionTreeClassifier;
  }
}
