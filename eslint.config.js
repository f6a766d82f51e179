import neostandard, { plugins } from 'neostandard'
import house from './eslint.house.js'

/** Of the rules that lib/, tests and benches do not keep yet: 'error' once they do. */
const HOUSE = 'off'

/** The rooms of lib/, floor by floor: a room imports only from the floors below it, and from types/. */
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

const typed = ['**/*.ts']
const longLines = { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true }

export default [
  ...neostandard({
    ts: true,
    ignores: [
      'dist/**', '.tap/**', 'node_modules/**', '**/.next/**', '**/.nitro/**', '**/.output/**',
      'test/package/consumer/typed.ts'
    ]
  }),
  ...plugins['typescript-eslint'].configs.recommendedTypeCheckedOnly.map(config => ({ ...config, files: typed })),
  {
    files: typed,
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': ['error', {
        allowForKnownSafeCalls: [{
          from: 'package',
          package: 'node:test',
          name: ['after', 'afterEach', 'before', 'beforeEach', 'describe', 'it', 'suite', 'test']
        }]
      }],
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // `async` also makes a rejection of what is thrown.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
      'no-void': ['error', { allowAsStatement: true }]
    }
  },
  { plugins: { house }, rules: { '@stylistic/max-len': [HOUSE, longLines] } },
  {
    files: ['lib/**/*.ts'],
    rules: {
      'house/circles': HOUSE,
      'house/rooms': [HOUSE, {
        root: 'lib',
        floors,
        apart: [['adapters/conformance', 'adapters/kit']],
        // It hosts an application as any user would, by the public parts.
        doors: { 'cli/application.ts': ['index.ts'] },
        open: ['../types']
      }]
    }
  },
  { files: ['types/**/*.ts', '*.js'], rules: { '@stylistic/max-len': ['error', longLines] } },
  {
    files: ['types/**/*.ts'],
    ignores: ['**/*.tst.ts'],
    rules: {
      'house/docstrings': 'error',
      'house/rooms': ['error', { root: 'types', floors: [['*.ts']] }]
    }
  }
]
