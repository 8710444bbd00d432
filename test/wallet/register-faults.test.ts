import { afterEach, describe, expect, it } from 'vitest'
import { isHoldfastError } from '../../src/base/errors.js'
import type { FaultRule } from '../../src/testing/faults.js'
import { scriptedFaults } from '../../src/testing/faults.js'
import type { WalletEvent } from '../../src/wallet/events.js'
import { DataDir, otherPhrase, passphrase, phrase } from './data-dir.js'

const dirs: DataDir[] = []
function dataDir(): DataDir {
  const dir = new DataDir()
  dirs.push(dir)
  return dir
}
afterEach(async () => {
  for (const dir of dirs.splice(0)) await dir.remove()
})

const wallet = { phrase, network: 'testnet' as const, persistSecret: { label: 'seed' } }

/** A directory that already holds another wallet and its secret, so that undoing too much would show. */
async function warm(): Promise<DataDir> {
  const dir = await dataDir().withVault()
  const holdfast = await dir.open({ passphrase })
  await holdfast.wallets.createFromMnemonic({ ...wallet, phrase: otherPhrase })
  await holdfast.close()
  return dir
}

/** Points before the commit, and the error that a failure there is reported as. */
const before: readonly (readonly [string, string])[] = [
  ['reserve.before', 'PersisterReserve'],
  ['reserve.after', 'PersisterReserve'],
  ['secret.stage.before', 'SecretStage'],
  ['secret.stage.after', 'SecretStage'],
  ['restore.read', 'RestoreFailed'],
  ['restore.provider', 'RestoreFailed'],
  ['promote.begin', 'PersisterPromote'],
  ['promote.row:1', 'PersisterPromote'],
  ['promote.row:2', 'PersisterPromote'],
  ['promote.row:9', 'PersisterPromote'],
  ['promote.beforeCommit', 'PersisterPromote'],
]
/** Points at and after the commit: the wallet is there, whatever fails. */
const after: readonly (readonly [string, readonly string[]])[] = [
  ['promote.commitError', []],
  ['promote.afterCommit', []],
  ['publish.after', []],
  ['secret.finalise.before', ['secretPendingFinalise']],
  ['secret.finalise.after', ['secretPendingFinalise']],
]
const kinds = ['transient', 'constraint', 'fatal'] as const

describe('a registration that fails before its commit (cases C1, C3, C4, C8, C9, C10)', () => {
  for (const [point, code] of before) {
    for (const kind of kinds) {
      it(`leaves no trace when ${point} fails as ${kind}, and the retry succeeds`, async () => {
        const dir = await warm()
        const zero = dir.dump()
        const events: WalletEvent[] = []
        const faults = scriptedFaults({ point, nth: 1, action: kind })
        const holdfast = await dir.open({
          passphrase,
          faults,
          onEvent: (event) => events.push(event),
        })

        const error: unknown = await holdfast.wallets.createFromMnemonic(wallet).catch((e) => e)

        expect(isHoldfastError(error) && error.code).toBe(code)
        expect(error).toMatchObject({
          cleanup: 'done',
          retry: kind === 'transient' ? 'safe' : 'after-fix',
        })
        expect(faults.reached.filter((name) => name === point)).toHaveLength(1)
        expect(events).toEqual([])
        expect(holdfast.wallets.list()).toEqual([])
        await holdfast.close()
        expect(dir.dump()).toEqual(zero)

        const again = await dir.open({ passphrase })
        const made = await again.wallets.createFromMnemonic(wallet)
        expect(again.wallets.get(made.id).generation).toBe(made.generation)
        expect(made.warnings).toEqual([])
        await again.close()
        await expectWhole(dir, 2)
      })
    }
  }

  it('succeeds when the very same manager is asked again after each failure', async () => {
    const dir = await warm()
    const holdfast = await dir.open({
      passphrase,
      faults: scriptedFaults(before.map(([point]) => ({ point, nth: 1, action: 'transient' }))),
    })
    let failures = 0
    for (let attempt = 0; attempt <= before.length; attempt++) {
      const result = await holdfast.wallets.createFromMnemonic(wallet).catch(() => undefined)
      if (result === undefined) failures++
    }
    expect(failures).toBe(before.length)
    expect(holdfast.wallets.list()).toHaveLength(1)
    await holdfast.close()
    await expectWhole(dir, 2)
  })
})

