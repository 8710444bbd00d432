import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/covenant/engine.js'
import {
  type ApprovalPayload,
  approvalDigest,
  approvalStructHash,
  planQuoteDigest,
  planQuotePreimage,
} from '../../src/covenant/index.js'
import type { Job } from '../../src/covenant/job.js'
import { validateSubmit } from '../../src/covenant/validate.js'
import { type ScriptedEngine, scriptedEngine } from '../../src/testing/scripted-engine.js'
import { draftOf, makeContext, makeSubmit, some, testDomain } from './factory.js'
import { World } from './service-world.js'

describe('digests that no vector of this repository has', () => {
  it('of an approval of version 1 is its bare struct hash, as the specification gives it (A5)', () => {
    const payload: ApprovalPayload = {
      approvalVersion: 1,
      route: 'qc_v1',
      scriptTemplateId: 'qc_v1',
      destinationCommitmentHash:
        '0x913b832b3736a29966fd53f8a733a7587b150d3dfacb1c2d54994c1d3e56cdf9',
      planCommitmentHash: '0xc14b6b7c58211ceaee8f57a39c07481d9835ef959dbd6a02908312db4cf3c969',
    }
    const bare = '0xa6ffb42318a8e8b3b9669324ee5ad393133afcc9cc81044739cbaa77d5fa34c9'
    expect(approvalStructHash(payload)).toBe(bare)
    expect(approvalDigest(payload, testDomain)).not.toBe(bare)
  })

  it('of a quote covers these fields in this order, lower-cased and trimmed (A15)', () => {
    const { request } = makeSubmit({ quote: true })
    const quote = some(request.migrationPlanQuote)
    const text =
      `{"quoteVersion":1,"quoteId":"cmdq_rf_1","reservationId":"cmdr_12345678",` +
      `"reserve":"0x${'1'.repeat(40)}","epoch":12,"route":"MIGRATION","revealer":"0x${'2'.repeat(40)}",` +
      `"vault":"0x${'3'.repeat(40)}","network":"regtest",` +
      `"destinationCommitmentHash":"${request.destinationCommitmentHash}",` +
      `"activeOutpointTxid":"${request.activeOutpoint.txid}","activeOutpointVout":1,` +
      `"planCommitmentHash":"${request.migrationTransactionPlan?.planCommitmentHash}",` +
      `"issuedAt":"2026-01-02T03:04:05.678Z","expiresAt":"2026-01-02T03:19:05.678Z","expiresInSeconds":900}`
    expect(planQuotePreimage(quote)).toBe(`migration-plan-quote-v1:${text}`)
    const shouted = {
      ...quote,
      quoteId: ` ${quote.quoteId}\n`,
      network: ' regtest ',
      destinationCommitmentHash: `0x${quote.destinationCommitmentHash.slice(2).toUpperCase()}`,
      idempotencyKey: 'not covered',
    }
    expect(planQuoteDigest(shouted)).toBe(planQuoteDigest(quote))
  })
})

describe('a plan', () => {
  it('that was made for another destination is refused, though it is sound there (C3)', () => {
    const context = makeContext()
    const here = draftOf(makeSubmit())
    const there = makeSubmit({
      edit: (request) => {
        some(request.migrationDestination).vault = `0x${'6'.repeat(40)}`
      },
    })
    expect(there.request.destinationCommitmentHash).not.toBe(here.request.destinationCommitmentHash)
    validateSubmit(there, 'self_v1', context)
    here.request.migrationTransactionPlan = draftOf(some(there.request.migrationTransactionPlan))
    expect(() => validateSubmit(here, 'self_v1', context)).toThrow(
      'request.migrationTransactionPlan.planCommitmentHash does not match canonical migration transaction plan',
    )
  })
})

/** An engine whose methods need the object that they belong to. */
class ValuedEngine implements ScriptedEngine {
  readonly script: ScriptedEngine['script']
  readonly seen: string[] = []
  readonly #inner: ScriptedEngine
  readonly #value: string

  constructor(value: string) {
    this.#inner = scriptedEngine()
    this.script = this.#inner.script
    this.#value = value
  }

  prepare(job: Job, signal: AbortSignal): ReturnType<Engine['prepare']> {
    this.seen.push(`prepare ${this.#value}`)
    return this.#inner.prepare(job, signal)
  }

  confirm(job: Job, plan: unknown, signal: AbortSignal): ReturnType<Engine['confirm']> {
    this.seen.push(`confirm ${this.#value}`)
    return this.#inner.confirm(job, plan, signal)
  }

  finish(...asked: Parameters<Engine['finish']>): ReturnType<Engine['finish']> {
    this.seen.push(`finish ${this.#value}`)
    return this.#inner.finish(...asked)
  }
}

describe('an engine', () => {
  it('finds the values that it was given in every step (G11)', async () => {
    const engine = new ValuedEngine('of this service')
    const world = new World({ engine })
    expect(await world.accept()).toMatchObject({ status: 'READY' })
    expect(engine.seen).toEqual(
      ['prepare', 'confirm', 'finish'].map((step) => `${step} of this service`),
    )
    await world.service.stop()
  })

  it('keeps its signal when a client leaves, and loses it when the service stops (G10)', async () => {
    const world = new World()
    const signals: AbortSignal[] = []
    const { prepare } = world.engine
    const engine: ScriptedEngine = {
      ...world.engine,
      prepare(job, signal) {
        signals.push(signal)
        return prepare(job, signal)
      },
    }
    await world.service.stop()
    world.service = world.openService({ engine })
    const hang = world.engine.script.prepare.hangNext()
    const client = new AbortController()
    const submitted = world.submit(makeSubmit(), client.signal)
    await hang.begun
    client.abort()
    await submitted
    await world.quiet()
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    await world.service.stop()
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })
})
