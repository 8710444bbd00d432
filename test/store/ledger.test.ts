import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../src/store/ledger.js'
import type { Ledger, LedgerOptions } from '../../src/store/ledger-port.js'
import { replayLedger } from '../../src/store/ledger-replay.js'
import { formatHead } from '../../src/store/ledger-witness.js'
import { accept, clock, faultsThat, inDirectory, mixed, settle, storeId } from './ledger-fixture.js'

const nobody = (): undefined => undefined
const active = (dir: string): string => join(dir, 'ledger.jsonl')

function open(dir: string, options: Partial<LedgerOptions> = {}): Ledger {
  return openLedger(dir, { storeId, clock, ...options })
}

describe('the ledger', () => {
  it('begins with a genesis line in a file of mode 0600', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      expect(ledger.opened).toEqual({ created: true, cut: [] })
      expect(ledger.head().seq).toBe(1n)
      expect(ledger.find(1n)?.entry).toEqual({ kind: 'genesis', storeId })
      expect(statSync(active(dir)).mode & 0o777).toBe(0o600)
      await ledger.close()
    }))

  it('gives lines the sequences it announced and finds them by these, also after reopening', () =>
    inDirectory(async (dir) => {
      const first = open(dir)
      expect(first.nextSeq()).toBe(2n)
      expect(first.append(mixed)).toEqual([2n, 3n, 4n, 5n])
      expect(first.append([])).toEqual([])
      expect(first.nextSeq()).toBe(6n)
      expect(first.isUnsynced()).toBe(true)
      first.sync()
      expect(first.isUnsynced()).toBe(false)
      const head = first.head()
      await first.close()
      const again = open(dir)
      expect(again.opened.created).toBe(false)
      expect(again.head()).toEqual(head)
      for (const [index, entry] of mixed.entries()) {
        expect(again.find(BigInt(index + 2))?.entry).toEqual(entry)
      }
      expect(again.find(6n)).toBeUndefined()
      await again.close()
    }))

  it('moves full files aside, goes on in a new one and finds lines in all of them', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir, { maxSegmentBytes: 4000 })
      const seqs: bigint[] = []
      for (let n = 0; n < 60; n += 1) {
        const next = ledger.nextSeq()
        expect(ledger.append([accept(n)])).toEqual([next])
        seqs.push(next)
      }
      const files = readdirSync(dir).sort()
      expect(files.length).toBeGreaterThan(5)
      expect(files[0]).toBe('ledger-000000000001.jsonl')
      for (const file of files) expect(statSync(join(dir, file)).size).toBeLessThan(4800)
      for (const [n, seq] of seqs.entries()) expect(ledger.find(seq)?.entry).toEqual(accept(n))
      const head = ledger.head()
      await ledger.close()
      const report = await replayLedger(dir, nobody)
      expect(report.damaged).toEqual([])
      expect(report.head).toEqual(head)
      expect(BigInt(report.lines)).toBe(head.seq)
      const again = open(dir, { maxSegmentBytes: 4000 })
      expect(again.append([accept(99)])).toEqual([head.seq + 1n])
      await again.close()
    }))

  it('finds every good line of a file in which others are damaged', () =>
    inDirectory(async (dir) => {
      const seed = open(dir)
      seed.append(Array.from({ length: 400 }, (_, n) => accept(n)))
      await seed.close()
      const bytes = readFileSync(active(dir))
      const broken = new Set<number>()
      for (let n = 3; n < 390; n += 1 + ((n * 7) % 11)) {
        bytes[bytes.indexOf(`"route-${n}"`) + 2] = 0x58
        broken.add(n)
      }
      writeFileSync(active(dir), bytes)
      const ledger = open(dir)
      for (let n = 0; n < 400; n += 1) {
        expect(ledger.find(BigInt(n + 2))?.entry).toEqual(broken.has(n) ? undefined : accept(n))
      }
      await ledger.close()
    }))

  it('refuses the ledger of another store and what is no regular file', () =>
    inDirectory(async (dir) => {
      await open(dir).close()
      expect(() => open(dir, { storeId: 'other' })).toThrow(/another store/)
      rmSync(active(dir))
      symlinkSync('elsewhere', active(dir))
      expect(() => open(dir)).toThrow(/symbolic link/)
      rmSync(active(dir))
      mkdirSync(active(dir))
      expect(() => open(dir)).toThrow(/cannot be opened|regular file/)
    }))

  it('takes no line that is too long, and nothing that came with it', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      const long = { ...accept(1), routeRequestId: 'x'.repeat(9 * 1024 * 1024) }
      expect(() => ledger.append([accept(2), long])).toThrow(RangeError)
      expect(ledger.state()).toBe('ok')
      expect(ledger.append([accept(3)])).toEqual([2n])
      await ledger.close()
    }))

  it('does nothing more once it is closed', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      await ledger.close()
      await ledger.close()
      expect(() => ledger.append([accept(1)])).toThrow(/closed/)
      expect(() => ledger.sync()).toThrow(/closed/)
    }))
})

