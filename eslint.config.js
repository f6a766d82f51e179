import jsdoc from 'eslint-plugin-jsdoc'
import neostandard, { plugins } from 'neostandard'

const typed = ['**/*.ts']

/** The declarations and members of types/ that need a docstring; a short object type may stand in one line. */
const documented = [
  'ExportNamedDeclaration[declaration]',
  'TSInterfaceBody > *',
  'TSTypeAliasDeclaration > TSTypeLiteral > *',
  'TSTypeAnnotation > TSTypeLiteral[members.length>3] > *'
]

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
  {
    // Cases in a table read best with each on a line of its own.
    ignores: ['test/**'],
    rules: { '@stylistic/max-len': ['error', { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true }] }
  },
  {
    files: ['types/**/*.ts'],
    ignores: ['**/*.tst.ts'],
    plugins: { jsdoc },
    rules: {
      'jsdoc/no-blank-blocks': 'error',
      'jsdoc/require-jsdoc': ['error', {
        contexts: documented,
        require: { FunctionDeclaration: false },
        enableFixer: false
      }]
    }
  }
]
