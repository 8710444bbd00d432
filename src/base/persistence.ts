import { HoldfastError } from './errors.js'

/**
 * What a storage failure means for the caller.
 *
 * - `transient`: busy, disk full, I/O trouble; nothing was written, the same call may be made again.
 * - `constraint`: the data is wrong; a repeat fails the same way.
 * - `fatal`: damage, a bug, a newer schema.
 * - `persisterClosed`: this instance can no longer be used; reopen the store.
 */
export type PersistenceKind = 'transient' | 'constraint' | 'fatal' | 'persisterClosed'

const kinds: ReadonlySet<unknown> = new Set<PersistenceKind>([
  'transient',
  'constraint',
  'fatal',
  'persisterClosed',
])

/** The kind that an error already carries, if it carries one. */
export function persistenceKindOf(error: unknown): PersistenceKind | undefined {
  if (typeof error !== 'object' || error === null || !('kind' in error)) return undefined
  return kinds.has(error.kind) ? (error.kind as PersistenceKind) : undefined
}

/**
 * A store call that did not do what was asked.
 *
 * @remarks `outcome` is `notWritten` when it is proven that nothing was kept, and `unknown` when a
 * commit failed and the state could not be read back: then only the next open can tell.
 */
export class StoreFailed extends HoldfastError {
  readonly code = 'StoreFailed'
  readonly kind: PersistenceKind
  readonly outcome: 'notWritten' | 'unknown'

  constructor(
    what: string,
    kind: PersistenceKind,
    options: { readonly outcome?: 'notWritten' | 'unknown'; readonly cause?: unknown } = {},
  ) {
    const outcome = options.outcome ?? 'notWritten'
    super(`${what}: ${outcome === 'unknown' ? 'outcome unknown' : `failed (${kind})`}`, {
      retry: outcome === 'notWritten' && kind === 'transient' ? 'safe' : 'after-fix',
      remedy: remedyFor(kind, outcome),
      cause: options.cause,
    })
    this.kind = kind
    this.outcome = outcome
  }
}

function remedyFor(kind: PersistenceKind, outcome: 'notWritten' | 'unknown'): string {
  if (outcome === 'unknown' || kind === 'persisterClosed') {
    return 'Stop this process, check the disk, and open the data directory again; recovery settles what happened.'
  }
  if (kind === 'transient') return 'Free disk space or wait, then make the same call again.'
  return 'Run "holdfast doctor" and look at the reported cause before trying again.'
}
