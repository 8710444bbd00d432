import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type CutImage, Lane, type Outcome, type Prepared } from './lane.js'
import type { Point } from './points.js'
import { scenarios } from './scenarios.js'
import { findPoints, jobsOf } from './templates.js'

/** A product that is broken on purpose; a lab that does not notice it proves nothing. */
export type Control = {
  readonly name: string
  readonly patches: readonly Patch[]
  /** Where the damage must show. */
  readonly shows:
    | { readonly kind: 'points'; readonly start: string; readonly picks: (point: Point) => boolean }
    | { readonly kind: 'cuts'; readonly start: string; readonly picks: (cut: CutImage) => boolean }
    | { readonly kind: 'lockDeleted' }
}
/** One text of the built product; it must stand in its file exactly once. White space counts as one space. */
type Patch = { readonly file: string; readonly find: string; readonly replace: string }

const named = (action: string, at: string) => (point: Point) =>
  point.kind === 'named' && point.action === action && point.point === at

export const controls: readonly Control[] = [
  {
    name: 'store first, restore later',
    patches: [
      {
        file: 'wallet/register.js',
        find: 'const restored = await restoreCandidate(deps, candidate, birthHeight, signal);',
        replace: `phase = 'promote';
          const generation = await store.promote(attempt, { ...candidate, birthHeight }, { replaceQuarantined });
          phase = 'restore';
          const restored = await restoreCandidate(deps, candidate, birthHeight, signal);`,
      },
      {
        file: 'wallet/register.js',
        find: 'const generation = await store.promote(attempt, restored.changeset, { replaceQuarantined });',
        replace: '',
      },
    ],
    shows: { kind: 'points', start: 'warm/plain', picks: named('constraint', 'restore.provider') },
  },
  {
    name: 'commits are not synced',
    patches: [
      {
        file: 'store/sqlite/connection.js',
        find: "['synchronous', 'FULL', 2]",
        replace: "['synchronous', 'OFF', 0]",
      },
    ],
    shows: {
      kind: 'cuts',
      start: 'warm/plain',
      picks: (cut) => cut.promised === 'ALL',
    },
  },
  {
    name: 'an unclear commit is not read back',
    patches: [
      {
        file: 'store/sqlite/settle.js',
        find: 'if (committing || isUnclear(cause)) return settle(connection, write, cause);',
        replace: '',
      },
    ],
    shows: {
      kind: 'points',
      start: 'warm/plain',
      picks: (point) =>
        point.kind === 'call' &&
        point.fault === 'DEAD' &&
        point.call.name === 'fsync' &&
        point.step === 'promote.beforeCommit',
    },
  },
  {
    name: 'the journal row is not cleared',
    patches: [
      {
        file: 'store/sqlite/wallets.js',
        find: 'if (!this.#journal.end(attempt, walletId)) {',
        replace: 'if (attempt === undefined) {',
      },
    ],
    shows: { kind: 'points', start: 'warm/plain', picks: named('transient', 'publish.after') },
  },
  {
    name: 'the lock file may be deleted under its holder',
    patches: [
      {
        file: 'base/directory-lock.js',
        find: 'if (identity !== shared.file.identity) throw new DataDirLockLost(path);',
        replace: '',
      },
      {
        file: 'store/sqlite/connection.js',
        find: "['locking_mode', 'EXCLUSIVE', 'exclusive']",
        replace: "['locking_mode', 'NORMAL', 'normal']",
      },
    ],
    shows: { kind: 'lockDeleted' },
  },
  {
    name: "the staged secret's name is not synced",
    patches: [
      {
        file: 'base/durable-file.js',
        find: 'createSynced(path, bytes); try { syncFolder(dirname(path)); }',
        replace: 'createSynced(path, bytes); try { }',
      },
    ],
    shows: {
      kind: 'cuts',
      start: 'warm/secret',
      picks: (cut) => /^(promote\.afterCommit|publish|secret\.finalise)/.test(cut.step),
    },
  },
  {
    name: 'recovery drops the journal row before the staged secret',
    patches: [
      {
        file: 'wallet/recover.js',
        find: 'await vault.discardStaged(entry, tag);',
        replace: 'await store.discard(row.attempt); await vault.discardStaged(entry, tag);',
      },
    ],
    shows: {
      kind: 'points',
      start: 'staged/secret',
      picks: (point) =>
        point.kind === 'call' && point.fault === 'KILL' && point.call.name === 'unlink',
    },
  },
  {
    name: 'what was recovered is answered before it is durable',
    patches: [
      {
        file: 'store/sqlite/open.js',
        find: 'connection.checkpoint(); return connection;',
        replace: 'return connection;',
      },
    ],
    shows: {
      kind: 'cuts',
      start: 'unclear/plain',
      picks: (cut) => cut.promised !== undefined,
    },
  },
]

/** What became of a control; `caught` names the run that noticed. */
export type ControlOutcome = { readonly name: string; readonly caught: string | undefined }

/**
 * Copies the built product beside links to what it needs, and breaks the copy.
 *
 * @returns the `dist` of the copy
 * @throws Error when a text does not stand in its file exactly once: then the control would test nothing
 */
export function breakProduct(control: Control, dist: string, into: string): string {
  const broken = join(into, 'dist')
  mkdirSync(into, { recursive: true })
  cpSync(dist, broken, { recursive: true })
  const home = resolve(dist, '..')
  for (const name of ['node_modules', 'sql', 'package.json']) {
    symlinkSync(join(home, name), join(into, name))
  }
  for (const { file, find, replace } of control.patches) {
    const path = join(broken, file)
    const parts = readFileSync(path, 'utf8').split(loosely(find))
    if (parts.length !== 2) {
      const times = parts.length - 1
      throw new Error(
        `control "${control.name}": its text stands ${times} times in ${dirname(file)}/, want 1: ${find}`,
      )
    }
    writeFileSync(path, parts.join(replace))
  }
  return broken
}

/** Matches the text whatever the white space between its words is. */
function loosely(text: string): RegExp {
  const words = text.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(words.join('\\s+'))
}

/** The starts are those of the sound product: only what runs from them is broken. */
export async function runControl(
  control: Control,
  broken: string,
  starts: ReadonlyMap<string, Prepared>,
  dir: string,
): Promise<ControlOutcome> {
  const { name, shows } = control
  const prepared = starts.get(shows.kind === 'lockDeleted' ? 'warm/plain' : shows.start)
  if (prepared === undefined) throw new RangeError(`control "${name}": its start is not there`)
  const lane = new Lane(dir, broken)
  try {
    for await (const outcome of controlRuns(lane, prepared, shows)) {
      if (outcome.violations.length > 0) return { name, caught: outcome.name }
    }
    return { name, caught: undefined }
  } finally {
    lane.helper.end()
  }
}

async function* controlRuns(
  lane: Lane,
  prepared: Prepared,
  shows: Control['shows'],
): AsyncGenerator<Outcome> {
  if (shows.kind === 'lockDeleted') {
    yield await scenarios.lockDeleted(lane, prepared)
    return
  }
  if (shows.kind === 'cuts') {
    for (const cut of await lane.cutImages(prepared)) {
      if (shows.picks(cut)) yield await lane.cut(prepared, cut)
    }
    return
  }
  const points = (await findPoints(lane, prepared)).filter(shows.picks)
  for (const job of jobsOf(prepared, points))
    yield await lane.point(prepared, job.point, job.afterError)
}
