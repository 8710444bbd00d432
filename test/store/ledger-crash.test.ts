import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../src/store/ledger.js'
import { replayLedger } from '../../src/store/ledger-replay.js'
import { accept, clock, faultsThat, inDirectory, storeId } from './ledger-fixture.js'

type Snapshot = { readonly point: string; readonly dir: string; readonly accepted: number }

/** Copies a directory at every fault point that the work reaches: what a kill there would leave. */
async function snapshots(dir: string, copies: string): Promise<readonly Snapshot[]> {
  const taken: Snapshot[] = []
  let accepted = 0
  const faults = faultsThat((point) => {
    const copy = join(copies, String(taken.length))
    cpSync(dir, copy, { recursive: true })
    taken.push({ point, dir: copy, accepted })
  })
  const ledger = openLedger(dir, { storeId, clock, faults, maxSegmentBytes: 1600 })
  for (let n = 0; n < 8; n += 1) {
    ledger.append([accept(n)])
    accepted += 1
    if (n % 3 === 0) ledger.sync()
  }
  await ledger.close()
  return taken
}

describe('a process killed between any two calls', () => {
  it(
    'leaves a ledger that opens, holds every answered line and goes on',
    () =>
      inDirectory((copies) =>
        inDirectory(async (dir) => {
          const taken = await snapshots(dir, copies)
          const points = new Set(taken.map(({ point }) => point))
          expect([...points].sort()).toEqual([
            'ledger.append.after',
            'ledger.append.before',
            'ledger.open.first',
            ...Array.from({ length: 7 }, (_, index) => `ledger.rotate:${index + 1}`),
            'ledger.sync.after',
            'ledger.sync.before',
          ])
          for (const { point, dir: copy, accepted } of taken) {
            const ledger = openLedger(copy, { storeId, clock, maxSegmentBytes: 1600 })
            expect(ledger.state(), point).toBe('ok')
            ledger.append([accept(100)])
            const head = ledger.head()
            await ledger.close()
            const found: string[] = []
            const report = await replayLedger(copy, (_, read) => {
              const { entry } = read()
              if (entry.kind === 'accept') found.push(entry.routeRequestId)
            })
            expect(report, point).toMatchObject({ head, damaged: [], tornTail: undefined })
            expect(found.length, point).toBeGreaterThanOrEqual(accepted + 1)
            expect(found.length, point).toBeLessThanOrEqual(accepted + 2)
            expect(found.at(-1)).toBe('route-100')
          }
        }),
      ),
    60_000,
  )

  it('may be killed again while the torn tail is cut', () =>
    inDirectory((copies) =>
      inDirectory(async (dir) => {
        const seed = openLedger(dir, { storeId, clock })
        seed.append([accept(1)])
        const head = seed.head()
        await seed.close()
        const whole = readFileSync(join(dir, 'ledger.jsonl'))
        cpSync(dir, join(copies, 'seed'), { recursive: true })
        const torn = Buffer.concat([whole, whole.subarray(0, 100)])
        writeFileSync(join(dir, 'ledger.jsonl'), torn)
        const dirs: string[] = []
        const faults = faultsThat((point) => {
          dirs.push(join(copies, point))
          cpSync(dir, join(copies, point), { recursive: true })
        })
        await openLedger(dir, { storeId, clock, faults }).close()
        expect(dirs).toHaveLength(2)
        for (const each of [...dirs, dir]) {
          const ledger = openLedger(each, { storeId, clock })
          expect(ledger.head()).toEqual(head)
          await ledger.close()
          expect(readdirSync(join(each, 'quarantine'))).toHaveLength(1)
          expect(readFileSync(join(each, 'ledger.jsonl')).equals(whole)).toBe(true)
        }
      }),
    ))
})
