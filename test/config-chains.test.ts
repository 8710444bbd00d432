import { describe, expect, it } from 'vitest'
import { listSettings } from '../src/config/listing.js'
import { loadConfig } from '../src/config.js'
import { lines, toml } from './config-sources.js'

const bridge = `bridgeAddress = "0x${'11'.repeat(20)}"`
const ethereum = (text: string) => `[ethereum]\n${text}`
const bitcoin = (source: string) => `[bitcoin]\nsources = [${source}]`
const both = (source: string) =>
  toml(`${ethereum(`${bridge}\nendpoints = ["http://127.0.0.1:8545/key"]`)}\n${bitcoin(source)}`)

describe('the settings of the chains', () => {
  it('take endpoints, nodes and Electrum servers, and start relative files from the folder of the file', () => {
    const node = '{ url = "http://127.0.0.1:8332", user = "u", passwordFile = "btc" }'
    const { ethereum: host, bitcoin: chain } = loadConfig(
      both(`${node}, { url = "ssl://electrum.example:50002" }`),
    )
    expect(host.endpoints).toEqual(['http://127.0.0.1:8545/key'])
    expect(chain.sources).toEqual([
      { url: 'http://127.0.0.1:8332', user: 'u', passwordFile: '/etc/btc' },
      { url: 'ssl://electrum.example:50002' },
    ])
  })

  it('never show the endpoints, since keys of providers stand in them', () => {
    const listed = listSettings(loadConfig(both('{ url = "tcp://127.0.0.1:1" }')))
    expect(JSON.stringify(listed)).not.toContain('8545')
    const bare = listSettings(loadConfig(toml('')))
    expect(bare.find(({ key }) => key === 'ethereum.endpoints')?.value).toEqual([])
  })

  it.each([
    [
      'endpoints without the Bridge',
      ethereum('endpoints = ["http://h"]'),
      'ethereum.bridgeAddress: missing',
    ],
    ['sources alone', bitcoin('{ url = "tcp://h:1" }'), 'ethereum.endpoints: empty'],
    ['no address', ethereum('endpoints = ["ws://h"]'), 'ethereum.endpoints[0]: no such address'],
    [
      'a password in an endpoint',
      ethereum('endpoints = ["http://u:p@h"]'),
      'ethereum.endpoints[0]: no such address',
    ],
  ])('refuse %s', (_name, text, want) => {
    expect(lines(toml(text)).some((line) => line.startsWith(want))).toBe(true)
  })

  it.each([
    ['{ url = "ftp://h" }', 'url is no source'],
    ['{ url = "tcp://h" }', 'url is no source'],
    ['{ url = "http://u:p@h" }', 'url holds a user name'],
    ['{ url = "ssl://h:1", fingerprint = "00" }', 'no fingerprint of an ssl server'],
    ['{ url = "tcp://h:1", user = "u" }', 'a user for an Electrum server'],
  ])('refuse the source %s', (source, want) => {
    expect(lines(both(source))).toEqual([`bitcoin.sources[0]: ${want}`])
  })
})
