// Who may import whom: one line per room, anything not listed is forbidden (docs/ARCHITECTURE.md draws it).
const rooms = {
  base: [],
  vault: ['base/'],
  chain: ['base/'],
  wallet: ['base/', 'vault/vault\\.ts', 'chain/reader\\.ts', 'chain/dash/offline\\.ts'],
  covenant: ['base/', 'vault/vault\\.ts', 'chain/(ethereum/|bitcoin/)?reader\\.ts'],
  signer: ['base/', 'vault/', 'covenant/signer\\.ts'],
  store: [
    'base/',
    'wallet/(store|changeset|account|network|pool)\\.ts',
    'covenant/(store|job|request|json-body|request-fields|field-kinds|canonical|digest|decode|normalize|transaction)\\.ts',
  ],
  datadir: ['base/', 'vault/', 'wallet/', 'covenant/', 'store/'],
  config: ['base/'],
  daemon: [
    'base/',
    'config\\.ts',
    'datadir/',
    'holdfast\\.ts',
    'signing\\.ts',
    'covenant/',
    'chain/(ethereum/|bitcoin/)?reader\\.ts',
    'wallet/manager\\.ts',
  ],
  cli: [
    'base/',
    'config\\.ts',
    'datadir/',
    'holdfast\\.ts',
    'daemon/',
    'wallet/',
    'covenant/',
    'chain/',
  ],
  testing: ['base/', 'chain/', 'wallet/', 'covenant/', 'store/'],
}
const files = {
  'config\\.ts': ['base/', 'config/'],
  'holdfast\\.ts': [
    'base/',
    'config\\.ts',
    'datadir/',
    'vault/',
    'signer/',
    'chain/',
    'wallet/',
    'covenant/',
    'store/',
  ],
  'signing\\.ts': ['base/', 'config\\.ts', 'vault/', 'signer/', 'chain/', 'covenant/'],
  'index\\.ts': ['base/', 'holdfast\\.ts', '[a-z]+/index\\.ts'],
}

const onlyFrom = (name, from, allowed) => ({
  name,
  severity: 'error',
  comment: `${name} imports something outside its list`,
  from: { path: from },
  to: { path: '^src/', pathNot: allowed.map((path) => `^src/${path}`) },
})

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: ['index\\.ts$', 'cli/main\\.ts$'] },
      to: {},
    },
    {
      name: 'sql-driver-in-store',
      severity: 'error',
      comment:
        'only the SQLite adapter, and the directory lock of platforms without flock, know the driver',
      from: { path: '^src/', pathNot: ['^src/store/sqlite/', '^src/base/directory-lock\\.ts'] },
      to: { path: 'node_modules/better-sqlite3' },
    },
    {
      name: 'no-development-packages',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-unknown', 'unknown', 'undetermined', 'npm-no-pkg'],
        pathNot: ['@types/'],
      },
    },
    ...Object.entries(rooms).map(([room, allowed]) =>
      onlyFrom(`room-${room}`, `^src/${room}/`, [`${room}/`, ...allowed]),
    ),
    ...Object.entries(files).map(([file, allowed]) =>
      onlyFrom(`file-${file.replace('\\', '')}`, `^src/${file}$`, [`${file}$`, ...allowed]),
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js'],
      conditionNames: ['import', 'types', 'node'],
    },
    doNotFollow: { path: 'node_modules' },
  },
}
