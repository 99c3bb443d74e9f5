// Several captures as one PacketSource: one after the other in the order given, each opened when its turn comes.
// Damage in one ends the whole, with the error of that capture.
import type { CaptureSource } from './capture-source.ts';
import { type PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from './source.ts';

export class SourceList implements PacketSource {
  readonly clock = null;
  readonly capture = null;
  readonly isDraining = false;
  private readonly parts: readonly CaptureSource[];
  private index = 0;
  /** The current part is read to its end, the next one not opened yet. */
  private isBetween = false;
  private isOver = false;

  constructor(parts: readonly CaptureSource[]) {
    this.parts = parts;
  }

  private get part(): CaptureSource {
    return this.parts[this.index];
  }

  /** The name of the part that is read now. */
  get name(): string {
    return this.part.name;
  }

  get bytesRead(): number {
    return this.parts.reduce((sum, part) => sum + part.bytesRead, 0);
  }

  get position(): number {
    return this.parts.reduce((sum, part) => sum + part.position, 0);
  }

  get size(): number | null {
    return this.parts.reduce<number | null>(
      (sum, part) => (sum === null || part.size === null ? null : sum + part.size),
      0,
    );
  }

  /** Opens the first part, after all were looked at: a missing file is told before hours of work, not after. */
  async open(): Promise<void> {
    try {
      for (const part of this.parts) await part.probe();
      await this.part.open();
    } catch (error) {
      throw this.over(error);
    }
  }

  read(batch: PacketBatch): number {
    batch.count = 0;
    if (this.isOver) return SOURCE_END;
    if (this.isBetween) return SOURCE_WAIT;
    try {
      const rows = this.part.read(batch);
      if (rows !== SOURCE_END) return rows;
    } catch (error) {
      throw this.over(error);
    }
    this.isBetween = this.index + 1 < this.parts.length;
    this.isOver = !this.isBetween;
    return this.isOver ? SOURCE_END : SOURCE_WAIT;
  }

  async fill(): Promise<void> {
    if (this.isOver) return;
    try {
      if (!this.isBetween) return await this.part.fill();
      await this.part.close();
      this.index++;
      this.isBetween = false;
      await this.part.open();
    } catch (error) {
      throw this.over(error);
    }
  }

  /** Nothing is read after an error of any part. */
  private over(error: unknown): unknown {
    this.isOver = true;
    return error;
  }

  stop(): void {
    // A fill that waits for input (a pipe, say) must not hold the end up.
    this.close().catch(() => {});
  }

  async close(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.parts.map((part) => part.close()));
  }
}
