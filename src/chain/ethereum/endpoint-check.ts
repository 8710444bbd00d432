import type { HexData } from './contracts.js'
import type { Answer } from './fault.js'
import type { Probe } from './read-wallet.js'
import type { ChainFault } from './reader.js'

/** Whether wallets can be read through an endpoint. */
export type EndpointCheck = {
  readonly source: string
  readonly ok: boolean
  /** One line for an operator. */
  readonly detail: string
  /** What to do when it is not ok. */
  readonly remedy: string | undefined
}

/** What a probe of an endpoint means for an operator. */
export function checkEndpoint(
  source: string,
  bridge: HexData,
  answer: Answer<Probe>,
): EndpointCheck {
  if (answer.kind === 'fault') {
    return { source, ok: false, detail: answer.detail, remedy: remedies[answer.fault] }
  }
  const { height, registryAddress } = answer.value
  const detail = `block ${height}, Bridge ${bridge}, wallet registry ${registryAddress}`
  return { source, ok: true, detail, remedy: undefined }
}

const contractRemedy =
  'Check ethereum.bridgeAddress and that the node is of the network where that Bridge stands.'

const remedies: Readonly<Record<ChainFault, string>> = {
  timeout: 'Check that the node is up and not overloaded, or raise ethereum.requestTimeoutMs.',
  connection: 'Check host, port and certificate of the endpoint, and that the node is up.',
  http: 'Check path and key of the endpoint; status 401 and 403 mean that it wants another key.',
  rpc: 'Look up the code in the documentation of the node; it may limit how often it is asked.',
  revert: contractRemedy,
  'no-code': contractRemedy,
  'bad-data': 'Check that the URL is that of a JSON-RPC endpoint of an Ethereum node.',
  'wrong-network': 'Name an endpoint of the chain in ethereum.chainId, or correct that number.',
  'not-synced': 'Wait until the node has caught up, and check the clock of this machine.',
}
