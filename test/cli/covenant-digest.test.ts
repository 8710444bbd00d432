import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DigestInputInvalid, type DigestKind, digestOf } from '../../src/cli/digest-input.js'
import { example, readVector, workedExamples } from '../covenant/vectors.js'
import { type Finished, holdfast } from './command.js'

const zeroSalt = `0x${'00'.repeat(32)}`
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-digest-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the command on a value, with a data directory that does not exist. */
function digest(kind: string, value: unknown, ...more: string[]): Finished {
  const file = join(folder, 'input.json')
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value))
  const dataDir = join(folder, 'data')
  const done = holdfast([
    ...['covenant', 'digest', '--kind', kind, file, '--json', '--data-dir', dataDir],
    ...more,
  ])
  expect(existsSync(dataDir)).toBe(false)
  return done
}

const answer = ({ status, stdout }: Finished): unknown => [status, JSON.parse(stdout)]

type Plan = { readonly name: string; readonly expectedPlanCommitmentHash: string }

describe('covenant digest', () => {
  it.each(Object.keys(workedExamples.examples))(
    'gives the digests of the worked example %s from its submit body',
    (name) => {
      const { request, requestDigest, approvalDigest } = example(name)
      const body = { routeRequestId: 'r', stage: 'SIGNER_COORDINATION', request }
      expect(answer(digest('request', body))).toEqual([0, { digest: requestDigest }])
      const domain = name.endsWith('mainnet_domain')
        ? ['--chain-id', '1']
        : ['--chain-id', '0', '--salt', zeroSalt]
      expect(answer(digest('approval', body, ...domain))).toEqual([0, { digest: approvalDigest }])
    },
  )

  it('takes a bare request, a payload, and standard input', () => {
    const { request, requestDigest, approvalDigest } = example('qc_v1_migration')
    expect(answer(digest('request', request))).toEqual([0, { digest: requestDigest }])
    const { payload } = request.artifactApprovals as { payload: unknown }
    const salt = ['--salt', zeroSalt]
    expect(answer(digest('approval', payload, ...salt))).toEqual([0, { digest: approvalDigest }])
    const piped = ['covenant', 'digest', '--kind', 'approval', ...salt, '-']
    const { status, stdout } = holdfast(piped, JSON.stringify({ payload, approvals: null }))
    expect([status, stdout]).toEqual([0, `${approvalDigest}\n`])
  })

  it('keeps every digit of a 64-bit field', () => {
    const text = (epoch: string): string =>
      JSON.stringify(example('self_v1_migration').request).replace(
        /"epoch":12/g,
        `"epoch":${epoch}`,
      )
    const [first, second] = ['18446744073709551614', '18446744073709551615'].map((epoch) =>
      JSON.parse(digest('request', text(epoch)).stdout),
    )
    expect(first.digest).toMatch(/^0x[0-9a-f]{64}$/)
    expect(second.digest).not.toBe(first.digest)
  })

  it('gives the plan commitments of the vectors, and of a request', () => {
    for (const vector of readVector<Plan[]>('plan_commitment_vectors.json')) {
      const { name: _name, expectedPlanCommitmentHash, ...input } = vector
      expect(answer(digest('plan', input))).toEqual([0, { digest: expectedPlanCommitmentHash }])
    }
    const { request } = example('self_v1_redeem')
    const { planCommitmentHash } = request.migrationTransactionPlan as Record<string, unknown>
    expect(answer(digest('plan', request))).toEqual([0, { digest: planCommitmentHash }])
  })

  it.each([
    ['self_v1_migration', 'migrationDestination'],
    ['self_v1_redeem', 'redeemDestination'],
    ['self_v1_renew', 'renewDestination'],
  ])('gives the destination commitment of %s, bare and in its request', (name, field) => {
    const { request } = example(name)
    const wanted = [0, { digest: request.destinationCommitmentHash }]
    expect(answer(digest('destination', request))).toEqual(wanted)
    expect(answer(digest('destination', request[field]))).toEqual(wanted)
  })

  it('says so when the file states another digest', () => {
    const { request } = example('self_v1_migration')
    const destination = request.migrationDestination as Record<string, unknown>
    const { status, stdout, stderr } = digest('destination', { ...destination, epoch: 13 })
    expect(JSON.parse(stdout).digest).not.toBe(request.destinationCommitmentHash)
    expect(stderr).toContain(`states another one: ${request.destinationCommitmentHash}`)
    expect(status).toBe(0)
  })

  it('refuses what is not of its kind, and says what was wanted', () => {
    const { request } = example('self_v1_migration')
    const { payload } = request.artifactApprovals as { payload: Record<string, unknown> }
    const { route: _route, ...routeless } = payload
    const [plan] = readVector<Record<string, unknown>[]>('plan_commitment_vectors.json')
    const cases: readonly (readonly [DigestKind, unknown, string])[] = [
      ['request', '{', 'is not exactly one JSON value, want a submit body'],
      ['request', { ...request, extra: 1 }, 'unknown field "extra"'],
      ['request', {}, 'scriptTemplate is invalid'],
      ['approval', routeless, 'lacks route, want an approval payload'],
      ['approval', { ...payload, approvalVersion: 1 }, 'approvalVersion is not 2'],
      ['approval', { ...payload, planCommitmentHash: '0x12' }, 'planCommitmentHash is not 0x'],
      ['approval', { payload: [] }, 'payload is not an object'],
      ['plan', plan, 'unknown field "name"'],
      ['plan', payload, 'lacks planVersion, reserve'],
      ['destination', { route: 'MIGRATION' }, 'lacks reserve, epoch'],
      ['destination', payload, 'is not MIGRATION, REDEEM or RENEW'],
      ['destination', { ...request, action: 'RENEW' }, 'has no renewDestination'],
    ]
    for (const [kind, value, wrong] of cases) {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      const refused = (): unknown => digestOf(kind, Buffer.from(text), { chainId: 0n })
      expect(refused, wrong).toThrow(DigestInputInvalid)
      expect(refused).toThrow(wrong)
    }
    const { status, stdout } = digest('approval', routeless)
    expect([JSON.parse(stdout).error.code, status]).toEqual(['DigestInputInvalid', 3])
  })

  it('refuses a longer file than any body may be', () => {
    const { status, stdout } = digest('request', `{"facadeRequestId":"${'x'.repeat(2 ** 22)}"}`)
    expect(JSON.parse(stdout).error.message).toContain('is longer than 2097152 bytes')
    expect(status).toBe(3)
  })

  it('ends with 2 for flags that make no sense, and for a file that is not there', () => {
    const payload = example('self_v1_migration').request.artifactApprovals
    const wrong = [
      digest('colour', payload),
      digest('request', payload, '--chain-id', '1'),
      digest('approval', payload, '--chain-id', '-1'),
      digest('approval', payload, '--chain-id', String(1n << 256n)),
      digest('approval', payload, '--salt', '0x12'),
      holdfast(['covenant', 'digest', '--kind', 'plan', join(folder, 'none'), '--json']),
    ]
    for (const { status, stdout } of wrong) {
      expect([JSON.parse(stdout).error.code, status]).toEqual(['Usage', 2])
    }
  })
})
