import neostandard, { plugins } from 'neostandard'

const typed = ['**/*.ts']

export default [
  ...neostandard({ ts: true, ignores: ['dist/**', '.tap/**', 'node_modules/**', '**/.next/**', '**/.nitro/**', '**/.output/**', 'test/package/consumer/typed.ts'] }),
  ...plugins['typescript-eslint'].configs.recommendedTypeCheckedOnly.map(config => ({ ...config, files: typed })),
  {
    files: typed,
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': ['error', {
        allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['after', 'afterEach', 'before', 'beforeEach', 'describe', 'it', 'suite', 'test'] }]
      }],
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // `async` also makes a rejection of what is thrown.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
      'no-void': ['error', { allowAsStatement: true }]
    }
  }
]
