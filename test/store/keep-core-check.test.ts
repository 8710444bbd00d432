import { spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { linkSync, mkdirSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keepCoreFileBytesMax } from '../../src/base/limits.js'
import { lockByFlock } from '../../src/base/lock-file.js'
import type { Job, RequestId } from '../../src/covenant/job.js'
import { checkKeepCore } from '../../src/store/keep-core/check.js'
import { parseInstant } from '../../src/store/keep-core/instant.js'
import { fileNameOf } from '../../src/store/keep-core/job-file.js'
import type { Verdicts } from '../../src/store/keep-core/verdicts.js'
import {
  fileText,
  KeepCoreDirectory,
  keepCoreJob,
  readyJob,
  stateBelow,
} from './keep-core-files.js'

let keep: KeepCoreDirectory

beforeEach(() => {
  keep = new KeepCoreDirectory()
})
afterEach(() => keep.remove())

const check = (): Promise<Verdicts> => checkKeepCore(keep.path)
const files = (list: readonly { readonly file: string }[]): string[] => list.map(({ file }) => file)
const one = keepCoreJob(1)
const keyOf = ({ route, routeRequestId }: Job) => ({ route, routeRequestId })
const nameOf = (job: Job): string => fileNameOf(job.requestId)
/** A job of the same key as `one` under another id. */
const rival = (changes: Partial<Job>): Job =>
  keepCoreJob(2, { routeRequestId: one.routeRequestId, ...changes })

describe('places and locks', () => {
  it('H1, H8: loads every job file of the flat directory and ignores other files', async () => {
    keep.put(one)
    keep.put(readyJob(2))
    keep.putText('.lock', '')
    keep.putText('.holdfast-0000000000000000.tmp', '{')
    keep.putText(`${nameOf(keepCoreJob(3))}.bak`, '{')
    const { loaded, superseded, quarantined } = await check()
    expect(files(loaded)).toEqual([nameOf(one), nameOf(readyJob(2))].sort())
    expect(loaded.find(({ file }) => file === nameOf(one))?.key).toEqual(keyOf(one))
    expect([superseded, quarantined]).toEqual([[], []])
  })

  it('takes the jobs directory itself, and then also what its keep-core would move there', async () => {
    keep.put(one)
    keep.putLegacy(keepCoreJob(2))
    const whole = await check()
    expect(whole.loaded).toHaveLength(2)
    expect(await checkKeepCore(keep.jobs)).toEqual(whole)
    const elsewhere = join(keep.parent, 'copy')
    renameSync(keep.jobs, elsewhere)
    expect(files((await checkKeepCore(elsewhere)).loaded)).toEqual([nameOf(one)])
  })

  it('H2: reads jobs of the legacy directory without moving them', async () => {
    const job = keepCoreJob(5)
    keep.putLegacy(job)
    const before = stateBelow(keep.path)
    const first = await check()
    expect(files(first.loaded)).toEqual([join('covenant-signer', 'jobs', nameOf(job))])
    expect(await check()).toEqual(first)
    expect(stateBelow(keep.path)).toEqual(before)
  })

  it('leaves every byte, mode and time of the source as it is, and makes no lock file', async () => {
    keep.put(one)
    keep.put(rival({ updatedAt: '2026-02-02T00:00:00Z' }))
    keep.putText('torn.json', '{"requestId":')
    symlinkSync(join(keep.parent, 'nowhere'), join(keep.jobs, 'link.json'))
    const before = stateBelow(keep.path)
    const { quarantined } = await check()
    expect(files(quarantined)).toEqual(['link.json', 'torn.json'])
    expect(stateBelow(keep.path)).toEqual(before)
  })

  it('H7: refuses while keep-core holds its lock, in a text with the word lock, and reads afterwards', async () => {
    keep.put(one)
    const lockPath = keep.putText('.lock', '')
    const holder = spawn('flock', ['-x', lockPath, 'sh', '-c', 'echo held; cat'])
    try {
      await once(holder.stdout, 'data')
      await expect(check()).rejects.toMatchObject({
        code: 'KeepCoreLocked',
        message: expect.stringContaining('lock is held'),
      })
    } finally {
      holder.stdin.end()
      await once(holder, 'exit')
    }
    for (let round = 0; round < 3; round += 1) expect((await check()).loaded).toHaveLength(1)
    const free = lockByFlock(lockPath)
    expect(free).toBeDefined()
    free?.close()
  })

  it('refuses when a keep-core makes its lock file while the files are read', async () => {
    keep.put(one)
    const started = (): void => writeFileSync(join(keep.jobs, '.lock'), '')
    await expect(checkKeepCore(keep.path, { onProgress: started })).rejects.toMatchObject({
      code: 'KeepCoreLocked',
    })
  })

  it('refuses what is no directory, and finds nothing in an empty one', async () => {
    await expect(checkKeepCore(join(keep.parent, 'none'))).rejects.toMatchObject({
      code: 'KeepCoreUnreadable',
    })
    await expect(checkKeepCore(keep.put(one))).rejects.toMatchObject({ code: 'KeepCoreUnreadable' })
    const empty = join(keep.parent, 'empty')
    mkdirSync(empty)
    expect(await checkKeepCore(empty)).toEqual({ loaded: [], superseded: [], quarantined: [] })
  })
})

describe('two files of one route key', () => {
  const table: readonly [string, Partial<Job>, Partial<Job>, 'first' | 'second', string][] = [
    [
      'H3: the later time wins',
      { updatedAt: '2026-01-02T03:04:05Z' },
      { updatedAt: '2026-01-02T03:04:06Z' },
      'second',
      'laterTime',
    ],
    [
      'a nanosecond decides',
      { updatedAt: '2026-01-02T03:04:05.000000002Z' },
      { updatedAt: '2026-01-02T03:04:05.000000001Z' },
      'first',
      'laterTime',
    ],
    [
      'offsets are reckoned in',
      { updatedAt: '2026-01-02T03:04:05+02:00' },
      { updatedAt: '2026-01-02T02:04:05Z' },
      'second',
      'laterTime',
    ],
    [
      'H4: a valid time wins over an invalid one',
      { updatedAt: 'yesterday' },
      { updatedAt: '1999-01-01T00:00:00Z' },
      'second',
      'validTime',
    ],
    [
      'H4: in the other order too',
      { updatedAt: '1999-01-01T00:00:00Z' },
      { updatedAt: '2026-02-30T00:00:00Z' },
      'first',
      'validTime',
    ],
  ]

  it.each(table)('%s', async (_, first, second, winner, rule) => {
    const [a, b] = [keepCoreJob(1, first), rival(second)]
    keep.put(a)
    keep.put(b)
    const { loaded, superseded, quarantined } = await check()
    const [wins, loses] = winner === 'first' ? [a, b] : [b, a]
    expect(loaded.map(({ requestId }) => requestId)).toEqual([wins.requestId])
    expect(superseded).toMatchObject([{ requestId: loses.requestId, by: wins.requestId, rule }])
    expect(quarantined).toEqual([])
  })

  it.each([
    ['never', 'sometimes'],
    ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.0Z'],
  ])('the smaller request id wins between %s and %s', async (first, second) => {
    const [a, b] = [keepCoreJob(1, { updatedAt: first }), rival({ updatedAt: second })]
    keep.put(a)
    keep.put(b)
    const [smaller, larger] = [a.requestId, b.requestId].sort()
    const { loaded, superseded } = await check()
    expect(loaded.map(({ requestId }) => requestId)).toEqual([smaller])
    expect(superseded).toMatchObject([{ requestId: larger, by: smaller, rule: 'smallerId' }])
  })

  it('a lone job with an invalid time loads', async () => {
    keep.put(keepCoreJob(1, { updatedAt: '' }))
    expect((await check()).loaded).toHaveLength(1)
  })
})

describe('damaged files', () => {
  const id = one.requestId
  const everything = { keys: [], outpoints: [], everyNewKey: true }
  const itsKey = { keys: [keyOf(one)], outpoints: [one.outpoint], everyNewKey: false }
  const table: readonly [string, string, object, string | Uint8Array, string?][] = [
    ['an empty file', 'malformed', everything, ''],
    ['a truncated file', 'malformed', everything, fileText(one).slice(0, -40)],
    ['a file of zeros', 'malformed', everything, new Uint8Array(64)],
    ['two values', 'malformed', everything, `${fileText(one)}${fileText(one)}`],
    ['a list', 'malformed', everything, '[]'],
    ['an empty object', 'emptyObject', everything, '{}'],
    ['null', 'emptyObject', everything, 'null'],
    ['a repeated key', 'malformed', everything, fileText(one, '{', '{"state":"FAILED",')],
    [
      'broken UTF-8',
      'malformed',
      everything,
      Buffer.from(fileText(one, 'facade', 'f\u00ff')).map((byte) => (byte === 0xbf ? 0xff : byte)),
    ],
    ['no request id', 'malformed', itsKey, fileText(one, `"requestId":"${id}",`, '')],
    [
      'a request id in another form',
      'malformed',
      { ...itsKey, everyNewKey: true },
      fileText(one, id, 'kcs_self_1'),
    ],
    [
      'no route',
      'malformed',
      { ...everything, outpoints: [one.outpoint] },
      fileText(one, '"route":"self_v1",', ''),
    ],
    [
      'an unknown route',
      'malformed',
      { ...everything, outpoints: [one.outpoint] },
      fileText(one, '"route":"self_v1"', '"route":"self_v9"'),
    ],
    ['no state', 'malformed', itsKey, fileText(one, '"state":"PENDING",', '')],
    ['an unknown state', 'malformed', itsKey, fileText(one, '"PENDING"', '"PENDINF"')],
    [
      'an unknown reason',
      'malformed',
      itsKey,
      fileText(one, '"createdAt"', '"reason":"BAD","createdAt"'),
    ],
    ['an unknown field', 'malformed', itsKey, fileText(one, '"state"', '"newField":1,"state"')],
    [
      'a digest of another length',
      'malformed',
      itsKey,
      fileText(one, '"requestDigest":"0x', '"requestDigest":"0x00'),
    ],
    [
      'another digest',
      'digestDiffers',
      itsKey,
      fileText(one, one.requestDigest, `0x${'00'.repeat(32)}`),
    ],
    [
      'a changed request',
      'digestDiffers',
      itsKey,
      fileText(one, '"epoch":18446744073709551615', '"epoch":18446744073709551614'),
    ],
    [
      'a request that does not decode',
      'undecodableRequest',
      itsKey,
      fileText(one, '"epoch":1', '"epoch":-1'),
    ],
    [
      'a request of another route',
      'undecodableRequest',
      { ...itsKey, keys: [{ ...keyOf(one), route: 'qc_v1' }] },
      fileText(one, '"route":"self_v1"', '"route":"qc_v1"'),
    ],
    [
      'no request',
      'undecodableRequest',
      { ...itsKey, outpoints: [] },
      fileText(one).replace(/"request":.*/, '"request":null}'),
    ],
    [
      'a number in the handoff that a double cannot hold',
      'malformed',
      itsKey,
      fileText(
        readyJob(1, { handoff: { sighashType: 1 } }),
        '"sighashType":1',
        '"sighashType":1.5',
      ),
    ],
    [
      'a name that is not its id',
      'nameDiffers',
      { ...itsKey, everyNewKey: false },
      fileText(one),
      'copy of a job.json',
    ],
    [
      'the name of another id',
      'nameDiffers',
      { ...itsKey, everyNewKey: true },
      fileText(one),
      nameOf(keepCoreJob(9)),
    ],
  ]

  it.each(table)('sets %s aside', async (_, code, blocks, content, name = nameOf(one)) => {
    keep.putText(name, content)
    const healthy = keepCoreJob(7)
    keep.put(healthy)
    const { loaded, superseded, quarantined } = await check()
    expect(quarantined).toMatchObject([{ file: name, code, blocks }])
    expect(quarantined[0]?.reason).not.toBe('')
    expect(files(loaded)).toEqual([nameOf(healthy)])
    expect(superseded).toEqual([])
  })

  it('sets links, directories and files beyond the bound aside without reading them', async () => {
    const [large, link, directory] = [11, 12, 13].map((number) => nameOf(keepCoreJob(number)))
    truncateSync(keep.putText(String(large), ''), keepCoreFileBytesMax + 1)
    keep.put(one)
    symlinkSync(nameOf(one), join(keep.jobs, String(link)))
    mkdirSync(join(keep.jobs, String(directory)))
    const { loaded, quarantined } = await check()
    expect(files(loaded)).toEqual([nameOf(one)])
    const codes = new Map(quarantined.map(({ file, code, blocks }) => [file, { code, blocks }]))
    expect(codes).toEqual(
      new Map([
        [large, { code: 'tooLarge', blocks: everything }],
        [link, { code: 'symlink', blocks: everything }],
        [directory, { code: 'unreadable', blocks: everything }],
      ]),
    )
  })

  it('a file that cannot be parsed closes only its own key when another witness knows its id', async () => {
    keep.putText(nameOf(one), '{')
    const known = { key: keyOf(one), outpoint: one.outpoint }
    const asked: RequestId[] = []
    const findKey = async (requestId: RequestId) => {
      asked.push(requestId)
      return known
    }
    const { quarantined } = await checkKeepCore(keep.path, { findKey })
    expect(quarantined).toMatchObject([{ code: 'malformed', blocks: itsKey }])
    expect(asked).toEqual([one.requestId])
  })

  it('a copy in the legacy directory is a witness for a torn file, and both are set aside', async () => {
    keep.putText(nameOf(one), fileText(one).slice(0, 100))
    keep.putLegacy(one)
    const { loaded, quarantined } = await check()
    expect(loaded).toEqual([])
    expect(quarantined.map(({ code, blocks }) => ({ code, blocks }))).toEqual([
      { code: 'sharedId', blocks: itsKey },
      { code: 'malformed', blocks: itsKey },
    ])
  })

  it('two files with one id that say different things are both set aside', async () => {
    keep.put(one)
    keep.putText('second.json', fileText(keepCoreJob(1, { detail: 'another' })))
    const { loaded, quarantined } = await check()
    expect(loaded).toEqual([])
    expect(quarantined.map(({ file, code, blocks }) => ({ file, code, blocks }))).toEqual([
      { file: nameOf(one), code: 'sharedId', blocks: itsKey },
      { file: 'second.json', code: 'nameDiffers', blocks: itsKey },
    ])
  })

  it('a copy with the same bytes costs nothing: in the legacy directory it is superseded', async () => {
    keep.put(one)
    mkdirSync(keep.legacy, { recursive: true })
    linkSync(join(keep.jobs, nameOf(one)), join(keep.legacy, nameOf(one)))
    linkSync(join(keep.jobs, nameOf(one)), join(keep.jobs, 'backup.json'))
    const { loaded, superseded, quarantined } = await check()
    expect(files(loaded)).toEqual([nameOf(one)])
    expect(superseded).toMatchObject([{ by: one.requestId, rule: 'sameFile' }])
    const nothing = { keys: [], outpoints: [], everyNewKey: false }
    expect(quarantined).toMatchObject([
      { file: 'backup.json', code: 'nameDiffers', blocks: nothing },
    ])
  })

  it('a healthy file whose key a damaged one claims is set aside too', async () => {
    keep.putText(nameOf(one), fileText(one, '"PENDING"', '"PENDINF"'))
    const other = rival({ updatedAt: '2030-01-01T00:00:00Z' })
    keep.put(other)
    const { loaded, quarantined } = await check()
    expect(loaded).toEqual([])
    expect(quarantined.map(({ code }) => code).sort()).toEqual(['contestedKey', 'malformed'])
  })
})

describe('any set of files', () => {
  const times = [
    '2026-01-02T03:04:05Z',
    '2026-01-02T03:04:05.5Z',
    '2026-01-02T04:04:05+01:00',
    'never',
    '',
  ]
  const file = fc.record({
    id: fc.nat(5),
    key: fc.nat(2),
    time: fc.nat(times.length - 1),
    harm: fc.constantFrom('', '', '', '', 'torn', 'state', 'rename', 'legacy'),
  })

  it('gives every file one verdict, the same in any order, and no key two jobs', async () => {
    const sets = fc.array(file, { maxLength: 7 })
    await fc.assert(
      fc.asyncProperty(sets, fc.string(), async (specs, salt) => {
        const jobs = lastOfEachName(
          specs.map(({ id, key, time, harm }) => ({
            harm,
            job: keepCoreJob(id, { routeRequestId: `key ${key}`, updatedAt: times[time] ?? '' }),
          })),
        )
        const rank = (made: Made): string => hash('sha256', salt + labelOf(made))
        const shuffled = [...jobs].sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
        const first = await verdictsOf(jobs)
        expect(await verdictsOf(shuffled)).toEqual(first)
        const { loaded, superseded, quarantined } = first
        expect([...loaded, ...superseded, ...quarantined].map((one) => one[0]).sort()).toEqual(
          jobs.map(labelOf).sort(),
        )
        expect(winnersOf(jobs)).toEqual(loaded.map(([, winner]) => winner).sort())
      }),
      { numRuns: 150 },
    )
  })

  type Made = { readonly harm: string; readonly job: Job }

  function labelOf({ harm, job }: Made): string {
    if (harm === 'rename') return `x${nameOf(job)}`
    return harm === 'legacy' ? join('covenant-signer', 'jobs', nameOf(job)) : nameOf(job)
  }

  function lastOfEachName(jobs: readonly Made[]): readonly Made[] {
    return [...new Map(jobs.map((made) => [labelOf(made), made])).values()]
  }

  async function verdictsOf(jobs: readonly Made[]) {
    const place = new KeepCoreDirectory()
    try {
      for (const made of jobs) {
        const { harm, job } = made
        if (harm === 'legacy') place.putLegacy(job)
        else if (harm === 'torn') place.putText(labelOf(made), '{"requestId":"')
        else if (harm === 'state') place.putText(labelOf(made), fileText(job, '"PENDING"', '"?"'))
        else place.putText(labelOf(made), fileText(job))
      }
      const { loaded, superseded, quarantined } = await checkKeepCore(place.path)
      return {
        loaded: loaded.map(({ file, requestId }) => [file, String(requestId)] as const),
        superseded: superseded.map(({ file, by, rule }) => [file, by, rule] as const),
        quarantined: quarantined.map(({ file, code, blocks }) => [file, code, blocks] as const),
      }
    } finally {
      place.remove()
    }
  }

  /** Ids that load, from the rules and not from the code: one healthy file per id, the best of each key. */
  function winnersOf(jobs: readonly Made[]): string[] {
    const text = ({ harm, job }: Made): string =>
      harm === 'torn' ? '{' : `${harm === 'state'}${fileText(job)}`
    const claims = (id: string): Made[] => jobs.filter(({ job }) => job.requestId === id)
    const disputed = ({ job }: Made): boolean => new Set(claims(job.requestId).map(text)).size > 1
    const healthy = jobs.filter((made) => ['', 'legacy'].includes(made.harm) && !disputed(made))
    const echoes = jobs.filter(
      (made) => made.harm === 'rename' && healthy.some((one) => text(one) === text(made)),
    )
    const bad = jobs.filter((made) => !healthy.includes(made) && !echoes.includes(made))
    const closed = new Set(
      bad.filter((made) => made.harm !== 'torn').map(({ job }) => job.routeRequestId),
    )
    const best = new Map<string, Job>()
    for (const { job } of healthy) {
      if (closed.has(job.routeRequestId)) continue
      const known = best.get(job.routeRequestId)
      if (known === undefined || better(job, known)) best.set(job.routeRequestId, job)
    }
    return [...best.values()].map(({ requestId }) => String(requestId)).sort()
  }

  function better(a: Job, b: Job): boolean {
    const ms = (job: Job): number => {
      const parsed = Date.parse(job.updatedAt)
      return Number.isNaN(parsed) ? -1 : parsed
    }
    return ms(a) === ms(b) ? a.requestId < b.requestId : ms(a) > ms(b)
  }
})

describe('times', () => {
  it.each([
    ['1970-01-01T00:00:00Z', 0n],
    ['1969-12-31T23:59:59.999999999Z', -1n],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000_000_000n],
    ['2024-02-29T23:59:59.1+14:00', 1_709_200_799_100_000_000n],
    ['2026-01-02T03:04:05,25Z', 1_767_323_045_250_000_000n],
    ['2026-01-02T03:04:05.0000000019Z', 1_767_323_045_000_000_001n],
  ])('reads %s', (text, nanoseconds) => {
    expect(parseInstant(text)).toBe(nanoseconds)
  })

  it.each([
    '2026-01-02',
    '2026-01-02T03:04:05',
    '2026-01-02t03:04:05Z',
    '2026-01-02T03:04:05z',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-02T24:00:00Z',
    '2026-01-02T03:60:05Z',
    '2026-01-02T03:04:60Z',
    '2026-01-02T03:04:05.Z',
    '2026-01-02T03:04:05+0100',
    '2026-01-02T03:04:05+01:60',
    ' 2026-01-02T03:04:05Z',
    '12026-01-02T03:04:05Z',
  ])('does not take %s for a time', (text) => {
    expect(parseInstant(text)).toBeUndefined()
  })
})
