import { setTimeout as sleep } from 'node:timers/promises'
import { toHex } from '../src/base/bytes.js'
import type { SubmitInput } from '../src/covenant/index.js'
import type { World } from './covenant-world.js'
import { type Answer, startDaemon } from './daemon.js'
import type { Signed } from './signing-part.js'
import { expect, say } from './site.js'

const finalStates = ['ARTIFACT_READY', 'HANDOFF_READY', 'FAILED']
const triesMax = 100

/** Kills the daemon between acceptance and signature; its job comes to its end after the restart. */
export async function killPart(world: World): Promise<void> {
  const { stack, bitcoin, site, files } = world
  say('11. The daemon is killed with SIGKILL between acceptance and signature.')
  const input = world.request(await stack.fundCovenant({ route: 'self_v1' }), 'demo_killed')
  bitcoin.set({ kind: 'hang' })
  say('  the Bitcoin node hangs; POST /v1/self_v1/signer/requests')
  const cutShort = world.daemon.submit(input).catch(() => undefined)
  const accepted = await untilAccepted(world)
  say(`  accepted as ${accepted.requestId}, ${accepted.state}; kill -9 ${world.daemon.pid}`)
  await world.daemon.kill()
  expect('the client got no answer', (await cutShort) === undefined)
  bitcoin.set({ kind: 'none' })
  world.daemon = await startDaemon(site, files)
  const answer = await untilReady(world, input)
  const { requestId, status } = answer.json
  expect('it is the same job', requestId === accepted.requestId && status === 'READY')
  say(`  the same submit: ${answer.status} ${String(status)} ${String(requestId)}, the same job`)
  say()
}

/** Cuts the registry off: what the Bridge alone tells goes on, and nothing is signed on half an answer. */
export async function registryPart(world: World, { input, answer }: Signed): Promise<void> {
  const { stack, ethereum, daemon, files } = world
  const { evm, wallet } = stack
  say('12. The wallet registry is cut off; the Bridge goes on answering.')
  const fresh = world.request(await stack.fundCovenant({ route: 'self_v1' }), 'demo_registry')
  ethereum.fail({ to: evm.registry }, { kind: 'status', status: 503 })
  const shown = await world.site.show(
    'chain',
    'wallet',
    toHex(wallet.pkh20),
    '--config',
    files.config,
  )
  expect('status 4 says that a source is away', shown.status === 4)
  const refused = await daemon.submit(fresh)
  say(`  a new submit: ${refused.status} ${refused.text.trim()}, and the log names the source:`)
  expect('nothing is signed on half an answer', refused.status === 500)
  const { cause } = await daemon.logged('covenant signer request failed')
  expect('the log names the registry', String(cause).includes('registry'))
  say(`    ${String(cause)}`)
  const polled = await daemon.poll(input, String(answer.json.requestId))
  expect('a poll needs no registry', polled.text === answer.text)
  say('  a poll of the first job answers as before')
  ethereum.heal()
  say('  the registry is back')
  const signed = await daemon.submit(fresh)
  expect('the refused request is signed', signed.json.status === 'READY')
  say(`  the refused submit, made again: ${signed.status} ${String(signed.json.status)}`)
  const again = await daemon.submit(input)
  expect('the first submit is answered the same', again.text === answer.text)
  say('  the very first submit, made again: the same answer, byte for byte')
  say()
}

type Accepted = { readonly requestId: string; readonly state: string }

/** The job that is not at its end, as the command line shows it through the daemon. */
async function untilAccepted({ site, files }: World): Promise<Accepted> {
  for (let tries = 0; tries < triesMax; tries++) {
    const { json } = await site.holdfast('covenant', 'list', '--config', files.config)
    const open = (json.jobs as readonly Accepted[]).find(
      ({ state }) => !finalStates.includes(state),
    )
    if (open !== undefined) return open
    await sleep(100)
  }
  throw new Error('the request was not accepted')
}

async function untilReady({ daemon }: World, input: SubmitInput): Promise<Answer> {
  for (let tries = 0; tries < triesMax; tries++) {
    const answer = await daemon.submit(input)
    if (answer.json.status !== 'PENDING') return answer
    await sleep(100)
  }
  throw new Error('the job did not come to its end')
}
