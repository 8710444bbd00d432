import { describe, expect, it } from 'vitest'
import { silent } from '../../src/base/log.js'
import { loadConfig } from '../../src/config.js'
import type { StoreReadiness } from '../../src/covenant/store.js'
import { requireFit } from '../../src/daemon/engine-fit.js'
import { createParts } from '../../src/daemon/parts.js'
import { watchStore } from '../../src/daemon/store-watch.js'
import { manualTime } from '../../src/testing/manual-time.js'

const noHeights = () => Promise.resolve([])
const verifies = { verifySignerApproval: () => Promise.resolve(), heights: noHeights }

describe('what the engine must be able to do', () => {
  const covenantSigner = loadConfig({ env: {} }).covenantSigner

  it('is nothing on loopback without trust roots; then it says what is not checked', () => {
    expect(requireFit({ covenantSigner }, {})).toHaveLength(1)
    expect(requireFit({ covenantSigner }, verifies)).toEqual([])
    const bracketed = { ...covenantSigner, listenAddress: '[::1]' }
    expect(requireFit({ covenantSigner: bracketed }, {})).toHaveLength(1)
  })

  it.each([
    ['requireApprovalTrustRoots', { requireApprovalTrustRoots: true }],
    ['listenAddress', { listenAddress: '0.0.0.0' }],
    [
      'migrationPlanQuoteTrustRoots',
      { migrationPlanQuoteTrustRoots: [{ keyId: 'k', publicKeyPem: 'p' }] },
    ],
  ])('is to verify where %s asks for it', (name, change) => {
    const changed = { covenantSigner: { ...covenantSigner, ...change } }
    expect(() => requireFit(changed, { heights: noHeights })).toThrow(
      expect.objectContaining({
        code: 'ConfigRefused',
        problems: [expect.objectContaining({ key: `covenantSigner.${name}` })],
      }),
    )
    expect(requireFit(changed, verifies)).toEqual([])
  })

  it('is to report heights when it verifies', () => {
    const { verifySignerApproval } = verifies
    expect(() => requireFit({ covenantSigner }, { verifySignerApproval })).toThrow(RangeError)
  })
})

describe('the parts of a daemon', () => {
  it('are closed last first, each one also when another fails', async () => {
    const parts = createParts(silent)
    const closed: string[] = []
    for (const name of ['first', 'second', 'third']) {
      parts.add(name, () => {
        closed.push(name)
        if (name !== 'first') throw new RangeError(name)
      })
    }
    const unclosed = await parts.closeAll(10_000)
    expect(closed).toEqual(['third', 'second', 'first'])
    expect(unclosed).toMatchObject({ name: 'third', cause: new RangeError('third') })
    expect(await createParts(silent).closeAll(10_000)).toBeUndefined()
  })

  it('are waited for as long as they are given, and named', async () => {
    const parts = createParts(silent)
    parts.add('stuck', () => new Promise<void>(() => undefined))
    expect(await parts.closeAll(1)).toEqual({ name: 'stuck', cause: undefined })
  })
})

describe('the watch over the job store', () => {
  it('tells of a check when it turns, and once of a dead database', () => {
    const time = manualTime(0)
    const said: (readonly [string, unknown, unknown])[] = []
    const dead: string[] = []
    const bad = new Set<string>()
    const checkOf = (name: 'database' | 'ledger'): StoreReadiness['checks'][number] => {
      return { name, ok: !bad.has(name), detail: `${name} detail`, remedy: 'Wait.' }
    }
    const stop = watchStore({
      store: {
        readiness: () => ({
          newKeys: bad.size === 0,
          checks: [checkOf('database'), checkOf('ledger')],
        }),
      },
      scheduler: time,
      log: {
        info: (fields) => void said.push(['info', fields.check, fields.newKeys]),
        warn: (fields) => void said.push(['warn', fields.check, fields.newKeys]),
      },
      onDead: (detail) => void dead.push(detail),
    })
    time.advance(3000)
    bad.add('ledger')
    time.advance(5000)
    bad.delete('ledger')
    time.advance(5000)
    expect(said).toEqual([
      ['warn', 'ledger', false],
      ['info', 'ledger', true],
    ])
    bad.add('database')
    time.advance(5000)
    expect(dead).toEqual(['database detail'])
    expect(said).toHaveLength(3)
    stop()
  })
})
