import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Point } from './points.js'

/** A product that is broken on purpose; a lab that does not notice it proves nothing. */
export type Control = {
  readonly name: string
  readonly patches: readonly Patch[]
  /** Where the damage must show. */
  readonly shows:
    | { readonly kind: 'points'; readonly start: string; readonly picks: (point: Point) => boolean }
    | { readonly kind: 'cuts'; readonly start: string }
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
    shows: { kind: 'cuts', start: 'warm/plain' },
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
        point.fault === 'EIO' &&
        point.call.name === 'fsync' &&
        point.step === 'promote.beforeCommit',
    },
  },
  {
    name: 'the journal row is not cleared',
    patches: [
      {
        file: 'store/sqlite/wallets.js',
        find: 'const ended = this.#connection.run(sql, fromHex(attempt), fromHex(walletId));',
        replace: 'const ended = 1;',
      },
    ],
    shows: { kind: 'points', start: 'warm/plain', picks: named('transient', 'publish.after') },
  },
  {
    name: 'the lock file may be deleted under its holder',
    patches: [
      {
        file: 'base/directory-lock.js',
        find: 'if (identityAt(shared.lockPath) !== shared.file.identity) throw new DataDirLockLost(path);',
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
    shows: { kind: 'cuts', start: 'warm/secret' },
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
    shows: { kind: 'cuts', start: 'unclear/plain' },
  },
]

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