describe('a torn tail', () => {
  it('is cut off, whatever its length, after a copy of it went to quarantine', () =>
    inDirectory(async (dir) => {
      const seed = open(dir)
      seed.append(mixed)
      const head = seed.head()
      const whole = statSync(active(dir)).size
      seed.append([accept(7)])
      await seed.close()
      const bytes = readFileSync(active(dir))
      for (let length = whole + 1; length < bytes.length - 1; length += 1) {
        writeFileSync(active(dir), bytes.subarray(0, length))
        const ledger = open(dir)
        expect(ledger.head()).toEqual(head)
        expect(ledger.state()).toBe('ok')
        const [copy] = ledger.opened.cut
        const kept = readFileSync(join(dir, 'quarantine', copy ?? ''))
        expect(kept.equals(bytes.subarray(whole, length))).toBe(true)
        expect(statSync(active(dir)).size).toBe(whole)
        expect(ledger.append([accept(8)])).toEqual([head.seq + 1n])
        await ledger.close()
      }
    }))

  it('that lacks its line feed alone is a line', () =>
    inDirectory(async (dir) => {
      const seed = open(dir)
      seed.append(mixed)
      const head = seed.head()
      await seed.close()
      const bytes = readFileSync(active(dir))
      const flipped = Buffer.from(bytes)
      flipped[bytes.length - 1] = 0x0b
      for (const found of [bytes.subarray(0, -1), flipped]) {
        writeFileSync(active(dir), found)
        const ledger = open(dir)
        expect(ledger.head()).toEqual(head)
        expect(ledger.opened.cut).toEqual([])
        expect(readFileSync(active(dir)).equals(bytes)).toBe(true)
        await ledger.close()
      }
    }))

  it('is found behind any number of bytes', () =>
    inDirectory(async (dir) => {
      const seed = open(dir)
      for (let n = 0; n < 30; n += 1) {
        seed.append(Array.from({ length: 100 }, (_, i) => accept(100 * n + i)))
      }
      const head = seed.head()
      await seed.close()
      appendFileSync(active(dir), Buffer.alloc(700_000))
      const ledger = open(dir)
      expect(ledger.head()).toEqual(head)
      expect(ledger.opened.cut).toHaveLength(1)
      await ledger.close()
      expect((await replayLedger(dir, nobody)).lines).toBe(3001)
    }))

  it('of a file that never got its first line leads to a new first line', () =>
    inDirectory(async (dir) => {
      writeFileSync(active(dir), '{"v":1,"seq":1,"at":"20')
      const ledger = open(dir)
      expect(ledger.head().seq).toBe(1n)
      expect(ledger.opened).toMatchObject({ created: true, cut: [expect.any(String)] })
      await ledger.close()
      const report = await replayLedger(dir, nobody)
      expect([report.lines, report.damaged]).toEqual([1, []])
    }))
})

