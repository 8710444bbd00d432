// Kill -9 at every named point of a real job: never a second sighash, never a second artefact shown (promise P7).
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Covenant } from '../../devnet/requests.js'
import type { SubmitInput } from '../../src/covenant/request.js'
import { runFaultPoints } from '../../src/covenant/run.js'
import { some } from '../covenant/factory.js'
import { keySigner, type Nonce } from './key-signer.js'
import { killedJob, type Life } from './killed-job.js'
import { openNode } from './node.js'
import { devnet, folder, missing, settled } from './world.js'

const nonces: readonly Nonce[] = ['deterministic', 'random']
/** Nothing is as deep: a job has to wait. */
const tooDeep = 100_000

type Case = {
  readonly nonce: Nonce
  readonly point: (typeof runFaultPoints)[number] | undefined
}

describe.skipIf(missing !== undefined)('a node that is killed at a point of a real job', () => {
  if (missing !== undefined) return
  const world = devnet()
  const { stack } = world
  const { secret } = stack.wallet
  const cases = nonces.flatMap((nonce): readonly Case[] =>
    [...runFaultPoints, undefined].map((point) => ({ nonce, point })),
  )
  const covenants = new Map<Case, Covenant>()

  beforeAll(async () => {
    for (const each of cases) {
      // Both routes at every point: with the other nonces it is the other one.
      const isSelf = covenants.size % 2 === nonces.indexOf(each.nonce)
      const route = isSelf ? 'self_v1' : 'qc_v1'
      covenants.set(each, await stack.fundCovenant({ route, confirmations: 0 }))
    }
    await stack.bitcoin.mine(6)
  })

  it.concurrent.each(cases)(
    'signs one sighash and shows one artefact, killed at $point with $nonce nonces',
    async (each) => {
      const { point, nonce } = each
      const dataDir = join(folder(afterAll), 'data')
      const input = world.request(some(covenants.get(each)))
      const minConfirmations = point === 'run.defer.before' ? tooDeep : 6
      const { chains } = world
      const own = { chains, dataDir, input, secret, nonce, point, minConfirmations }
      const first = await killedJob(own)
      expect(first.signal, first.stderr).toBe(point === undefined ? null : 'SIGKILL')
      expect(first.answers).toHaveLength(point === undefined ? 1 : 0)

      const second = await takeUp(each, input, dataDir)
      const third = await takeUp(each, input, dataDir)
      const answers = [...first.answers, ...second.answers, ...third.answers]
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
      expect(answers[0]?.status).toBe('READY')
      const sighashes = [...first.sighashes, ...second.sighashes, ...third.sighashes]
      expect(new Set(sighashes).size).toBe(1)
      expect(third.sighashes).toEqual([])
    },
    60_000,
  )

  /** A later life on the same directory, in this process: the same submit, its end, the same submit, a poll. */
  async function takeUp(
    { nonce }: Case,
    input: SubmitInput,
    dataDir: string,
  ): Promise<Pick<Life, 'sighashes' | 'answers'>> {
    const signer = keySigner(secret, nonce)
    const node = await openNode({ chains: world.chains, dataDir, signer: () => signer })
    try {
      const { requestId } = await node.submit(input)
      await settled(node, requestId)
      const answers = [await node.submit(input), await node.poll(input, requestId)]
      return { sighashes: signer.sighashes, answers }
    } finally {
      await node.close()
    }
  }
})
