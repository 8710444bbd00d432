// A node in a process of its own that dies at a fault point of its one job: node killed-job.mjs CONFIG_JSON
//
// Prints, straight to the descriptor and before it goes on: SIGN {sighash} | ANSWER {...}
// Plain JavaScript over the built package where there is one: a loader takes longer than the whole job.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeSync } from 'node:fs'
import { sign } from 'tiny-secp256k1'

const config = JSON.parse(process.argv[2])
const from = (path) => import(`${config.code}${path}`)
const { fromHex, toHex } = await from('base/bytes.js')
const { bitcoinReader } = await from('chain/bitcoin/combined.js')
const { bitcoinSource } = await from('chain/bitcoin/source.js')
const { ethereumReader } = await from('chain/ethereum/ethereum-reader.js')
const { decodeSubmit, openCovenantService, parseTrustRoots, signingEngine } =
  await from('covenant/index.js')
const { openHoldfast } = await from('holdfast.js')
const { encodeDerSignature } = await from('signer/der.js')
const { scriptedFaults } = await from('testing/index.js')

const tell = (word, detail) => writeSync(1, `${word} ${JSON.stringify(detail)}\n`)
const { chains, point, dataDir } = config
const secret = fromHex(config.secret)
const signer = {
  controls: async () => true,
  async sign(_publicKey, digest32) {
    tell('SIGN', { sighash: toHex(digest32) })
    const entropy = config.nonce === 'random' ? randomBytes(32) : undefined
    return encodeDerSignature(sign(digest32, secret, entropy))
  },
}
const domain = { chainId: BigInt(config.domain.chainId), salt: config.domain.salt }
const bitcoin = bitcoinReader(
  chains.bitcoin.map(({ url, user, password }) =>
    bitcoinSource({
      ...{ url, user, password: fromHex(password) },
      ...{ network: 'regtest', requestTimeoutMs: config.chainTimeoutMs },
    }),
  ),
)
const engine = signingEngine({
  wallets: ethereumReader({
    endpoints: [chains.ethereumUrl],
    bridgeAddress: chains.bridge,
    chainId: BigInt(chains.chainId),
    requestTimeoutMs: config.chainTimeoutMs,
    registryTimeoutMs: config.chainTimeoutMs,
  }),
  ...{ bitcoin, signer, domain },
  gate: { confirmed: true, bridgeAddress: chains.bridge },
  honestThreshold: config.honestThreshold,
  minConfirmations: config.minConfirmations,
})
const holdfast = await openHoldfast({ dataDir, jobs: {} })
const service = openCovenantService({
  ...{ store: holdfast.jobs, engine, signer, domain },
  trustRoots: parseTrustRoots(config.trustRoots),
  settings: { submitWaitMs: config.chainTimeoutMs },
  ...(point === undefined ? {} : { faults: scriptedFaults({ point, action: 'kill' }) }),
})
service.start()
const input = decodeSubmit(readFileSync(config.body))
tell('ANSWER', await service.submit(input, input.request.route))
await service.stop()
await bitcoin.close()
await holdfast.close()
