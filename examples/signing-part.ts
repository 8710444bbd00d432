import { devnetSecrets } from '../devnet/request-keys.js'
import type { Covenant } from '../devnet/requests.js'
import { signDigest } from '../devnet/requests.js'
import { fromHex, toHex } from '../src/base/bytes.js'
import { completeHandoff, type SubmitInput, verifyHandoff } from '../src/covenant/index.js'
import type { World } from './covenant-world.js'
import type { Answer } from './daemon.js'
import { expect, say, short } from './site.js'

/** A request and what the daemon answered. */
export type Signed = { readonly input: SubmitInput; readonly answer: Answer }

/** Submits one request of each route, polls, and brings both transactions into a block. */
export async function signingPart(world: World): Promise<Signed> {
  const { stack } = world
  const maturityHeight = (await stack.bitcoin.tip()) + 60
  say(
    `8. Two covenants of 1 000 000 sat that open above height ${maturityHeight}, and a request each.`,
  )
  const covenants = {
    self: await stack.fundCovenant({ route: 'self_v1', maturityHeight }),
    qc: await stack.fundCovenant({ route: 'qc_v1', maturityHeight }),
  }
  const self = await submitAndPoll(world, covenants.self, 'demo_self')
  const qc = await submitAndPoll(world, covenants.qc, 'demo_qc')
  say()
  say('9. The self_v1 transaction, before and after maturity.')
  const transaction = fromHex(String(self.answer.json.transactionHex).slice(2))
  await bringIntoBlock(world, transaction, maturityHeight)
  say()
  say('10. The qc_v1 bundle: the custodian verifies it, adds a signature, and sends it.')
  const completed = completeAsCustodian(qc)
  await sendAndMine(world, completed)
  say()
  return self
}

async function submitAndPoll(world: World, covenant: Covenant, name: string): Promise<Signed> {
  const { daemon } = world
  const input = world.request(covenant, name)
  const { route } = covenant
  say(`  POST /v1/${route}/signer/requests`)
  const answer = await daemon.submit(input)
  const { requestId, status, detail } = answer.json
  say(`    ${answer.status} ${String(status)} ${String(requestId)}: ${String(detail)}`)
  say(`  POST /v1/${route}/signer/requests:poll`)
  const polled = await daemon.poll(input, String(requestId))
  say(`    ${polled.status} ${String(polled.json.status)}`)
  expect('the job is ready', status === 'READY' && polled.text === answer.text)
  return { input, answer }
}

async function bringIntoBlock(
  world: World,
  transaction: Uint8Array,
  maturityHeight: number,
): Promise<void> {
  const { bitcoin } = world.stack
  const early = await bitcoin.broadcast(transaction)
  expect('the node refuses it before maturity', early.kind === 'refused')
  const why = early.kind === 'refused' ? early.reason : ''
  say(`  at height ${await bitcoin.tip()} the node refuses it: ${why}`)
  await bitcoin.mine(maturityHeight - (await bitcoin.tip()))
  await sendAndMine(world, transaction)
}

async function sendAndMine({ stack }: World, transaction: Uint8Array): Promise<void> {
  const { bitcoin } = stack
  const sent = await bitcoin.broadcast(transaction)
  expect('the node takes the transaction', sent.kind === 'accepted')
  const height = await bitcoin.mine(1)
  const [block] = await bitcoin.blocks(height, 1)
  const txid = sent.kind === 'accepted' ? sent.txid : ''
  const isIn = block?.transactions.some((mined) => mined.txid === txid) ?? false
  expect('the transaction is in the block', isIn)
  say(`  at height ${height - 1} the node takes it, and block ${height} holds ${short(txid)}`)
}

/** What a custodian does who trusts nobody: everything in the bundle is made anew from the request. */
function completeAsCustodian({ input, answer }: Signed): Uint8Array {
  const verdict = verifyHandoff(
    answer.json.handoff as Readonly<Record<string, unknown>>,
    input.request,
  )
  if (verdict.kind === 'refused') throw new Error(`the bundle is refused: ${verdict.reason}`)
  const { bundle, spend } = verdict
  say(`  bundle ${short(bundle.bundleId)} holds what the request stands for`)
  const signature = signDigest(`0x${toHex(spend.sighash)}`, devnetSecrets.custodian)
  return completeHandoff(spend, bundle, fromHex(signature.slice(2)))
}
