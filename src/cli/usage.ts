import { HoldfastError } from '../base/errors.js'
import type { DataDirectory } from '../config.js'
import type { Output } from './output.js'

/** What every verb gets besides its own options. */
export type Context = { readonly output: Output; readonly dataDir: DataDirectory }

/** The command line itself is wrong; nothing was begun. */
export class Usage extends HoldfastError {
  readonly code = 'Usage'
  constructor(problem: string, remedy = 'Run "holdfast --help", or --help after the command.') {
    super(`command line: ${problem}`, { retry: 'after-fix', remedy })
  }
}

/** A person stopped a prompt; nothing was begun. */
export class Cancelled extends HoldfastError {
  readonly code = 'Cancelled'
  constructor() {
    super('prompt: stopped before the end', {
      retry: 'safe',
      remedy: 'Nothing was created; run the command again when you are ready.',
    })
  }
}
