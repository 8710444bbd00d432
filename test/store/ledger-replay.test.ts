import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../src/store/ledger.js'
import { type Ledger, type LedgerOptions, missingLines } from '../../src/store/ledger-port.js'
import { ledgerChecks, type ReplayReport, replayLedger } from '../../src/store/ledger-replay.js'
import { accept, clock, inDirectory, mixed, storeId } from './ledger-fixture.js'

const nobody = (): undefined => undefined

function open(dir: string, options: Partial<LedgerOptions> = {}): Ledger {
  return openLedger(dir, { storeId, clock, ...options })
}

/** A small ledger of several files; answers its files in order. */
async function seed(dir: string, lines = 8): Promise<readonly string[]> {
  const ledger = open(dir, { maxSegmentBytes: 2000 })
  for (let n = 0; n < lines; n += 1) ledger.append([accept(n)])
  ledger.append(mixed)
  await ledger.close()
  return readdirSync(dir)
    .sort()
    .map((name) => join(dir, name))
}

/** Sequences that a replay hands out, and its report. */
async function replayed(
  dir: string,
): Promise<{ readonly seqs: readonly bigint[]; readonly report: ReplayReport }> {
  const seqs: bigint[] = []
  const report = await replayLedger(dir, ({ seq }) => seqs.push(seq))
  return { seqs, report }
}

function lostSeqs({ damaged }: ReplayReport): bigint[] {
  return damaged.flatMap(({ fromSeq, toSeq }) =>
    Array.from({ length: Number(toSeq - fromSeq) + 1 }, (_, index) => fromSeq + BigInt(index)),
  )
}

