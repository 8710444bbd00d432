import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyLedger } from '../../src/datadir/ledger-verify.js'
import { openJobStore } from '../../src/store/sqlite/index.js'
import { sampleJob } from '../../src/testing/sample-job.js'
import { temporaryDirectory } from '../store/sqlite/fixture.js'
import { accept, copyDirectory, never } from '../store/sqlite/jobs-fixture.js'

let dir = ''
let witnessPath = ''

beforeEach(async () => {
  const parent = temporaryDirectory()
  dir = join(parent, 'data')
  witnessPath = join(parent, 'witness')
  await work(1)
})
afterEach(() => rmSync(witnessPath, { force: true }))

async function work(number: number): Promise<void> {
  const store = await openJobStore(dir, { witnessPath })
  await store.ready(never)
  await accept(store, sampleJob(number))
  await store.close()
}

const failing = async (): Promise<readonly string[]> => {
  const { checks } = await verifyLedger(dir, { witnessPath })
  return checks.filter(({ ok }) => !ok).map(({ name }) => name)
}

describe('a ledger checked against its witness', () => {
  it('is right when it has the line that the witness knows', async () => {
    expect(await failing()).toEqual([])
  })

  it('is refused when it is an older copy', async () => {
    const copy = join(temporaryDirectory(), 'copy')
    copyDirectory(dir, copy)
    await work(2)
    dir = copy
    expect(await failing()).toEqual(['head'])
  })

  it('names a witness that is missing or is something else', async () => {
    writeFileSync(witnessPath, 'something else')
    expect(await failing()).toEqual(['witness'])
    rmSync(witnessPath)
    expect(await failing()).toEqual(['witness'])
  })
})
