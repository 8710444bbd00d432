import { breakProduct as breakCopy } from '../controls.js'
import type { CutImage } from './lane.js'
import type { Point } from './points.js'
import { saidOf } from './run.js'

/** A product that is broken on purpose; a lab that does not notice it proves nothing. */
export type Control = {
  readonly name: string
  /** Texts of the built product; each must stand in its file exactly once. */
  readonly patches: readonly {
    readonly file: string
    readonly find: string
    readonly replace: string
  }[]
  /** What must be said of it; another violation means that the copy is broken in some other way too. */
  readonly violates: RegExp
  /** Where the damage must show. */
  readonly shows:
    | { readonly kind: 'points'; readonly start: string; readonly picks: (point: Point) => boolean }
    | { readonly kind: 'cuts'; readonly run: string; readonly picks: (cut: CutImage) => boolean }
    | { readonly kind: 'flips'; readonly place: string }
    | { readonly kind: 'stale' }
}

const hasSaid = (word: string) => (cut: CutImage) => saidOf(cut.said, word).length > 0

export const controls: readonly Control[] = [
  {
    name: 'a submit is answered before its commit',
    patches: [
      {
        file: 'store/sqlite/jobs-accept.js',
        find: 'return await outcome;',
        replace: `outcome.catch(() => undefined);
          const progress = initialProgress(job.createdAt, core.clock.nowMs());
          return { kind: 'accepted', job: { ...job, ...progress, seq: core.ledger.nextSeq() } };`,
      },
    ],
    violates: /was taken and is absent/,
    shows: {
      kind: 'points',
      start: 'serve',
      picks: (point) =>
        point.kind === 'call' &&
        point.fault === 'KILL' &&
        point.isChanging &&
        point.step.startsWith('job.accept.'),
    },
  },
  {
    name: 'a key is new when the database alone lacks it',
    patches: [
      {
        file: 'store/sqlite/jobs-accept.js',
        find: 'const located = locateByKey(core, job.route, job.routeRequestId);',
        replace: `const held = core.tables.jobByKey(job.route, job.routeRequestId);
          const located = held === undefined ? { kind: 'absent' } : { kind: 'row', row: held };`,
      },
      {
        file: 'store/sqlite/jobs-accept.js',
        find: 'const fence = core.fences.byOutpoint(job.outpoint);',
        replace: 'const fence = undefined;',
      },
    ],
    violates: /was accepted a second time/,
    shows: { kind: 'flips', place: 'log' },
  },
  {
    name: 'an intent is not synced before the signer is asked',
    patches: [
      {
        file: 'store/sqlite/jobs-write-queue.js',
        find: "if (kinds.has('intend')) this.#ledger.sync(); else this.#syncSoon();",
        replace: 'this.#syncSoon();',
      },
    ],
    violates: /signed, but not in the ledger/,
    shows: { kind: 'cuts', run: 'serve', picks: hasSaid('SIGN') },
  },
  {
    name: 'the token of a lease is not checked',
    patches: [
      {
        file: 'store/job-leases.js',
        find: 'return held?.token === fencingToken ? held.job : undefined;',
        replace: 'return held?.job;',
      },
    ],
    violates: /with a lease that ended was/,
    shows: { kind: 'stale' },
  },
  {
    name: 'what was recovered is answered without a checkpoint',
    patches: [
      {
        file: 'store/sqlite/connection.js',
        find: 'checkpoint() { checkpoint(this.handle, this.what); }',
        replace: 'checkpoint() { }',
      },
      {
        file: 'store/sqlite/jobs-meta.js',
        find: "tables.putMeta('openings', String(opening)); connection.run('commit');",
        replace: "connection.run('rollback');",
      },
    ],
    violates: /was taken and is (?:absent|fenced)/,
    shows: { kind: 'cuts', run: 'again', picks: hasSaid('TAKEN') },
  },
  {
    name: 'a batch goes on after a full disk has ended its transaction',
    patches: [
      {
        file: 'store/sqlite/jobs-write-queue.js',
        find: 'if (!handle.inTransaction) throw new BatchLost(cause);',
        replace: `if (!handle.inTransaction) {
          outcomes.push({ failure: failureOf(item.kind, cause) });
          this.#connection.run('begin immediate');
          continue;
        }`,
      },
    ],
    violates: /was taken and is (?:absent|fenced)/,
    shows: {
      kind: 'points',
      start: 'batch',
      picks: (point) => point.kind === 'call' && point.fault === 'ENOSPC',
    },
  },
]

/**
 * Copies the built product beside links to what it needs, and breaks the copy.
 *
 * @returns the `dist` of the copy
 * @throws Error when a text does not stand in its file exactly once
 */
export function breakProduct({ name, patches }: Control, dist: string, into: string): string {
  // Where the damage shows is of no concern here; the kind is one that needs nothing else.
  return breakCopy({ name, patches, shows: { kind: 'lockDeleted' } }, dist, into)
}