describe('replay', () => {
  it('hands out every line of every file in order, with what its head says', () =>
    inDirectory(async (dir) => {
      const files = await seed(dir)
      expect(files.length).toBeGreaterThan(3)
      const seen: unknown[] = []
      const report = await replayLedger(dir, (line, read) => {
        const { entry, hash, prev } = read()
        expect([hash, prev]).toEqual([line.hash, line.prev])
        expect(entry.kind).toBe(line.kind)
        if (entry.kind === 'accept') expect(line.print).toBe(entry.print)
        if ('job' in entry) expect(line.job).toBe(entry.job)
        if ('outpointPrint' in entry) expect(line.outpointPrint).toBe(entry.outpointPrint)
        if ('rowDigest' in entry) expect(line.rowDigest).toBe(entry.rowDigest)
        if (entry.kind !== 'genesis' && entry.kind !== 'segment') seen.push(entry)
      })
      expect(seen).toEqual([...Array.from({ length: 8 }, (_, n) => accept(n)), ...mixed])
      expect(report).toMatchObject({ damaged: [], repaired: [], missing: false, expected: 'met' })
      expect(report.tornTail).toBeUndefined()
      expect(ledgerChecks(report).every(({ ok }) => ok)).toBe(true)
    }))

  it(
    'finds every flipped byte, loses two lines at most and hands out all others',
    () =>
      inDirectory(async (dir) => {
        const files = await seed(dir, 4)
        const { seqs: all } = await replayed(dir)
        const last = files.indexOf(join(dir, 'ledger.jsonl'))
        for (const [index, file] of files.entries()) {
          const bytes = readFileSync(file)
          for (let offset = 0; offset < bytes.length; offset += 1) {
            const flipped = Buffer.from(bytes)
            flipped[offset] = (flipped[offset] ?? 0) ^ (1 << (offset % 8))
            writeFileSync(file, flipped)
            const { seqs, report } = await replayed(dir)
            const torn = report.tornTail === undefined ? [] : all.slice(-1)
            expect(torn.length).toBe(index === last && offset === bytes.length - 1 ? 1 : 0)
            const lost = new Set([...lostSeqs(report), ...torn])
            expect(lost.size, `${file} ${offset}`).toBeGreaterThan(0)
            expect(lost.size).toBeLessThan(3)
            expect(seqs).toEqual(all.filter((seq) => !lost.has(seq)))
            expect(torn.length === 1 || ledgerChecks(report).some(({ ok }) => !ok)).toBe(true)
          }
          writeFileSync(file, bytes)
        }
      }),
    120_000,
  )

  it('never hands out a line that is not there or stands elsewhere, whatever was cut and pasted', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      ledger.append(mixed)
      await ledger.close()
      const file = join(dir, 'ledger.jsonl')
      const bytes = readFileSync(file)
      const original = new Map<bigint, string>()
      await replayLedger(dir, ({ seq, hash }) => original.set(seq, hash))
      const edges = [0, ...bytes.keys()].filter((at) => at === 0 || bytes[at - 1] === 0x0a)
      const position = fc.oneof(fc.nat({ max: bytes.length }), fc.constantFrom(...edges))
      await fc.assert(
        fc.asyncProperty(position, position, position, async (from, to, target) => {
          const piece = bytes.subarray(Math.min(from, to), Math.max(from, to))
          const pasted = [bytes.subarray(0, target), piece, bytes.subarray(target)]
          writeFileSync(file, Buffer.concat(pasted))
          const seqs: bigint[] = []
          const report = await replayLedger(dir, ({ seq, hash }) => {
            expect(hash).toBe(original.get(seq))
            seqs.push(seq)
          })
          const sortedOnce = [...new Set(seqs)].sort((a, b) => Number(a - b))
          expect(seqs).toEqual(sortedOnce)
          const clean = report.damaged.length === 0 && report.tornTail === undefined
          expect(clean).toBe(piece.length === 0)
        }),
        { numRuns: 300 },
      )
    }))

  it('reports a file that is gone, lines that were taken out and a ledger that is shorter', () =>
    inDirectory(async (dir) => {
      const [first = '', second = '', ...rest] = await seed(dir)
      const { report: whole } = await replayed(dir)
      const kept = readFileSync(second)
      rmSync(second)
      const gone = (await replayed(dir)).report
      expect(gone.damaged).toMatchObject([{ reason: 'missing', sizeBytes: 0, offset: 0 }])
      expect(gone.head).toEqual(whole.head)
      writeFileSync(second, kept)
      const lines = readFileSync(first, 'utf8').split('\n')
      writeFileSync(first, [...lines.slice(0, 1), ...lines.slice(2)].join('\n'))
      expect((await replayed(dir)).report.damaged).toMatchObject([
        { reason: 'missing', fromSeq: 2n, toSeq: 2n },
      ])
      writeFileSync(first, lines.join('\n'))
      const met = await replayLedger(dir, nobody, { expect: whole.head })
      expect(met.expected).toBe('met')
      const forked = await replayLedger(dir, nobody, { expect: { ...whole.head, hash: 'x' } })
      expect(forked.expected).toBe('forked')
      for (const file of rest) rmSync(file)
      const short = await replayLedger(dir, nobody, { expect: whole.head })
      expect(short.expected).toBe('shorter')
      expect(ledgerChecks(short).find(({ name }) => name === 'head')?.ok).toBe(false)
      for (const file of [first, second]) rmSync(file)
      const none = await replayLedger(dir, nobody)
      expect(none).toMatchObject({ missing: true, lines: 0 })
    }))

  it('reports a chain whose line was exchanged for another good one', () =>
    inDirectory(async (dir) => {
      await seed(dir)
      const file = join(dir, 'ledger-000000000001.jsonl')
      const lines = readFileSync(file, 'utf8').split('\n')
      await inDirectory(async (other) => {
        const ledger = open(other)
        ledger.append([accept(77)])
        await ledger.close()
        const foreign = readFileSync(join(other, 'ledger.jsonl'), 'utf8').split('\n')[1] ?? ''
        writeFileSync(file, [lines[0], foreign, ...lines.slice(2)].join('\n'))
      })
      const { report } = await replayed(dir)
      expect(report.damaged).toMatchObject([{ reason: 'fork', fromSeq: 3n, toSeq: 3n }])
    }))

  it('gives way to the event loop after each slice and ends when it is told to', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      const many = Array.from({ length: 2000 }, (_, n) => accept(n))
      ledger.append(many)
      await ledger.close()
      let turns = 0
      let counting = true
      const count = (): void => {
        turns += 1
        if (counting) setImmediate(count)
      }
      setImmediate(count)
      await replayLedger(dir, nobody, { sliceMs: 0 })
      counting = false
      expect(turns).toBeGreaterThan(20)
      const stop = new AbortController()
      const seen: bigint[] = []
      const work = replayLedger(
        dir,
        ({ seq }) => {
          seen.push(seq)
          if (seq === 100n) stop.abort()
        },
        { signal: stop.signal, sliceMs: 0 },
      )
      await expect(work).rejects.toThrow(/aborted/)
      expect(seen.length).toBeLessThan(300)
    }))

  it(
    'reads 100,000 lines in bounded memory',
    () =>
      inDirectory(async (dir) => {
        const ledger = open(dir)
        for (let n = 0; n < 100; n += 1) {
          ledger.append(Array.from({ length: 1000 }, (_, i) => accept(1000 * n + i)))
        }
        await ledger.close()
        let peakBytes = 0
        const before = process.memoryUsage().arrayBuffers
        const report = await replayLedger(dir, ({ seq }) => {
          if (seq % 1000n !== 0n) return
          const { arrayBuffers } = process.memoryUsage()
          peakBytes = Math.max(peakBytes, arrayBuffers - before)
        })
        expect(report.lines).toBe(100_001 + readdirSync(dir).length - 1)
        // The files hold 70 MB; the buffer is 1 MiB.
        expect(peakBytes).toBeLessThan(8 * 1024 * 1024)
      }),
    60_000,
  )
})

