import { copyFileSync, mkdirSync, readdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openFileVault } from '../../src/vault/file.js'
import type { FileVault } from '../../src/vault/folder-vault.js'
import { bytes, fileOf, freshVault, newAttempt, passphrase, seedOfA, snapshot } from './fixture.js'

/** The states of all entries, sorted, and the final secret. */
async function outcome(vault: FileVault): Promise<unknown> {
  const secret = await vault.read(seedOfA)
  return {
    states: (await vault.list()).map(({ state }) => state).sort(),
    secret: secret && new TextDecoder().decode(secret),
  }
}

/** A vault with `old` under the final name and `new` staged. */
async function contested(staged = 'new', password?: Uint8Array) {
  const made = await freshVault()
  const { attempt, tag } = newAttempt()
  await made.vault.put(seedOfA, bytes('old'))
  await made.vault.stage(seedOfA, bytes(staged), attempt, password)
  return { ...made, tag }
}

describe('finalise', () => {
  it('moves a staged secret to its free name, and answers missing afterwards', async () => {
    const { vault } = await freshVault()
    const { attempt, tag } = newAttempt()
    await vault.stage(seedOfA, bytes('new'), attempt)
    expect(await vault.finalise(seedOfA, tag)).toBe('moved')
    expect(await outcome(vault)).toEqual({ states: ['final'], secret: 'new' })
    expect(await vault.finalise(seedOfA, tag)).toBe('missing')
    expect(await outcome(vault)).toEqual({ states: ['final'], secret: 'new' })
  })

  it('drops the staged secret when the final name holds the same bytes', async () => {
    const { vault, tag } = await contested('old')
    expect(await vault.finalise(seedOfA, tag)).toBe('same')
    expect(await outcome(vault)).toEqual({ states: ['final'], secret: 'old' })
  })

  it('keeps another secret as previous', async () => {
    const { vault, folder, tag } = await contested()
    expect(await vault.finalise(seedOfA, tag)).toBe('displaced')
    expect(await outcome(vault)).toEqual({ states: ['final', 'previous'], secret: 'new' })
    renameSync(fileOf(folder, seedOfA, `.previous-${tag}`), fileOf(folder, seedOfA))
    expect(await outcome(vault)).toEqual({ states: ['final'], secret: 'old' })
  })

  it('keeps both when they cannot be compared: locked, under a password, or damaged', async () => {
    const locked = await contested('old')
    const byName = await openFileVault(locked.dir, undefined)
    expect(await byName.finalise(seedOfA, locked.tag)).toBe('displaced')

    const protectedOne = await contested('old', bytes('object password'))
    expect(await protectedOne.vault.finalise(seedOfA, protectedOne.tag)).toBe('displaced')

    const damaged = await contested('old')
    writeFileSync(fileOf(damaged.folder, seedOfA), 'torn')
    expect(await damaged.vault.finalise(seedOfA, damaged.tag)).toBe('displaced')
    expect(await outcome(damaged.vault)).toEqual({ states: ['final', 'previous'], secret: 'old' })
  })

  it('goes on after a crash between the two renames of a displacement', async () => {
    const { dir, folder, tag } = await contested()
    renameSync(fileOf(folder, seedOfA), fileOf(folder, seedOfA, `.previous-${tag}`))
    const vault = await openFileVault(dir, passphrase)
    expect(await vault.finalise(seedOfA, tag)).toBe('displaced')
    expect(await outcome(vault)).toEqual({ states: ['final', 'previous'], secret: 'new' })
    expect(await vault.finalise(seedOfA, tag)).toBe('missing')
  })

  it('loses nothing when another secret was put in between', async () => {
    const { vault, folder, tag } = await contested()
    renameSync(fileOf(folder, seedOfA), fileOf(folder, seedOfA, `.previous-${tag}`))
    await vault.put(seedOfA, bytes('between'))
    expect(await vault.finalise(seedOfA, tag)).toBe('displaced')
    expect(await outcome(vault)).toEqual({
      states: ['final', 'previous', 'previous'],
      secret: 'new',
    })
    const kept = new Set<string>()
    for (const entry of await vault.list()) {
      if (entry.state !== 'previous') continue
      copyFileSync(
        fileOf(folder, seedOfA, `.previous-${entry.attemptTag}`),
        fileOf(folder, seedOfA),
      )
      kept.add(new TextDecoder().decode(await vault.read(seedOfA)))
    }
    expect(kept).toEqual(new Set(['old', 'between']))
  })

  it('goes on after a crash that left two equal entries', async () => {
    const { vault, folder, tag } = await contested()
    copyFileSync(fileOf(folder, seedOfA, `.staged-${tag}`), fileOf(folder, seedOfA))
    expect(await vault.finalise(seedOfA, tag)).toBe('same')
    expect(await outcome(vault)).toEqual({ states: ['final'], secret: 'new' })
  })

  it('changes nothing while the folder cannot be reached, and the same call then finishes', async () => {
    const { vault, folder, tag } = await contested()
    const before = snapshot(folder)
    renameSync(folder, `${folder}-away`)
    await expect(vault.finalise(seedOfA, tag)).rejects.toMatchObject({ code: 'VaultIoFailed' })
    renameSync(`${folder}-away`, folder)
    expect(snapshot(folder)).toEqual(before)
    expect(await vault.finalise(seedOfA, tag)).toBe('displaced')
    expect(await outcome(vault)).toEqual({ states: ['final', 'previous'], secret: 'new' })
  })

  it('runs concurrent calls one after the other', async () => {
    const { vault } = await freshVault()
    const attempts = Array.from({ length: 8 }, () => newAttempt())
    await Promise.all(
      attempts.map(({ attempt }, at) => vault.stage(seedOfA, bytes(`s${at}`), attempt)),
    )
    const results = await Promise.all(
      attempts.flatMap(({ tag }) => [vault.finalise(seedOfA, tag), vault.finalise(seedOfA, tag)]),
    )
    expect(results).toEqual([
      'moved',
      'missing',
      ...Array.from({ length: 7 }, () => ['displaced', 'missing']).flat(),
    ])
    const states = (await vault.list()).map(({ state }) => state)
    expect(states.filter((state) => state === 'previous')).toHaveLength(7)
    expect(states.filter((state) => state === 'final')).toHaveLength(1)
  })

  it('goes on with the next call after one that failed', async () => {
    const { vault, folder } = await freshVault()
    const { attempt, tag } = newAttempt()
    mkdirSync(fileOf(folder, seedOfA))
    const refused = vault.remove(seedOfA)
    const staged = vault.stage(seedOfA, bytes('new'), attempt)
    await expect(refused).rejects.toMatchObject({ code: 'VaultIoFailed' })
    await staged
    rmdirSync(fileOf(folder, seedOfA))
    expect(await vault.finalise(seedOfA, tag)).toBe('moved')
    expect(readdirSync(folder)).toHaveLength(2)
  })
})