describe('a disk that takes no lines', () => {
  it('keeps them in order in memory until it does', () =>
    inDirectory(async (dir) => {
      let [point, broken] = ['ledger.append.before', false]
      const faults = faultsThat((reached) => {
        if (broken && reached === point) throw new Error('no space')
      })
      const ledger = open(dir, { faults })
      for (point of ['ledger.append.before', 'ledger.append.after']) {
        const next = ledger.nextSeq()
        const before = ledger.head()
        broken = true
        expect(() => ledger.append(mixed)).toThrow(/wait in memory/)
        expect(() => ledger.append([settle(2, 2n)])).toThrow(/wait in memory/)
        expect(ledger.state()).toBe('failed')
        expect(ledger.trouble()).toBe('5 lines wait for the disk: no space')
        expect(ledger.waiting()).toBe(5)
        expect(ledger.nextSeq()).toBe(next + 5n)
        expect(ledger.head()).toEqual(before)
        expect(ledger.find(next)).toBeUndefined()
        expect(ledger.retry()).toBe(false)
        broken = false
        expect(ledger.retry()).toBe(true)
        expect(ledger.state()).toBe('ok')
        expect(ledger.find(next + 4n)?.entry).toEqual(settle(2, 2n))
      }
      await ledger.close()
      const report = await replayLedger(dir, nobody)
      expect(report.damaged).toEqual([])
      expect(report.lines).toBe(11)
    }))

  it('takes a file that was moved away or replaced for such a disk, until it is back', () =>
    inDirectory(async (dir) => {
      const ledger = open(dir)
      ledger.append([accept(1)])
      const [path, aside] = [active(dir), join(dir, 'aside')]
      for (const replacement of [undefined, 'another file']) {
        const next = ledger.nextSeq()
        renameSync(path, aside)
        if (replacement !== undefined) writeFileSync(path, replacement)
        expect(() => ledger.append([accept(2)])).toThrow(/wait in memory/)
        expect(ledger.state()).toBe('failed')
        expect(ledger.trouble()).toMatch(/not in its place any more/)
        expect(ledger.retry()).toBe(false)
        renameSync(aside, path)
        expect(ledger.retry()).toBe(true)
        expect(ledger.state()).toBe('ok')
        expect(ledger.find(next)?.entry).toEqual(accept(2))
      }
      await ledger.close()
      expect((await replayLedger(dir, nobody)).lines).toBe(4)
    }))

  it('stops the ledger when more waits than memory may hold', () =>
    inDirectory(async (dir) => {
      let broken = false
      const faults = faultsThat(() => {
        if (broken) throw new Error('no space')
      })
      const ledger = open(dir, { faults })
      broken = true
      const long = { ...accept(1), routeRequestId: 'x'.repeat(7 * 1024 * 1024) }
      for (let n = 0; n < 9; n += 1) expect(() => ledger.append([long])).toThrow(/wait in memory/)
      expect(() => ledger.append([long])).toThrow(/too many lines wait/)
      expect(ledger.state()).toBe('stopped')
      await ledger.close()
      expect((await replayLedger(dir, nobody)).lines).toBe(1)
    }))

  it('loses nothing when the limit of the file is met in the middle of a line', () =>
    inDirectory(async (dir) => {
      const child = fileURLToPath(new URL('./ledger-full-disk.ts', import.meta.url))
      const script = `ulimit -f 20; trap '' XFSZ; exec "${process.execPath}" --import tsx "${child}" "${dir}"`
      const run = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
      expect(run.stderr).toBe('')
      const { taken, waiting, state, size } = JSON.parse(run.stdout) as Record<string, number>
      expect({ waiting, state }).toEqual({ waiting: 1, state: 'failed' })
      expect(size).toBe(20 * 1024)
      const head = BigInt(taken ?? 0) + 1n
      const ledger = open(dir)
      expect(ledger.head().seq).toBe(head)
      expect(ledger.opened.cut).toHaveLength(1)
      expect(ledger.append([accept(5)])).toEqual([head + 1n])
      await ledger.close()
      expect((await replayLedger(dir, nobody)).damaged).toEqual([])
    }))

  it('is survived in the middle of a rotation', () =>
    inDirectory(async (dir) => {
      for (const point of ['ledger.rotate:2', 'ledger.rotate:4', 'ledger.rotate:5']) {
        let broken = true
        const faults = faultsThat((reached) => {
          if (broken && reached === point) throw new Error('no space')
        })
        const ledger = open(dir, { faults, maxSegmentBytes: 1500 })
        const before = ledger.nextSeq()
        for (let n = 0; n < 3; n += 1) {
          if (ledger.state() === 'ok') ledger.append([accept(n)])
          else expect(() => ledger.append([accept(n)])).toThrow(/wait in memory/)
        }
        expect(ledger.state()).toBe(point === 'ledger.rotate:2' ? 'ok' : 'failed')
        broken = false
        expect(ledger.retry()).toBe(true)
        const next = ledger.nextSeq()
        expect(ledger.append([accept(9)])).toEqual([next])
        await ledger.close()
        const found: bigint[] = []
        const report = await replayLedger(dir, ({ kind, seq }) => {
          if (kind === 'accept' && seq >= before) found.push(seq)
        })
        expect(report.damaged, point).toEqual([])
        expect(found, point).toHaveLength(4)
      }
    }))
})

