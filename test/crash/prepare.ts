import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Holdfast } from '../../src/holdfast.js'
import { idOf, openIn, type Reference, registerIn, viewOf } from './checker.js'
import { dump } from './dump.js'
import { enumerate } from './points.js'
import { runOp, saidIn } from './run.js'
import { fixture, type OpConfig, opConfig, type Start } from './starts.js'

/** Makes the data directory of a whole start; of `fresh/plain` only the parent. */
export async function makeWhole(start: Start, dataDir: string, dist: string): Promise<void> {
  mkdirSync(dirname(dataDir), { recursive: true })
  if (start.name === 'fresh/plain') return
  if (start.secret) await makeVault(dataDir, dist)
  if (start.name.startsWith('fresh')) return
  const holdfast = await openIn({ dataDir, dist, start })
  try {
    await holdfast.wallets.createFromSeedBytes({
      seed: Buffer.from(fixture.otherSeedHex, 'hex'),
      network: fixture.network,
      birthHeight: 7,
      ...(start.secret ? { persistSecret: { label: fixture.label } } : {}),
    })
    if (start.name.startsWith('held')) await holdSecret(holdfast)
  } finally {
    await holdfast.close()
  }
}

async function makeVault(dataDir: string, dist: string): Promise<void> {
  const load = (name: string): Promise<unknown> => import(pathToFileURL(join(dist, name)).href)
  const { createFileVault } = (await load(
    'vault/file.js',
  )) as typeof import('../../src/vault/file.js')
  const { kdfFloor } = (await load('vault/kdf.js')) as typeof import('../../src/vault/kdf.js')
  mkdirSync(dataDir, { mode: 0o700 })
  const passphrase = new TextEncoder().encode(fixture.passphrase)
  const vault = await createFileVault(dataDir, passphrase, { kdf: kdfFloor })
  vault.close()
}

/** Puts another secret under the label that the test wallet will ask for. */
async function holdSecret(holdfast: Holdfast): Promise<void> {
  const secret = Buffer.from(fixture.heldSecretHex, 'hex')
  await holdfast.vault?.put({ walletId: idOf(fixture.walletId), label: fixture.label }, secret)
}

/** The two whole states of a start, taken from runs without faults over `dataDir`. */
export async function referenceOf(start: Start, dataDir: string, dist: string): Promise<Reference> {
  const scratch = join(dataDir, '..', '..', 'scratch')
  const empty = await openIn({ dataDir, dist, start })
  await empty.close()
  const zero = dump(dataDir, scratch)
  const holdfast = await openIn({ dataDir, dist, start })
  try {
    const { id } = await registerIn(holdfast, start.secret)
    if (id !== fixture.walletId) throw new Error(`fixture: the wallet's id is ${id}`)
    const wallet = viewOf(holdfast, id)
    await holdfast.close()
    return { zero, all: dump(dataDir, scratch), walletId: id, wallet }
  } finally {
    await holdfast.close()
  }
}

/** How the process is run, and hurt, that leaves the image of a `recover` start behind. */
export type LeftRun = { readonly config: OpConfig; readonly inject: readonly string[] }

/**
 * Finds out where the process of a `recover` start must be hurt.
 *
 * @param base the start it begins from
 * @param root a copy of the base image, which is used up
 */
export async function leftRunOf(
  start: Start,
  base: Start,
  root: string,
  dist: string,
): Promise<LeftRun> {
  const { made } = start
  if (made === undefined) throw new RangeError(`${start.name}: a whole start`)
  if (made.kind === 'at') {
    return {
      config: opConfig(base, dist, { fault: { point: made.point, action: 'die' } }),
      inject: [],
    }
  }
  const fault = made.kind === 'unlinks' ? { point: made.point, action: 'transient' } : undefined
  const more = fault === undefined ? {} : { fault }
  const { calls } = await enumerate(opConfig(base, dist, more), root)
  const first = calls.find(({ name, step, where }) =>
    made.kind === 'syncs'
      ? /^f(data)?sync$/.test(name) && step === made.after
      : name === 'unlink' && where.includes('/vault/'),
  )
  if (first === undefined) throw new Error(`${start.name}: the call to fail never comes`)
  const inject = ['-e', `inject=${first.name}:error=EIO:when=${first.when}+`]
  return { config: opConfig(base, dist, { ...more, afterError: 'die' }), inject }
}

/** Turns a copy of the base image at `root` into what a dead or failed process leaves. */
export async function makeLeft(start: Start, left: LeftRun, root: string): Promise<void> {
  const strace = left.inject.length === 0 ? undefined : ['-o', '/dev/null', ...left.inject]
  const ran = await runOp(join(root, 'data'), left.config, strace)
  const { error } = saidIn(ran.lines)
  const fits =
    start.made?.kind === 'at'
      ? error === undefined
      : start.made?.kind === 'syncs'
        ? error?.code === 'PromoteOutcomeUnknown'
        : error?.cleanup === 'deferred'
  if (!fits || ran.signal !== 'SIGKILL') {
    throw new Error(`${start.name}: the process did not end as it should\n${ran.lines.join('\n')}`)
  }
}
