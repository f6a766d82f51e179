// Rules of this house, for eslint.config.js. neostandard has no eslint-plugin-import-x any more.
import { readFileSync, statSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import ts from 'typescript'

/** Visits each relative import: of values and types, re-exports, `import()` and types imported in place. */
function eachImport (context, visit) {
  const see = node => {
    const source = node.source ?? node.argument?.literal
    if (!String(source?.value).startsWith('.')) return
    visit(source, resolve(dirname(context.filename), source.value))
  }
  return {
    ImportDeclaration: see,
    ImportExpression: see,
    ExportAllDeclaration: see,
    ExportNamedDeclaration: see,
    TSImportType: see
  }
}

const strings = { type: 'array', items: { type: 'string' } }

/**
 * A room imports only from rooms on the floors below it. `floors` lists them from top to bottom, by paths
 * in `root`: a folder, a file, `folder/*` for each folder in it, or `*.ts` for the files of `root` itself
 * that are not listed. Rooms of one floor do not know each other, nor do those of a pair in `apart`.
 * `doors` says what a single file may import besides, and `open` which folders outside of `root` all may.
 */
const rooms = {
  meta: {
    type: 'problem',
    schema: [{
      type: 'object',
      properties: {
        root: { type: 'string' },
        floors: { type: 'array', items: strings },
        apart: { type: 'array', items: strings },
        doors: { type: 'object', additionalProperties: strings },
        open: strings
      },
      required: ['root', 'floors'],
      additionalProperties: false
    }],
    messages: {
      above: '"{{from}}" must not import "{{to}}": a room imports only from rooms below it',
      beside: '"{{from}}" must not import "{{to}}": rooms of one floor do not know each other',
      apart: '"{{from}}" must not import "{{to}}": these two rooms are kept apart',
      outside: '"{{from}}" must not import "{{to}}", which is outside of "{{root}}"',
      unlisted: '"{{from}}" is in none of the rooms listed in eslint.config.js'
    }
  },
  create (context) {
    const { root, floors, apart = [], doors = {}, open = [] } = context.options[0]
    const home = resolve(context.cwd, root)
    const path = relative(home, context.filename)
    const roomOf = roomFinder(floors)
    const from = roomOf(path)
    if (from === undefined) {
      return { Program: node => context.report({ node, messageId: 'unlisted', data: { from: path } }) }
    }
    return eachImport(context, (node, file) => {
      const target = relative(home, file)
      const to = roomOf(target)
      const report = messageId => context.report({ node, messageId, data: { from: path, to: target, root } })
      if (target.startsWith('..')) {
        if (!open.some(folder => target.startsWith(`${folder}/`))) report('outside')
      } else if (to?.name !== from.name && doors[path]?.includes(target) !== true) {
        if (to === undefined || to.floor < from.floor) report('above')
        else if (to.floor === from.floor) report('beside')
        else if (apart.some(pair => pair.includes(from.name) && pair.includes(to.name))) report('apart')
      }
    })
  }
}

/** A function from a path to its room: `adapters/kit` rather than `adapters/*`, and that rather than `*.ts`. */
function roomFinder (floors) {
  const listed = floors.flatMap((names, floor) => names.map(name => ({ name, floor })))
  const exact = listed.filter(({ name }) => !name.includes('*'))
  const parts = listed.filter(({ name }) => name.endsWith('/*'))
  const files = listed.find(({ name }) => name === '*.ts')
  return path => {
    const room = exact.find(({ name }) => path === name || path.startsWith(`${name}/`))
    if (room !== undefined) return room
    const part = parts.find(({ name }) => path.startsWith(name.slice(0, -1)) && path.split('/').length > 2)
    if (part !== undefined) return { name: path.split('/').slice(0, 2).join('/'), floor: part.floor }
    return path.includes('/') ? undefined : files
  }
}

/** No file imports itself by way of others, be it only for types. */
const circles = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { circle: 'A circle of imports: {{way}}' }
  },
  create (context) {
    return eachImport(context, (node, file) => {
      const way = wayBetween(file, context.filename)
      if (way === undefined) return
      const names = [context.filename, ...way].map(file => relative(context.cwd, file))
      context.report({ node, messageId: 'circle', data: { way: names.join(' > ') } })
    })
  }
}

/** The shortest way by imports from one file to another, with both. */
function wayBetween (from, to) {
  const ways = [[from]]
  const seen = new Set(ways[0])
  for (const way of ways) {
    const last = way.at(-1)
    if (last === to) return way
    for (const next of importsOf(last)) {
      if (seen.has(next)) continue
      seen.add(next)
      ways.push([...way, next])
    }
  }
}

const read = new Map()

/** Read again when the file has changed, as an editor keeps this module for hours. */
function importsOf (file) {
  const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs
  if (modified === undefined) return []
  const known = read.get(file)
  if (known?.modified === modified) return known.imports
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'))
  const names = importedFiles.map(({ fileName }) => fileName).filter(name => name.startsWith('.'))
  const imports = names.map(name => resolve(dirname(file), name))
  read.set(file, { modified, imports })
  return imports
}

/**
 * A docstring for each exported declaration, each member of an interface, or of an object type that takes
 * more than one line, and each object type that is a variant of a union.
 */
const docstrings = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { missing: '{{what}} has no docstring' }
  },
  create (context) {
    const { sourceCode } = context
    const demand = (node, what) => {
      if (!hasDocstring(sourceCode, node)) context.report({ loc: node.loc.start, messageId: 'missing', data: { what } })
    }
    const demandOfMember = node => {
      const { type, loc } = node.parent
      if (type === 'TSTypeLiteral' && loc.start.line === loc.end.line) return
      demand(node, node.key === undefined ? 'The signature' : `"${sourceCode.getText(node.key)}"`)
    }
    return {
      'ExportNamedDeclaration[declaration]' (node) {
        demand(node, `"${node.declaration.id?.name ?? sourceCode.getText(node.declaration)}"`)
      },
      ':matches(TSTypeAliasDeclaration, TSIntersectionType) > TSUnionType > TSTypeLiteral' (node) {
        demand(node, 'The variant')
      },
      TSPropertySignature: demandOfMember,
      TSMethodSignature: demandOfMember,
      TSCallSignatureDeclaration: demandOfMember,
      TSConstructSignatureDeclaration: demandOfMember,
      TSIndexSignature: demandOfMember
    }
  }
}

/** It stands before the `|` of a variant. */
function hasDocstring (sourceCode, node) {
  const before = sourceCode.getTokenBefore(node)
  const first = before?.value === '|' ? before : node
  const comment = sourceCode.getCommentsBefore(first).at(-1)
  return comment?.type === 'Block' && /^\*[\s*]*[^\s*]/.test(comment.value) &&
    comment.loc.end.line >= first.loc.start.line - 1
}

export default { rules: { rooms, circles, docstrings } }