describe('a failed sync', () => {
  it('stops the ledger for good, wherever it was called', () =>
    inDirectory(async (dir) => {
      for (const point of ['ledger.sync.before', 'ledger.rotate:1', 'ledger.rotate:3']) {
        const faults = faultsThat((reached) => {
          if (reached === point) throw new Error('EIO')
        })
        const maxSegmentBytes = point === 'ledger.sync.before' ? 1_000_000 : 1
        const ledger = open(dir, { faults, maxSegmentBytes })
        const work = (): void => {
          ledger.append([accept(1)])
          ledger.sync()
        }
        expect(work).toThrow(/a sync failed/)
        expect(ledger.state()).toBe('stopped')
        expect(() => ledger.append([accept(2)])).toThrow(/a sync failed/)
        expect(() => ledger.retry()).toThrow(/a sync failed/)
        expect(() => ledger.sync()).toThrow(/a sync failed/)
        await ledger.close()
        await open(dir).close()
        const report = await replayLedger(dir, nobody)
        expect(report.damaged, point).toEqual([])
      }
    }))
})

describe('the witness on another disk', () => {
  it('holds the head of the last sync in 78 bytes', () =>
    inDirectory(async (dir) => {
      const witnessPath = join(dir, 'witness')
      const ledger = open(dir, { witnessPath })
      ledger.append(mixed)
      ledger.sync()
      const head = ledger.head()
      await ledger.close()
      const text = readFileSync(witnessPath, 'latin1')
      expect(text).toBe(`           5 ${head.hash}\n`)
      expect(text).toHaveLength(78)
      expect(statSync(witnessPath).mode & 0o777).toBe(0o600)
      const again = open(dir, { witnessPath })
      await again.witnessCompared()
      expect(again.witness()).toEqual({ kind: 'ok', seq: 5n })
      await again.close()
    }))

  it('contradicts a ledger that is shorter or another one, and is kept until that is acknowledged', () =>
    inDirectory(async (dir) => {
      const witnessPath = join(dir, 'witness')
      const seed = open(dir)
      seed.append(mixed)
      await seed.close()
      for (const witnessed of [
        { seq: 6n, hash: '1'.repeat(64) },
        { seq: 5n, hash: '1'.repeat(64) },
      ]) {
        writeFileSync(witnessPath, formatHead(witnessed))
        const ledger = open(dir, { witnessPath })
        await ledger.witnessCompared()
        expect(ledger.witness()).toEqual({ kind: 'contradicts', witnessed })
        ledger.append([accept(20)])
        ledger.sync()
        await ledger.close()
        expect(readFileSync(witnessPath, 'latin1')).toBe(formatHead(witnessed))
        const later = open(dir, { witnessPath })
        await later.witnessCompared()
        later.acknowledgeWitness()
        await later.close()
        expect(readFileSync(witnessPath, 'latin1')).toBe(formatHead(later.head()))
        truncateSync(witnessPath)
      }
    }))

  it('never hinders the ledger when it cannot be written, and leaves a foreign file alone', () =>
    inDirectory(async (dir) => {
      const lost = open(dir, { witnessPath: join(dir, 'no', 'such', 'folder') })
      lost.append([accept(1)])
      lost.sync()
      await lost.witnessCompared()
      expect(lost.witness().kind).toBe('failing')
      expect(lost.state()).toBe('ok')
      await lost.close()
      const witnessPath = join(dir, 'letters')
      writeFileSync(witnessPath, 'dear diary\n')
      const foreign = open(dir, { witnessPath })
      await foreign.witnessCompared()
      foreign.append([accept(2)])
      foreign.sync()
      await foreign.close()
      expect(readFileSync(witnessPath, 'utf8')).toBe('dear diary\n')
      expect(foreign.witness().kind).toBe('foreign')
    }))
})
