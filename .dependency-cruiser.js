/** The rooms of lib/, floor by floor from the top: a room imports only from the floors below it, and from types/. */
const floors = [
  ['index.ts'],
  ['plugin.ts'],
  ['options.ts'],
  ['cli', 'routes', 'board', 'otel', 'metrics', 'testing'],
  ['fastify'],
  ['schedules'],
  ['in-process'],
  ['queue'],
  ['run'],
  ['task'],
  ['adapters/*'],
  ['adapters/kit'],
  ['*.ts'] // the ground: errors, check, json, ...
]

const single = floors.flat().filter(room => /\w\.ts$/.test(room))

/** The files of a room. `$1` stands for the folder that a group of the rule's `from` has matched. */
function filesOf (room, folder = '([^/]+)') {
  if (room === '*.ts') return `^lib/(?!${single.join('|')})[^/]+$`
  return room.endsWith('.ts') ? `^lib/${room}$` : `^lib/${room.replace('*', folder)}/`
}

const rooms = floors.flatMap((floor, index) => floor.map(room => ({ room, below: floors.slice(index + 1).flat() })))

const forbidden = rooms.map(({ room, below }) => {
  const allowed = below.map(other => filesOf(other))
  return {
    name: `${room}-looks-up-or-aside`,
    comment: 'A room imports only from rooms on the floors below it.',
    severity: 'error',
    // adapters/kit is none of adapters/*.
    from: { path: filesOf(room), pathNot: allowed },
    to: { path: '^lib/', pathNot: [filesOf(room, '$1'), ...allowed] }
  }
})

export default {
  forbidden: [
    ...forbidden,
    {
      name: 'conformance-knows-the-kit',
      comment: 'The suite must not stand on the ground of the adapters that it tests.',
      severity: 'error',
      from: { path: '^lib/adapters/conformance/' },
      to: { path: '^lib/adapters/kit/' }
    },
    {
      name: 'room-without-a-floor',
      comment: 'Each room stands in the list of floors.',
      severity: 'error',
      from: { path: '^lib/', pathNot: rooms.map(({ room }) => filesOf(room)) },
      to: {}
    },
    {
      name: 'lib-looks-out',
      severity: 'error',
      from: { path: '^lib/' },
      to: { pathNot: '^(lib|types)/', dependencyTypes: ['local'] }
    },
    {
      name: 'types-look-out',
      comment: 'The contract knows nothing of what fulfils it.',
      severity: 'error',
      from: { path: '^types/' },
      to: { pathNot: '^types/', dependencyTypes: ['local'] }
    },
    {
      name: 'circle',
      comment: 'No file imports itself by way of others, be it only for types.',
      severity: 'error',
      from: {},
      to: { circular: true }
    }
  ],
  options: {
    tsPreCompilationDeps: true,
    exclude: '[.]tst[.]ts$',
    doNotFollow: 'node_modules'
  }
}