describe('repair', () => {
  it('declares a damage in the middle, and its lines stand again under their first sequence', () =>
    inDirectory(async (dir) => {
      const [file = ''] = await seed(dir)
      const bytes = readFileSync(file)
      const at = bytes.indexOf('route-1')
      bytes[at] = 0x52
      writeFileSync(file, bytes)
      const { report } = await replayed(dir)
      const [damage] = report.damaged
      expect(damage).toMatchObject({ reason: 'unreadable', fromSeq: 3n, toSeq: 3n, atEnd: false })
      if (damage === undefined) return
      const ledger = open(dir)
      const next = ledger.nextSeq()
      expect(ledger.state()).toBe('ok')
      expect(ledger.find(3n)).toBeUndefined()
      const seqs = ledger.repair(damage, [{ seq: 3n, entry: accept(1) }])
      expect(seqs).toEqual([next, next + 1n])
      expect(() => ledger.repair(damage, [{ seq: 4n, entry: accept(2) }])).toThrow(RangeError)
      await ledger.close()
      const again: unknown[] = []
      const after = await replayLedger(dir, (line, read) => {
        if (line.again !== undefined) again.push([line.again, read().entry])
      })
      expect(after.damaged).toEqual([])
      expect(after.repaired).toMatchObject([{ ...damage, rewritten: 1 }])
      expect(again).toEqual([[3n, accept(1)]])
      bytes[at + 1] = 0x52
      writeFileSync(file, bytes)
      expect((await replayed(dir)).report.damaged).toHaveLength(1)
    }))

  it('is asked for before anything else when the last lines cannot be read', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      ledger.append(mixed)
      await ledger.close()
      const file = join(dir, 'ledger.jsonl')
      const bytes = readFileSync(file)
      // Lines 4 and 5 of 5.
      for (const text of ['"settle"', '"operate"']) bytes[bytes.indexOf(text) + 1] = 0x58
      writeFileSync(file, bytes)
      const damaged = open(dir)
      expect(damaged.state()).toBe('damaged')
      expect(damaged.head().seq).toBe(3n)
      expect(() => damaged.append([accept(9)])).toThrow(/2 lines from 4 on cannot be read/)
      const lost = damaged.lost()
      if (lost === undefined) throw new Error('no loss')
      const { segment, fromSeq, foundHash } = lost
      const range = { segment, fromSeq, toSeq: 6n, foundHash }
      const [, , settled, operated] = mixed
      if (settled === undefined || operated === undefined) throw new Error('no lines')
      expect(() => damaged.repair(missingLines(4n, 6n), [])).toThrow(RangeError)
      const seqs = damaged.repair(range, [
        { seq: 4n, entry: settled },
        { seq: 6n, entry: operated },
      ])
      expect(seqs).toEqual([7n, 8n, 9n])
      expect(damaged.state()).toBe('ok')
      expect(damaged.append([accept(9)])).toEqual([10n])
      await damaged.close()
      const { report, seqs: found } = await replayed(dir)
      expect(found).toEqual([1n, 2n, 3n, 7n, 8n, 9n, 10n])
      expect(report.damaged).toEqual([])
      expect(report.repaired).toMatchObject([{ fromSeq: 4n, toSeq: 6n, rewritten: 2 }])
      const later = open(dir)
      expect(later.state()).toBe('ok')
      expect(later.nextSeq()).toBe(11n)
      await later.close()
    }))

  it('leaps over lines that only the database has, so that no sequence is used twice', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      ledger.append([accept(1)])
      expect(() => ledger.repair(missingLines(4n, 6n), [])).toThrow(RangeError)
      expect(() => ledger.repair(missingLines(2n, 3n), [])).toThrow(RangeError)
      const seqs = ledger.repair(missingLines(3n, 7n), [{ seq: 5n, entry: accept(5) }])
      expect(seqs).toEqual([8n, 9n])
      await ledger.close()
      const { report } = await replayed(dir)
      expect(report.damaged).toEqual([])
      expect(report.repaired).toMatchObject([{ reason: 'missing', fromSeq: 3n, toSeq: 7n }])
    }))

  it('of a full file whose end is damaged opens the next file', () =>
    inDirectory(async (dir) => {
      await seed(dir)
      const files = readdirSync(dir).sort()
      const last = join(dir, files.at(-2) ?? '')
      rmSync(join(dir, 'ledger.jsonl'))
      const bytes = readFileSync(last)
      bytes[bytes.length - 10] = 0x58
      writeFileSync(last, bytes)
      for (let time = 0; time < 2; time += 1) {
        const ledger = open(dir)
        expect(ledger.state()).toBe('damaged')
        await ledger.close()
      }
      const ledger = open(dir)
      const lost = ledger.lost()
      if (lost === undefined) throw new Error('no loss')
      ledger.repair({ ...lost, toSeq: lost.fromSeq }, [{ seq: lost.fromSeq, entry: accept(1) }])
      ledger.append([accept(50)])
      await ledger.close()
      const { report } = await replayed(dir)
      expect(report.damaged).toEqual([])
      expect(report.repaired).toMatchObject([{ rewritten: 1 }])
    }))
})
