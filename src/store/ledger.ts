import { systemClock } from '../base/clock.js'
import { HoldfastError } from '../base/errors.js'
import { noFaults } from '../base/fault-points.js'
import { FileLedger } from './ledger-file.js'
import { timeOf } from './ledger-line.js'
import { type OpenedLedger, openActive } from './ledger-open.js'
import type { Ledger, LedgerOptions } from './ledger-port.js'

/**
 * Opens the ledger of a data directory, or begins it.
 *
 * @throws LedgerForeign, LedgerOpenFailed
 * @remarks The caller holds the directory's lock. A torn tail is cut off after a copy of it went to `quarantine/`.
 */
export function openLedger(dir: string, options: LedgerOptions): Ledger {
  const { storeId, clock = systemClock, faults = noFaults } = options
  const at = timeOf(clock.nowMs())
  let opened: OpenedLedger
  try {
    opened = openActive({ dir, storeId, at, faults })
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause
    throw new LedgerOpenFailed(cause)
  }
  return new FileLedger(dir, opened, options)
}

export class LedgerOpenFailed extends HoldfastError {
  readonly code = 'LedgerOpenFailed'
  constructor(cause: unknown) {
    super('ledger: it cannot be opened', {
      retry: 'after-fix',
      remedy:
        'Look at the cause: free disk space, or make the data directory readable and writable.',
      cause,
    })
  }
}