describe('a registration that has committed (matrix rows R6 to R8)', () => {
  for (const [point, warnings] of after) {
    for (const kind of kinds) {
      it(`succeeds although ${point} fails as ${kind}`, async () => {
        const dir = await warm()
        const events: string[] = []
        const holdfast = await dir.open({
          passphrase,
          faults: scriptedFaults({ point, action: kind }),
          onEvent: (event) => events.push(event.type),
        })
        const made = await holdfast.wallets.createFromMnemonic(wallet)
        expect(made.warnings).toEqual(warnings)
        expect(events).toEqual(['walletRegistered'])
        expect(holdfast.wallets.get(made.id).id).toBe(made.id)
        await holdfast.close()
        // The next open finishes what was left of the secret, also with the vault locked.
        const again = await dir.open()
        expect(again.wallets.recoveryReport().discarded).toEqual([])
        await again.close()
        await expectWhole(dir, 2)
      })
    }
  }
})

describe('a registration whose undoing fails', () => {
  const fail: FaultRule[] = [
    { point: 'restore.provider', nth: 1, action: 'transient' },
    { point: 'discard.before', nth: 1, action: 'transient' },
  ]

  it('says that the clean-up is deferred, blocks no retry, and is ended by the retry', async () => {
    const dir = await warm()
    const holdfast = await dir.open({ passphrase, faults: scriptedFaults(fail) })
    const error: unknown = await holdfast.wallets.createFromMnemonic(wallet).catch((e) => e)
    expect(error).toMatchObject({ code: 'RestoreFailed', cleanup: 'deferred', retry: 'safe' })
    await holdfast.wallets.createFromMnemonic(wallet)
    await holdfast.close()
    await expectWhole(dir, 2)
  })

  it('is ended by the next open', async () => {
    const dir = await warm()
    const zero = dir.dump()
    const holdfast = await dir.open({ passphrase, faults: scriptedFaults(fail) })
    await holdfast.wallets.createFromMnemonic(wallet).catch(() => undefined)
    await holdfast.close()
    expect(dir.dump()).not.toEqual(zero)
    const again = await dir.open()
    expect(again.wallets.recoveryReport().discarded).toHaveLength(1)
    await again.close()
    expect(dir.dump()).toEqual(zero)
  })
})

describe('recovery that fails half way', () => {
  it('is finished by the next open, whichever step failed', async () => {
    for (const step of ['recover.step:1', 'recover.step:2', 'recover.step:3']) {
      const dir = await warm()
      const zero = dir.dump()
      const first = await dir.open({
        passphrase,
        faults: scriptedFaults([
          { point: 'restore.read', action: 'transient' },
          { point: 'discard.before', action: 'transient' },
        ]),
      })
      await first.wallets.createFromMnemonic(wallet).catch(() => undefined)
      await first.close()
      const faults = scriptedFaults({ point: step, action: 'transient' })
      const opened: unknown = await dir.open({ faults }).catch((error) => error)
      expect(faults.reached).toContain(step.replace('3', '1'))
      if (!(opened instanceof Error)) await (opened as { close(): Promise<void> }).close()
      await (await dir.open()).close()
      expect(dir.dump()).toEqual(zero)
    }
  })
})

/** As many wallets as said, each with its secret, and nothing half done. */
async function expectWhole(dir: DataDir, wallets: number): Promise<void> {
  const dump = dir.dump()
  expect(dump.pending_registrations).toEqual([])
  expect(dump.wallets).toHaveLength(wallets)
  expect(dump.account_registrations).toHaveLength(9 * wallets)
  const holdfast = await dir.open({ passphrase })
  const outcome = await holdfast.wallets.loadAll()
  expect(outcome).toMatchObject({ kind: 'loaded', skipped: [] })
  expect(outcome.loaded).toHaveLength(wallets)
  const secrets = (await holdfast.vault?.list()) ?? []
  expect(secrets.map(({ state }) => state)).toEqual(Array.from({ length: wallets }, () => 'final'))
  for (const { walletId, label } of secrets) {
    expect((await holdfast.vault?.read({ walletId, label }))?.length).toBe(64)
  }
  await holdfast.close()
}
