// What plugins could do to the process that runs them, kept in order while they are loaded:
//
//   console.log    goes to standard error, because standard output has data and nothing else
//   stray errors   (thrown in a timer, a promise that nobody awaits) end the run in good order, not the process
//   a promise      that nothing can settle any more ends the wait, where Node.js would exit with the output half written
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { NfstreamError } from '../errors.ts';
import { thrownText } from '../plugin/plugin-error.ts';
import { printError } from './report-error.ts';

export class PluginGuard {
  /** Prints what plugins print. */
  print: (text: string) => void = printError;
  /** What a stray error does; before it is set, `failed` rejects with it. */
  onStray: (error: NfstreamError) => void;
  /** Rejects when nothing is left that could go on: to race with whatever waits for plugins. */
  readonly failed: Promise<never>;

  readonly #console = globalThis.console;
  readonly #stray: (cause: unknown) => void;
  readonly #stuck: () => void;

  /** @param files of the plugins, for messages */
  constructor(files: readonly string[]) {
    const names = files.map((file) => JSON.stringify(file));
    const subject = names.length === 1 ? names[0] : `One of ${names.join(', ')}`;
    let reject: (error: NfstreamError) => void = () => {};
    this.failed = new Promise((_, rejected) => {
      reject = rejected;
    });
    // Whoever races with it meets the failure; nobody may be racing.
    this.failed.catch(() => {});
    this.onStray = reject;
    const failed = (what: string, cause?: unknown) =>
      new NfstreamError('PLUGIN_FAILED', `${subject} ${what}`, { cause });
    this.#stray = (cause) => this.onStray(failed(`left an error uncaught: ${thrownText(cause)}`, cause));
    this.#stuck = () => reject(failed('awaits a promise that nothing settles any more'));
    const stream = new Writable({
      decodeStrings: false,
      write: (text: string, _encoding, done) => {
        this.print(text);
        done();
      },
    });
    globalThis.console = new Console({ stdout: stream, stderr: stream });
    process.on('uncaughtException', this.#stray);
    process.on('beforeExit', this.#stuck);
  }

  close(): void {
    globalThis.console = this.#console;
    process.off('uncaughtException', this.#stray);
    process.off('beforeExit', this.#stuck);
  }
}
